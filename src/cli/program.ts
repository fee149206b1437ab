import { Command, type CommanderError, type CommandUnknownOpts, Option } from "@commander-js/extra-typings";
import { GlassboxError } from "../core/errors.ts";
import { backup } from "./commands/backup.ts";
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
import { kbaseMode, kbaseServe, kbaseTestHarness, kbaseValidate } from "./commands/kbase_commands.ts";
import { queuesLimit, queuesList, queuesPause } from "./commands/queues.ts";
import { jobsPrune } from "./commands/prune.ts";
import type { RepairFlags } from "./commands/repair.ts";
import { run } from "./commands/run.ts";
import {
  schedulesAdd,
  schedulesList,
  schedulesPause,
  schedulesRemove,
  schedulesResume,
  schedulesShow,
} from "./commands/schedules.ts";
import { serveCommand } from "./commands/serve.ts";
import { tasks } from "./commands/tasks.ts";
import { verify } from "./commands/verify.ts";
import { version, versionText } from "./commands/version.ts";
import { worker } from "./commands/worker.ts";
import type { CommandPlan, LaunchPlan } from "./launch_plan.ts";
import type { Cli, GlobalFlags } from "./session.ts";

/** The words of a command line: those for glassbox, and the program behind `--`; null when there is no `--`. */
export interface SplitWords {
  readonly own: readonly string[];
  readonly program: readonly string[] | null;
}

/** Everything behind the first `--` belongs to the program and is never read as ours. */
export function splitWords(argv: readonly string[]): SplitWords {
  // A shell asks `complete -- WORD...` for what could come next: there the words are the question.
  const cut = argv[0] === "complete" ? -1 : argv.indexOf("--");
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
    .version(versionText(cli.host.about), "-V, --version", "print the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show help for a command")
    .addHelpText("after", EXAMPLES)
    .showSuggestionAfterError();
  withGlobals(program);
  // A flag given before the command and one given after it are the same flag.
  const globals = () => givenFlags(program);
  // Making the commands takes a good part of a start, so one that is named first is made alone.
  const named = isNamed(cli.plan) ? cli.plan.command : null;
  if (named === null || named === "run") addRun(program, cli, words, globals, ended);
  if (named === null) addServices(program, cli, globals, ended);
  if (named === null || named === "jobs") addJobs(program, cli, globals, ended);
  if (named === null) addQueues(program, cli, globals, ended);
  if (named === null) addSchedules(program, cli, words, globals, ended);
  if (named === null) addKbase(program, cli, globals, ended);
  if (named === null) addTools(program, cli, globals, ended);
  return program as unknown as Command;
}

/** True where the launch plan leaves no doubt about the command, and nothing else of the command line is needed. */
export function isNamed(plan: LaunchPlan): plan is CommandPlan {
  return "command" in plan && (plan.command === "run" || plan.command === "jobs");
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
    .option("--grace <duration>", "time between asking the job to stop and killing it (5s)")
    .option("--job-queue <queue>", "the queue, for a detached job (default)")
    .option("--priority <number>", "-1000 to 1000; higher is claimed first (0)")
    .option("--attempts <number>", "attempts in all, when one fails (1)")
    .option("--backoff <duration>", "the pause before the second attempt; it doubles each time (1s)")
    .option("--delay <duration>", "do not start before so long has passed")
    .option("--concurrency-key <key>", "jobs with equal keys run one after the other")
    .option("--output-max <bytes>", "output above this is dropped, and counted (256 MiB)")
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
    .description(
      "Serve the API and the page over HTTP on the loopback, and run jobs. The first Ctrl-C takes no new jobs " +
        "and lets running ones end, the second stops them now.",
    )
    .option("--host <address>", "where to listen (127.0.0.1)")
    .option("--port <number>", "the port; 0 takes any free one (8000)")
    .option("--workers <number>", "jobs at once, 1 to 1024 (4)")
    .option("--retention-age <duration>", "delete jobs that finished longer ago, as in 30d (never)")
    .option("--retention-jobs <number>", "delete all final jobs but the newest so many (never)")
    .option("--queued-max <number>", "accept no job while so many wait (10000)")
    .option("--submit-rate <number>", "jobs accepted in a second (as many as come)")
    .action((flags) => ended(serveCommand(cli, { ...globals(), ...flags })));
  program
    .command("worker")
    .summary("run queued jobs until told to stop")
    .description(
      "Run queued jobs until told to stop: the first Ctrl-C lets running jobs end, the second stops them now.",
    )
    .option("--queue <queue>", "a queue to take jobs from (repeatable; default)", collect)
    .option("--concurrency <number>", "jobs at once, 1 to 1024 (4)")
    .action((flags) => ended(worker(cli, { ...globals(), ...flags })));
}

