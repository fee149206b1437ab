import tab from "@bomb.sh/tab/commander";
import type { Command } from "@commander-js/extra-typings";
import { EXIT } from "../../core/errors.ts";
import type { Cli } from "../session.ts";

/** Adds `completions SHELL`, and the hidden command that the printed scripts call on every TAB. */
export function addCompletions(
  cli: Cli,
  program: Command,
  ended: (exitCode: Promise<number>) => void,
): void {
  const completion = tab(program as never, { completionCommandName: "completions" });
  const names = cli.registry.list().map((task) => [task.name, task.summary] as const);
  for (const [command, argument] of [["run", "task"], ["tasks", "name"]] as const) {
    completion.commands.get(command)?.argument(argument, (complete) => {
      for (const [name, summary] of names) complete(name, summary);
    });
  }
  const command = program.commands.find((known) => known.name() === "completions");
  command?.summary("print what makes a shell complete glassbox").description(DESCRIPTION)
    .addHelpText("after", EXAMPLES)
    .action((...[shell]) => ended(printScript(cli, completion, String(shell))));
}

const NAME = "glassbox";

async function printScript(cli: Cli, completion: ReturnType<typeof tab>, shell: string): Promise<number> {
  if (shell === "bash") await cli.host.terminal.stdout.write(BASH);
  else completion.setup(NAME, NAME, shell);
  return EXIT.completed;
}

/**
 * Our own for bash: the library's needs a package that few machines have, and it evaluates what stands on the
 * command line, so that TAB behind `> file` would empty that file.
 */
const BASH = `# bash completion for glassbox: needs nothing but bash 4
_glassbox() {
  local word line
  local -a words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  COMPREPLY=()
  for word in "\${words[@]:0:COMP_CWORD-1}"; do
    # Behind -- stands a program with its own words: bash completes those as it always does.
    if [[ $word == -- ]]; then return; fi
  done
  while IFS= read -r line; do
    if [[ $line == :* ]]; then continue; fi
    line=\${line%%$'\\t'*}
    if [[ $line == "\${COMP_WORDS[COMP_CWORD]}"* ]]; then COMPREPLY+=("$line"); fi
  done < <(glassbox complete -- "\${words[@]}" 2>/dev/null)
}
complete -o default -F _glassbox glassbox
`;

const DESCRIPTION = "Print a script that makes a shell complete the words of glassbox.";

const EXAMPLES = `
Examples:
  source <(glassbox completions bash)                            now; in ~/.bashrc for ever
  source <(glassbox completions zsh)                             now; in ~/.zshrc for ever
  glassbox completions fish > ~/.config/fish/completions/glassbox.fish`;
