import { CommanderError } from "@commander-js/extra-typings";
import { asGlassboxError, EXIT, GlassboxError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { TaskRegistry } from "../core/task.ts";
import { dispatch } from "../executor/dispatch.ts";
import { addCompletions } from "./commands/completions.ts";
import { leadingFlags } from "./leading_flags.ts";
import { plannedLaunch } from "./planned_launch.ts";
import { OutputError, withGuardedOutput } from "./output_error.ts";
import { createProgram, isNamed, type SplitWords, splitWords, usageError } from "./program.ts";
import type { Cli, Voice } from "./session.ts";
import { createStyle, wantsColor } from "./style.ts";
import { Talk } from "./talk.ts";

/** Runs one command line to its end and gives its exit code. Never throws. */
export async function runApplication(
  machine: Host,
  registry: TaskRegistry,
  argv: readonly string[],
): Promise<number> {
  const host = withGuardedOutput(machine);
  const voice: Voice = { talk: earlyTalk(host, argv) };
  try {
    const plan = await plannedLaunch(host, argv);
    return await carryOut({ host, registry, plan, voice }, argv);
  } catch (error) {
    return await tellError(host, voice.talk, error);
  }
}

async function carryOut(cli: Cli, argv: readonly string[]): Promise<number> {
  const { plan } = cli;
  if (plan.mode === "dispatch") return await dispatch(cli.host, cli.registry);
  if (plan.mode === "kbase" && plan.action.kind !== "command") {
    // Loaded only here, as are the web server and the reader of kbase.yml: no other start should pay for them.
    const { kbaseLaunch } = await import("./commands/kbase.ts");
    return await kbaseLaunch(cli, leadingFlags(argv), plan);
  }
  if (plan.mode === "refuse") {
    const { refuseKbaseJob } = await import("./commands/kbase_job.ts");
    return await refuseKbaseJob(cli, plan);
  }
  if (plan.mode === "help") return await showHelp(cli, plan.why, plan.exitCode);
  return await runCommand(cli, argv);
}

async function showHelp(cli: Cli, why: string, exitCode: number): Promise<number> {
  const { talk } = cli.voice;
  if (!talk.isJson) {
    let page = "";
    const program = configured(cli, { own: [], program: null }, () => undefined, (text) => page += text);
    program.outputHelp();
    await cli.host.terminal.stderr.write(`${page}\n`).catch(() => undefined);
  }
  await talk.error(new GlassboxError("usage", `Cannot tell what to do (${why}): name a command`));
  return exitCode;
}

function takesProgram({ plan }: Cli, { own }: SplitWords): boolean {
  if (plan.mode === "run") return true;
  return "command" in plan && plan.command === "schedules" && own[own.indexOf("schedules") + 1] === "add";
}

async function runCommand(cli: Cli, argv: readonly string[]): Promise<number> {
  const { terminal } = cli.host;
  const words = splitWords(argv);
  if (words.program !== null && !takesProgram(cli, words)) {
    throw new GlassboxError(
      "usage",
      "Cannot use `--` here: only `glassbox run` and `glassbox schedules add` take a program behind it",
    );
  }
  let exitCode: Promise<number> | null = null;
  let out = "";
  const program = configured(cli, words, (code) => exitCode = code, (text) => out += text);
  let failing: ProgramLike | null = null;
  visitAll(program, (command) =>
    command.exitOverride((error) => {
      failing = command;
      throw error;
    }));
  try {
    await program.parseAsync([...words.own], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help that was asked for is data; help that was not, and every complaint, is an error.
    if (error.exitCode !== 0) throw usageError(error, failing ?? program);
    await terminal.stdout.write(out);
    return EXIT.completed;
  }
  return await (exitCode ?? EXIT.completed);
}

const EVERYWHERE = "\nOptions of every command, such as --db and --log-format: see `glassbox --help`.";

type ProgramLike = ReturnType<typeof createProgram>;

/** The command line with all its commands, which writes its help to `writeOut` and never ends the process. */
function configured(
  cli: Cli,
  words: SplitWords,
  ended: (exitCode: Promise<number>) => void,
  writeOut: (text: string) => void,
): ProgramLike {
  const program = createProgram(cli, words, ended);
  if (!isNamed(cli.plan)) addCompletions(cli, program, ended);
  const style = createStyle(
    wantsColor("auto", cli.host.terminal.stdout) && !cli.host.processes.environment["NO_COLOR"],
  );
  visitAll(program, (command) => {
    if (command !== program) command.addHelpText("after", EVERYWHERE);
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
  });
  return program;
}

function visitAll(command: ProgramLike, visit: (command: ProgramLike) => void): void {
  visit(command);
  for (const inner of command.commands) visitAll(inner as ProgramLike, visit);
}

async function tellError(host: Host, talk: Talk, error: unknown): Promise<number> {
  const known = asGlassboxError(error);
  if (known instanceof OutputError && known.isSilent) return known.exitCode;
  await talk.error(known);
  if (host.processes.environment["GLASSBOX_DEBUG"] && error instanceof Error) {
    await host.terminal.stderr.write(
      `${error.stack}\n${known.cause instanceof Error ? known.cause.stack : ""}\n`,
    );
  }
  return known.exitCode;
}

/** How to say what went wrong before the settings were known, or because they could not be. */
function earlyTalk(host: Host, argv: readonly string[]): Talk {
  const { environment } = host.processes;
  const { own } = splitWords(argv);
  const flag = own.indexOf("--log-format");
  const wanted = own.find((word) => word.startsWith("--log-format="))?.slice("--log-format=".length) ??
    (flag === -1 ? undefined : own[flag + 1]) ?? environment["GLASSBOX_LOG_FORMAT"];
  const json = wanted === "json";
  const style = createStyle(!json && wantsColor("auto", host.terminal.stderr) && !environment["NO_COLOR"]);
  return new Talk(host, style, { json, quiet: false });
}
