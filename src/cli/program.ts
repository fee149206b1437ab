import { Command, Option } from "@commander-js/extra-typings";
import { GlassboxError } from "../core/errors.ts";
import { doctor } from "./commands/doctor.ts";
import { jobsArtifacts } from "./commands/artifacts.ts";
import { jobsExport } from "./commands/export.ts";
import {
  demandStream,
  jobsCancel,
  jobsList,
  jobsLogs,
  jobsRetry,
  jobsShow,
  jobsWait,
} from "./commands/jobs.ts";
import { run } from "./commands/run.ts";
import { serveCommand } from "./commands/serve.ts";
import { tasks } from "./commands/tasks.ts";
import { version } from "./commands/version.ts";
import { worker } from "./commands/worker.ts";
import type { Cli, GlobalFlags } from "./session.ts";

/** The words of a command line: those for glassbox, and the program behind `--`; null when there is no `--`. */
export interface SplitWords {
  readonly own: readonly string[];
  readonly program: readonly string[] | null;
}

/** Everything behind the first `--` belongs to the program and is never read as ours. */
export function splitWords(argv: readonly string[]): SplitWords {
  const cut = argv.indexOf("--");
  return cut === -1
    ? { own: argv, program: null }
    : { own: argv.slice(0, cut), program: argv.slice(cut + 1) };
}

/**
 * The command line. A command turns flags into one call and gives its exit code to `ended`; nothing else happens
 * here. Flags have no defaults of their own, or they would beat the environment and the config file.
 */
export function createProgram(
  cli: Cli,
  words: SplitWords,
  ended: (exitCode: Promise<number>) => void,
): Command {
  const program = new Command("glassbox")
    .description("Run jobs without black boxes: every row, event and line is kept, and shown as it comes.")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show help for a command")
    .addHelpText("after", EXAMPLES)
    .showSuggestionAfterError();
  withGlobals(program);
  // A flag given before the command and one given after it are the same flag.
  const globals = () => givenFlags(program);
  addRun(program, cli, words, globals, ended);
  addServices(program, cli, globals, ended);
  addJobs(program, cli, globals, ended);
  addTools(program, cli, globals, ended);
  return program as unknown as Command;
}

/** Only what stood on the command line: the environment is read with the settings, which remember the difference. */
function givenFlags(program: Program): GlobalFlags {
  const given = Object.entries(program.opts()).filter(([name]) =>
    program.getOptionValueSource(name as never) === "cli"
  );
  return Object.fromEntries(given);
}

type Globals = () => GlobalFlags;
type Ended = (exitCode: Promise<number>) => void;
type Program = ReturnType<typeof newGroup>;

function newGroup() {
  return new Command();
}

function withGlobals<C extends { addOption(option: Option): unknown }>(command: C): C {
  command.addOption(new Option("--db <place>", "the database: a path or a URL").env("GLASSBOX_DB"));
  command.addOption(
    new Option("--expect-db <id>", "refuse a database whose id does not begin so").env("GLASSBOX_EXPECT_DB"),
  );
  command.addOption(new Option("--config <file>", "the config file").env("GLASSBOX_CONFIG"));
  command.addOption(
    new Option("--log-format <format>", "how glassbox talks on stderr: text or json").env(
      "GLASSBOX_LOG_FORMAT",
    ),
  );
  command.addOption(new Option("--color <when>", "auto, always or never").env("GLASSBOX_COLOR"));
  command.addOption(new Option("-q, --quiet", "say nothing but errors"));
  return command;
}

function addRun(program: Program, cli: Cli, words: SplitWords, globals: Globals, ended: Ended): void {
  program
    .command("run")
    .summary("run a task, or any program behind --, as a job")
    .description(
      "Run a task of glassbox, or any program behind `--`, as a job, and show its output as it comes.",
    )
    .usage("[options] TASK | [options] -- PROGRAM [ARGUMENT]...")
    .argument("[task...]")
    .option("--input <file>", "the task's input: a JSON file, - for standard input, or JSON itself")
    .option("--set <key=value>", "set one field of the input (repeatable)", collect)
    .option("--key <key>", "idempotency key: the same key and request never run twice")
    .option("--timeout <duration>", "stop the job after this long, as in 90, 10m or 1h30m")
    .option("--grace <duration>", "between asking the job to stop and killing it (5s)")
    .option("--job-queue <queue>", "the queue, for a detached job")
    .option("--priority <number>", "-1000 to 1000; higher is claimed first")
    .option("--output-max <bytes>", "output above this is dropped, and counted")
    .option("--cwd <directory>", "the program's working directory (here)")
    .option("--env <name=value>", "add to the program's environment (repeatable)", collect)
    .option("--stdin <file>", "the program's standard input: a file, or - for ours (empty)")
    .option("--artifact <file>", "keep this file, as NAME=FILE under a name (repeatable)", collect)
    .option("-d, --detach", "only submit; print the job's id")
    .option("--json", "print the finished job as JSON; its own output goes to stderr")
    .addHelpText("after", RUN_EXAMPLES)
    .action((task, flags) => ended(run(cli, { ...globals(), ...flags }, task, words.program)));
}