function addJobs(program: Program, cli: Cli, globals: Globals, ended: Ended): void {
  const jobs = program.command("jobs").summary("look at jobs and steer them").description(
    "Look at jobs and steer them. A job is named by its id, or by `latest` for the newest.",
  );
  jobs.command("list").summary("newest first").description("List jobs, newest first.")
    .option("--state <state>", "only in this state (repeatable)", collect)
    .option("--task <task>", "only of this task")
    .option("--limit <number>", "at most so many (50)")
    .option("--json", "as JSON")
    .action((flags) => ended(jobsList(cli, { ...globals(), ...flags })));
  jobs.command("show").summary("all about one job").description(
    "Show all about one job: request, state, how it ended, events, artifacts.",
  ).argument("<job>").option("--json", "as JSON")
    .action((job, flags) => ended(jobsShow(cli, { ...globals(), ...flags }, job)));
  jobs.command("logs").summary("the lines a job wrote").description(
    "Print the lines a job wrote, in the order in which they came.",
  ).argument("<job>")
    .option("-f, --follow", "wait for more until the job ends")
    .option("--after <number>", "only lines after this number")
    .option("--stream <name>", "only stdout or stderr", demandStream)
    .option("-n, --number", "show line numbers")
    .option("-t, --time", "show when each line came")
    .option("--raw", "the bytes as they were written, unescaped")
    .option("--json", "one JSON document a line")
    .action((job, flags) => ended(jobsLogs(cli, { ...globals(), ...flags }, job)));
  jobs.command("wait").summary("wait for the end of a job").description(
    "Wait until a job is final; its exit code is ours.",
  ).argument("<job>")
    .option("--timeout <duration>", "give up after this long (exit 75)")
    .option("--json", "print the job as JSON")
    .action((job, flags) => ended(jobsWait(cli, { ...globals(), ...flags }, job)));
  jobs.command("cancel").summary("cancel a job").description(
    "Cancel a queued job, or ask a running one to stop.",
  ).argument("<job>")
    .option("--reason <text>", "why, for its events")
    .option("--json", "print the job as JSON")
    .action((job, flags) => ended(jobsCancel(cli, { ...globals(), ...flags }, job)));
  jobs.command("retry").summary("run a job once more").description(
    "Run the request of a final job once more, as a new job.",
  ).argument("<job>")
    .option("-d, --detach", "only submit; print the new id")
    .option("--json", "print the finished job as JSON")
    .action((job, flags) => ended(jobsRetry(cli, { ...globals(), ...flags }, job)));
  jobs.command("artifacts").summary("the files a job left").description(
    "List the artifacts of a job, or fetch one.",
  ).argument("<job>").argument(
    "[name]",
  )
    .option("--to <file>", "write it to this file, - for standard output (-)")
    .option("--json", "as JSON")
    .action((job, name, flags) => ended(jobsArtifacts(cli, { ...globals(), ...flags }, job, name)));
  jobs.command("export").summary("a job as a SQLite file").description(
    "Write one job's whole history as one SQLite file.",
  ).argument("<job>")
    .requiredOption("--to <file>", "the file to make; it must not exist")
    .action((job, flags) => ended(jobsExport(cli, { ...globals(), ...flags }, job)));
  jobs.command("prune").summary("delete final jobs").description(
    "Delete final jobs with all they left: those that meet everything given. Queued and running jobs stay.",
  ).option("--older-than <duration>", "finished longer ago than this, as in 30d")
    .option("--keep <number>", "never the newest so many")
    .option("--state <state>", "only in this state: completed, failed or cancelled (repeatable)", collect)
    .option("--dry-run", "only say what would be deleted")
    .option("--json", "as JSON")
    .action((flags) => ended(jobsPrune(cli, { ...globals(), ...flags })));
}

function addQueues(program: Program, cli: Cli, globals: Globals, ended: Ended): void {
  const queues = program.command("queues").summary("pause, resume and bound named queues");
  queues.command("list").description("what waits and runs in each").option("--json", "as JSON")
    .action((flags) => ended(queuesList(cli, { ...globals(), ...flags })));
  queues.command("pause").description("give out no more jobs of it; what runs goes on").argument("<queue>")
    .action((name) => ended(queuesPause(cli, globals(), name, true)));
  queues.command("resume").description("give out its jobs again").argument("<queue>")
    .action((name) => ended(queuesPause(cli, globals(), name, false)));
  queues.command("limit").description(
    "bound how many of its jobs run at once, over all workers; `none` for no bound",
  )
    .argument("<queue>").argument("<number>")
    .action((name, limit) => ended(queuesLimit(cli, globals(), name, limit)));
}

