import "./src/core/zod_mode.ts";
import process from "node:process";
import { runApplication } from "./src/cli/application.ts";
import { createHost } from "./src/platform/host.ts";
import { builtInTasks } from "./src/tasks/registry.ts";

// The house is wired together here: which machine, which tasks, which arguments. Every write was awaited until its
// bytes had left this process, so leaving at once loses nothing, and no forgotten timer can hold the process.
process.exit(await runApplication(createHost(), builtInTasks, process.argv.slice(2)));
