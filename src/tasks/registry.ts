import type { Task, TaskRegistry } from "../core/task.ts";
import { exec } from "./exec/task.ts";
import { phasePortrait } from "./phase_portrait/task.ts";
import { genomeDashboard } from "./genome_dashboard/task.ts";
import { selftest } from "./selftest/task.ts";

/** Makes a registry; names must be unique. */
export function createRegistry(tasks: readonly Task[]): TaskRegistry {
  const byName = new Map(tasks.map((task) => [task.name, task]));
  if (byName.size !== tasks.length) throw new Error("Task names must be unique");
  return { get: (name) => byName.get(name), list: () => [...byName.values()] };
}

/** The tasks built into this binary. */
export const builtInTasks: TaskRegistry = createRegistry([
  exec as unknown as Task,
  phasePortrait as unknown as Task,
  selftest as unknown as Task,
  genomeDashboard as unknown as Task,
]);