function addSchedules(program: Program, cli: Cli, words: SplitWords, globals: Globals, ended: Ended): void {
  const schedules = program.command("schedules").summary("run jobs at set times").description(
    "Run jobs at set times. `glassbox serve` and `glassbox worker` fire them, however many there are, once each.",
  );
  schedules.command("add").summary("add a schedule, or replace one").description(
    "Run a task, or any program behind `--`, as a job whenever a cron expression says so.",
  ).usage("[options] NAME TASK | [options] NAME -- PROGRAM [ARGUMENT]...")
    .argument("<name>").argument("[task...]")
    .requiredOption(
      "--cron <expression>",
      'minute, hour, day, month, weekday, as in "0 3 * * *"; six fields begin with seconds',
    )
    .option("--time-zone <zone>", "where the clock hangs, as in Europe/Berlin (UTC)")
    .option("--catch-up <rule>", "for times nobody watched: skip, last (one job) or all (last)")
    .option("--replace", "replace one of this name that is defined otherwise")
    .option("--input <file>", "the task's input: a JSON file, - for standard input, or JSON itself")
    .option("--set <key=value>", "set one field of the input (repeatable)", collect)
    .option("--queue <queue>", "the queue of its jobs (default)")
    .option("--timeout <duration>", "stop each job after this long, as in 90, 10m or 1h30m")
    .option("--grace <duration>", "time between asking a job to stop and killing it (5s)")
    .option("--priority <number>", "-1000 to 1000; higher is claimed first (0)")
    .option("--attempts <number>", "attempts in all, when one fails (1)")
    .option("--backoff <duration>", "the pause before the second attempt; it doubles each time (1s)")
    .option("--concurrency-key <key>", "jobs with equal keys run one after the other")
    .option("--output-max <bytes>", "output above this is dropped, and counted (256 MiB)")
    .option("--cwd <directory>", "the program's working directory (here)")
    .option("--env <name=value>", "add to the program's environment (repeatable)", collect)
    .option("--artifact <file>", "keep this file, as NAME=FILE under a name (repeatable)", collect)
    .option("--json", "print the schedule as JSON")
    .addHelpText("after", SCHEDULE_EXAMPLES)
    .action((name, task, { queue, ...flags }) =>
      // For the settings a queue is one to claim from.
      ended(schedulesAdd(cli, { ...globals(), ...flags, jobQueue: queue }, name, task, words.program))
    );
  schedules.command("list").summary("with their next times").description(
    "List schedules with their next three times.",
  ).option("--json", "as JSON").action((flags) => ended(schedulesList(cli, { ...globals(), ...flags })));
  const one = [
    ["show", "all about one schedule", "Show all about one schedule.", schedulesShow],
    ["remove", "remove a schedule", "Remove a schedule. Jobs that it fired stay.", schedulesRemove],
    ["pause", "fire no more until resumed", "Fire no more until the schedule is resumed.", schedulesPause],
    [
      "resume",
      "fire again",
      "Fire again from now on; times of the pause are not caught up.",
      schedulesResume,
    ],
  ] as const;
  for (const [command, summary, description, act] of one) {
    schedules.command(command).summary(summary).description(description)
      .argument("<name>").option("--json", "print the schedule as JSON")
      .action((name, flags) => ended(act(cli, { ...globals(), ...flags }, name)));
  }
}

