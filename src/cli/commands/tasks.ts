import { z } from "zod";
import { EXIT } from "../../core/errors.ts";
import { findTask } from "../../executor/submit.ts";
import type { Cli } from "../session.ts";
import { table } from "../table.ts";
import { writeJson } from "./run.ts";

/** `glassbox tasks [NAME]`: needs no database. */
export async function tasks(
  cli: Cli,
  flags: { json?: boolean | undefined },
  name: string | undefined,
): Promise<number> {
  const { host, registry } = cli;
  if (name === undefined) {
    const list = registry.list().map(({ name, summary, isolation }) => ({ name, summary, isolation }));
    if (flags.json) await writeJson(host, list);
    else {await host.terminal.stdout.write(table(list.map((task) => [task.name, task.summary]), (text) =>
        text));}
    return EXIT.completed;
  }
  const task = findTask(registry, name);
  const document = {
    name: task.name,
    summary: task.summary,
    isolation: task.isolation,
    input: z.toJSONSchema(task.input, { io: "input" }),
    output: z.toJSONSchema(task.output),
  };
  if (flags.json) await writeJson(host, document);
  else await host.terminal.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  return EXIT.completed;
}
