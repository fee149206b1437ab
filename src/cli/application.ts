import { CommanderError } from "@commander-js/extra-typings";
import { asGlassboxError, EXIT, GlassboxError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { TaskRegistry } from "../core/task.ts";
import { dispatch } from "../executor/dispatch.ts";
import { addCompletions } from "./commands/completions.ts";
import { plannedLaunch } from "./planned_launch.ts";
import { createProgram, splitWords, usageError } from "./program.ts";
import { type Cli, prepare } from "./session.ts";
import { createStyle, wantsColor } from "./style.ts";
import { Talk } from "./talk.ts";

/** Runs one command line to its end and gives its exit code. Never throws. */
export async function runApplication(
  host: Host,
  registry: TaskRegistry,
  argv: readonly string[],
): Promise<number> {
  try {
    const plan = await plannedLaunch(host, argv);
    return await carryOut({ host, registry, plan }, argv);
  } catch (error) {
    return await tellError(host, argv, error);
  }
}

async function carryOut(cli: Cli, argv: readonly string[]): Promise<number> {
  const { plan } = cli;
  if (plan.mode === "dispatch") return await dispatch(cli.host, cli.registry);
  if (plan.mode === "kbase") throw kbaseNotBuilt(plan.why);
  if (plan.mode === "refuse") {
    const { talk } = await prepare(cli, {});
    await talk.error(new GlassboxError(plan.code, `${plan.message} (${plan.why})`));
    return plan.exitCode;
  }
  if (plan.mode === "help") return await showHelp(cli, plan.why, plan.exitCode);
  return await runCommand(cli, argv);
}

/** The KBase rows of the launch plan are known but not yet answered; to refuse beats to wait for ever. */
function kbaseNotBuilt(why: string): GlassboxError {
  return new GlassboxError(
    "not_built",
    `Cannot act as a KBase module (${why}) as that part is not built yet: see \`glassbox kbase\` in the documentation`,
  );
}

async function showHelp(cli: Cli, why: string, exitCode: number): Promise<number> {
  const program = createProgram(cli, { own: [], program: null }, () => undefined);
  const { stderr } = cli.host.terminal;
  await stderr.write(`${program.helpInformation()}\nglassbox: nothing to do (${why}): name a command\n`);
  return exitCode;
}

async function runCommand(cli: Cli, argv: readonly string[]): Promise<number> {
  const { terminal } = cli.host;
  const words = splitWords(argv);
  let exitCode: Promise<number> | null = null;
  let out = "";
  const program = createProgram(cli, words, (code) => exitCode = code);
  addCompletions(cli, program, (code) => exitCode = code);
  configure(program, (text) => out += text, cli);
  try {
    await program.parseAsync([...words.own], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help that was asked for is data; help that was not, and every complaint, is an error.
    if (error.exitCode !== 0) {
      throw usageError(error.code === "commander.help" ? "a command is missing" : error.message);
    }
    await terminal.stdout.write(out);
    return EXIT.completed;
  }
  return await (exitCode ?? EXIT.completed);
}

type ProgramLike = ReturnType<typeof createProgram>;

function configure(program: ProgramLike, writeOut: (text: string) => void, cli: Cli): void {
  const style = createStyle(
    wantsColor("auto", cli.host.terminal.stdout) && !cli.host.processes.environment["NO_COLOR"],
  );
  const visit = (command: ProgramLike) => {
    command.exitOverride();
    command.configureOutput({
      writeOut,
      writeErr: () => undefined,
      getOutHelpWidth: () => cli.host.terminal.stdout.columns,
    });
    command.configureHelp({
      styleTitle: style.bold,
      styleCommandText: style.cyan,
      styleOptionTerm: style.cyan,
    });
    for (const inner of command.commands) visit(inner as ProgramLike);
  };
  visit(program);
}

async function tellError(host: Host, argv: readonly string[], error: unknown): Promise<number> {
  const known = asGlassboxError(error);
  const json = argv.includes("--log-format=json") ||
    host.processes.environment["GLASSBOX_LOG_FORMAT"] === "json" ||
    argv[argv.indexOf("--log-format") + 1] === "json";
  const style = createStyle(
    wantsColor("auto", host.terminal.stderr) && !host.processes.environment["NO_COLOR"],
  );
  await new Talk(host, style, { json, quiet: false }).error(known);
  if (host.processes.environment["GLASSBOX_DEBUG"] && error instanceof Error) {
    await host.terminal.stderr.write(
      `${error.stack}\n${known.cause instanceof Error ? known.cause.stack : ""}\n`,
    );
  }
  return known.exitCode;
}