function addKbase(program: Program, cli: Cli, globals: Globals, ended: Ended): void {
  const kbase = program.command("kbase").summary("act as a KBase module").description(
    "Act as a KBase module. A container of one needs no command: the launch plan sees the waiting job.",
  );
  kbase.command("serve").summary("answer JSON-RPC as a dynamic service").description(
    "Answer JSON-RPC as a dynamic service of KBase, and run what it is called for.",
  )
    .option("--host <address>", "where to listen (127.0.0.1)")
    .option("--port <number>", "the port; 0 takes any free one (5000)")
    .action((flags) => ended(kbaseServe(cli, { ...globals(), ...flags })));
  kbase.command("test").summary("play KBase's JobRunner for one job of the module here").description(
    "Play KBase's JobRunner and its services for one job of the module in this directory: no account, no network.",
  ).argument("[method]", "Module.method; not needed where there is only one")
    .option(
      "--params <json>",
      "the method's arguments: a JSON file, - or JSON; one object stands for a list of it",
    )
    .option("--input <file>", "an input.json with method and params")
    .option("--data <directory>", "objects and files to begin with")
    .option("--image <image>", "run the job in a container of this image, by podman (this program itself)")
    .option("--module <module=image>", "answer calls of a module by its image (repeatable)", collect)
    .option("--recorded <file>", "answer calls of other modules by what is written there")
    .option("--podman <argument>", "one more argument for `podman run` (repeatable)", collect)
    .option("--dir <directory>", "where everything of the job goes; must be empty (a new one)")
    .option("--user <name>", "whose token it is (tester)")
    .option("--limit <number>", "sub-jobs at once (10)")
    .option("--timeout <duration>", "kill the job after this long, as in 10m (7d)")
    .option("--json", "print how it went as JSON; the job's own output goes to stderr")
    .action((method, flags) => ended(kbaseTestHarness(cli, { ...globals(), ...flags }, method)));
  kbase.command("validate").summary("check the files of the module here").description(
    "Check kbase.yml, the KIDL spec, ui/narrative/methods and deploy.cfg by KBase's rules, offline.",
  ).argument("[directory]", "the module (here)").option("--json", "as JSON")
    .action((directory, flags) => ended(kbaseValidate(cli, { ...globals(), ...flags }, directory)));
  const modes = [
    [
      "async",
      "run the job that waits in the work directory",
      "Run the job that waits in the work directory.",
    ],
    ["init", "prepare reference data", "Prepare reference data, as the catalog asks for at registration."],
    ["report", "write compile_report.json", "Write the work directory's compile_report.json."],
  ] as const;
  for (const [mode, summary, description] of modes) {
    kbase.command(mode).summary(summary).description(description)
      .action(() => ended(kbaseMode(cli, globals(), mode)));
  }
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
  program.command("verify").summary("check every invariant on a database").description(
    "Check every invariant on the database and print what breaks. Exit 74 when anything does.",
  ).option("--json", "as JSON")
    .addOption(new Option("--reader").hideHelp()).addOption(new Option("--after <job>").hideHelp())
    .action((flags) => ended(verify(cli, { ...globals(), ...flags })));
  program.command("backup").summary("copy the database while it is in use").description(
    "Write a consistent copy of the database to a new file, while others go on using it.",
  ).argument("<file>").option("--force", "replace a file that is there").option("--json", "as JSON")
    .action((file, flags) => ended(backup(cli, { ...globals(), ...flags }, file)));
  program.command("repair").summary("copy what can be read of a damaged database").description(
    "Copy what can be read of a damaged database to a new file, and check the copy. The damaged one, which --db " +
      "names, is only read. Jobs of which something is missing say so in an event.",
  ).argument("<file>").option("--json", "as JSON")
    .action((file, flags) => ended(repairCommand(cli, { ...globals(), ...flags }, file)));
  program.command("version").summary("print the version").description(
    "Print the version, and which runtime runs it.",
  ).option("--json", "as JSON")
    .action((flags) => ended(version(cli, flags)));
}

/** Loaded only here, as it is rarely used. */
async function repairCommand(cli: Cli, flags: RepairFlags, file: string): Promise<number> {
  const { repair } = await import("./commands/repair.ts");
  return await repair(cli, flags, file);
}

function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** Commander's own errors in our words and with our exit code; `at` is the command whose words were wrong. */
export function usageError(
  error: CommanderError,
  at: Pick<CommandUnknownOpts, "name" | "parent" | "commands">,
): GlassboxError {
  let name = at.name();
  for (let outer = at.parent; outer !== null; outer = outer.parent) name = `${outer.name()} ${name}`;
  // Commander shows its help where a command is missing.
  const isMissing = error.code === "commander.help";
  const text = isMissing
    ? `a command must follow \`${name}\`: ${at.commands.map((command) => command.name()).join(", ")}`
    : error.message.replace(/^error: /, "").split("\n").map((line) => line.trim()).join(" ").trim()
      .replace(/\.$/, "");
  return new GlassboxError("usage", `Cannot read the command line: ${text}; see \`${name} --help\``);
}

const EXAMPLES = `
Examples:
  glassbox run -- python3 train.py --epochs 3     any program as a job; its exit code is ours
  glassbox run selftest --set steps=5             a task of glassbox
  glassbox run --detach -- make all               submit only; a worker or server runs it
  glassbox jobs logs latest --follow              watch the newest job
  glassbox serve --port 8000                      the same jobs over HTTP, with a page

Exit codes: 0 completed, 1 failed (for a program: its own code, 128+signal), 64 usage, 65 bad data, 66 no input,
69 unavailable, 70 bug, 73 cannot create, 74 I/O, 75 try later, 77 denied, 78 configuration, 124 timeout, 130 Ctrl-C,
143 terminated, 141 nobody reads the output.`;

const SCHEDULE_EXAMPLES = `
Examples:
  glassbox schedules add nightly --cron "0 3 * * *" --time-zone Europe/Berlin -- ./backup.sh
  glassbox schedules add check --cron "*/5 * * * *" --catch-up skip selftest --set steps=2`;

const RUN_EXAMPLES = `
Examples:
  glassbox run -- sh -c 'echo out; echo err >&2; exit 3'
  glassbox run --timeout 10m --artifact report.html -- ./analyse data.csv
  gzip -dc data.gz | glassbox run --stdin - -- wc -l
  glassbox run selftest --input '{"steps": 5}' --json | jq .job.result`;