function addServices(program: Program, cli: Cli, globals: Globals, ended: Ended): void {
  program
    .command("serve")
    .summary("serve jobs over HTTP, and run them")
    .description("Serve the API and the page over HTTP on the loopback, and run jobs.")
    .option("--host <address>", "where to listen (127.0.0.1)")
    .option("--port <number>", "the port; 0 for any (8000)")
    .option("--workers <number>", "jobs at once; 0 is not possible (number of processors)")
    .action((flags) => ended(serveCommand(cli, { ...globals(), ...flags })));
  program
    .command("worker")
    .summary("run queued jobs until told to stop")
    .option("--queue <queue>", "a queue to take jobs from (repeatable; default)", collect)
    .option("--concurrency <number>", "jobs at once (number of processors)")
    .action((flags) => ended(worker(cli, { ...globals(), ...flags })));
}

function addJobs(program: Program, cli: Cli, globals: Globals, ended: Ended): void {
  const jobs = program.command("jobs").summary("look at jobs and steer them").description(
    "Look at jobs and steer them. JOB is an id, or `latest`.",
  );
  jobs.command("list").description("newest first")
    .option("--state <state>", "only these (repeatable)", collect)
    .option("--task <task>", "only of this task")
    .option("--limit <number>", "at most so many (50)")
    .option("--json", "as JSON")
    .action((flags) => ended(jobsList(cli, { ...globals(), ...flags })));
  jobs.command("show").description("all about one job").argument("<job>").option("--json", "as JSON")
    .action((job, flags) => ended(jobsShow(cli, { ...globals(), ...flags }, job)));
  jobs.command("logs").description("the lines a job wrote").argument("<job>")
    .option("-f, --follow", "wait for more until the job ends")
    .option("--after <number>", "only lines after this number")
    .option("--stream <name>", "only stdout or stderr", demandStream)
    .option("-n, --number", "show line numbers")
    .option("-t, --time", "show when each line came")
    .option("--raw", "the bytes as they were written, unescaped")
    .option("--json", "one JSON document a line")
    .action((job, flags) => ended(jobsLogs(cli, { ...globals(), ...flags }, job)));
  jobs.command("wait").description("wait until a job is final; its exit code is ours").argument("<job>")
    .option("--timeout <duration>", "give up after this long (exit 75)")
    .option("--json", "print the job as JSON")
    .action((job, flags) => ended(jobsWait(cli, { ...globals(), ...flags }, job)));
  jobs.command("cancel").description("cancel a queued job, ask a running one to stop").argument("<job>")
    .option("--reason <text>", "why, for its events")
    .option("--json", "print the job as JSON")
    .action((job, flags) => ended(jobsCancel(cli, { ...globals(), ...flags }, job)));
  jobs.command("retry").description("run a final job's request once more, as a new job").argument("<job>")
    .option("-d, --detach", "only submit; print the new id")
    .option("--json", "print the finished job as JSON")
    .action((job, flags) => ended(jobsRetry(cli, { ...globals(), ...flags }, job)));
  jobs.command("artifacts").description("list a job's artifacts, or fetch one").argument("<job>").argument(
    "[name]",
  )
    .option("--to <file>", "write it to this file (standard output)")
    .option("--json", "as JSON")
    .action((job, name, flags) => ended(jobsArtifacts(cli, { ...globals(), ...flags }, job, name)));
  jobs.command("export").description("one job's whole history as one SQLite file").argument("<job>")
    .requiredOption("--to <file>", "the file to make; it must not exist")
    .action((job, flags) => ended(jobsExport(cli, { ...globals(), ...flags }, job)));
}

function addTools(program: Program, cli: Cli, globals: Globals, ended: Ended): void {
  program.command("tasks").summary("what can run here").description(
    "What can run here; with a name, its input and output schema.",
  )
    .argument("[name]").option("--json", "as JSON")
    .action((name, flags) => ended(tasks(cli, flags, name)));
  program.command("doctor").summary("which binary, runtime, database, mode and why").description(
    "Say which binary, runtime, database and mode this is and why, what is missing, and what would happen here.",
  ).option("--json", "as JSON").action((flags) => ended(doctor(cli, { ...globals(), ...flags })));
  program.command("version").summary("print the version").option("--json", "as JSON")
    .action((flags) => ended(version(cli, flags)));
}

function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** Commander's own errors in our words and with our exit code. */
export function usageError(message: string): GlassboxError {
  const [first, ...rest] = message.replace(/^error: /, "").split("\n").map((line) => line.trim());
  return new GlassboxError("usage", [`Cannot read the command line: ${first}`, ...rest].join(" ").trim());
}

const EXAMPLES = `
Examples:
  glassbox run -- python3 train.py --epochs 3     any program as a job; its exit code is ours
  glassbox run selftest --set steps=5             a task of glassbox
  glassbox run --detach -- make all               submit only; a worker or server runs it
  glassbox jobs logs latest --follow              watch the newest job
  glassbox serve --port 8000                      the same jobs over HTTP, with a page

Exit codes: 0 completed, 1 failed (for a program: its own code, 128+signal), 64 usage, 65 bad data, 66 no input,
69 unavailable, 70 bug, 73 cannot create, 74 I/O, 75 try later, 77 denied, 78 configuration, 124 timeout, 130 Ctrl-C.`;

const RUN_EXAMPLES = `
Examples:
  glassbox run -- sh -c 'echo out; echo err >&2; exit 3'
  glassbox run --timeout 10m --artifact report.html -- ./analyse data.csv
  gzip -dc data.gz | glassbox run --stdin - -- wc -l
  glassbox run selftest --input '{"steps": 5}' --json | jq .job.result`;
