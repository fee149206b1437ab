import tab from "@bomb.sh/tab/commander";
import type { Command } from "@commander-js/extra-typings";
import type { Cli } from "../session.ts";

/** Adds `completions SHELL`, and the hidden command that the printed scripts call on every TAB. */
export function addCompletions(
  cli: Cli,
  program: Command,
  _ended: (exitCode: Promise<number>) => void,
): void {
  const completion = tab(program as never, { completionCommandName: "completions" });
  const names = cli.registry.list().map((task) => [task.name, task.summary] as const);
  for (const [command, argument] of [["run", "task"], ["tasks", "name"]] as const) {
    completion.commands.get(command)?.argument(argument, (complete) => {
      for (const [name, summary] of names) complete(name, summary);
    });
  }
}
