import { type ErrorCode, EXIT, quoted } from "../core/errors.ts";
import type { LaunchMode } from "../core/launch.ts";
import { resolvePath } from "../core/paths.ts";

/**
 * Decides from the arguments and the surroundings what this start of the program is for, and why. Nothing is done
 * here. What cannot be told from a command becomes help and an exit code, never a listener that waits for a call
 * nobody makes.
 */

/** What the plan may ask about files. Paths are absolute; `launchLookups` lists all that can come. */
export interface LaunchLook {
  /** True for a file, or a link to one. */
  file(path: string): boolean;
  /** The content of a small text file, or null. */
  text(path: string): string | null;
  readonly workingDirectory: string;
}

export type LaunchPlan = CommandPlan | KbasePlan | RefusePlan | HelpPlan;

/** The command line's own commands, and words it will refuse as unknown. */
export interface CommandPlan {
  readonly mode: Exclude<LaunchMode, "kbase" | "edge">;
  readonly why: string;
  /** The first argument that is not a global option or its value. */
  readonly command: string;
}

/** A launch as the KBase SDK defines it. */
export interface KbasePlan {
  readonly mode: "kbase";
  readonly why: string;
  readonly action: KbaseAction;
  /** The directory that holds input.json, token and config.properties; null when there is none. */
  readonly work: string | null;
}

export type KbaseAction =
  /** Run the job waiting in the work directory, write its output.json and exit. */
  | { readonly kind: "job"; readonly input: string; readonly output: string; readonly token: string }
  /** The same for files named on the command line. `token` is the token itself or the path of its file. */
  | {
    readonly kind: "one-shot";
    readonly input: string;
    readonly output: string;
    readonly token: string | null;
  }
  /** The other modes of a module's container. */
  | { readonly kind: "init" | "report" | "test" | "bash" }
  /** Answer JSON-RPC as a dynamic service. */
  | { readonly kind: "service"; readonly host: string; readonly port: number }
  /** `glassbox kbase …`. */
  | { readonly kind: "command" };

/** The surroundings ask for a job that cannot run. */
export interface RefusePlan {
  readonly mode: "refuse";
  readonly why: string;
  readonly code: ErrorCode;
  readonly exitCode: number;
  readonly message: string;
  /** What is missing. */
  readonly file: string;
  /** Where an output.json with the error belongs, as the input that names the job is there; or null. */
  readonly output: string | null;
}

/** Nothing says what to do. */
export interface HelpPlan {
  readonly mode: "help";
  readonly why: string;
  readonly exitCode: number;
}

/** The words that name a command and can never be a KBase launch. */
export const COMMANDS: readonly string[] = [
  "run",
  "serve",
  "worker",
  "jobs",
  "queues",
  "schedules",
  "backup",
  "tasks",
  "doctor",
  "verify",
  "repair",
  "kbase",
  "completions",
  "version",
  "help",
  "dispatch",
];

/** Options with a value that may stand before the command. */
export const GLOBAL_OPTIONS: readonly string[] = [
  "--db",
  "--expect-db",
  "--config",
  "--log-format",
  "--color",
];

/** Options without a value that may stand before the command. */
export const GLOBAL_SWITCHES: readonly string[] = ["-q", "--quiet"];

const KBASE_WORK = "/kb/module/work";
const KBASE_SERVICE = { kind: "service", host: "0.0.0.0", port: 5000 } as const;
const WORK_FILES = ["input.json", "token", "config.properties"] as const;
const CONTAINER_MODES = ["init", "report", "test", "bash"] as const;
const MODULE_FILES = ["kbase.yaml", "kbase.yml"] as const;

/** `argv` is without the program's own name. */
export function planLaunch(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  look: LaunchLook,
): LaunchPlan {
  const words = withoutGlobalOptions(argv);
  const first = words[0];
  const work = findWork(look);
  if (first === undefined) return planWithoutWords(env, look, work);
  const why = `argument ${quoted(first)}`;
  if (first === "kbase") return { mode: "kbase", why, action: { kind: "command" }, work };
  if (COMMANDS.includes(first)) return { mode: modeOf(first), why, command: first };
  if (first === "async") return planJob(why, work ?? workDirectories(look)[0]!, env, look);
  const mode = CONTAINER_MODES.find((name) => name === first);
  if (mode !== undefined && work !== null) {
    return { mode: "kbase", why: `${why} in the KBase work directory ${work}`, action: { kind: mode }, work };
  }
  return planOneShot(words, look, work) ?? { mode: "command", why, command: first };
}

/** Every path that `planLaunch` may ask about, for a caller that has to read them beforehand. */
export function launchLookups(
  argv: readonly string[],
  workingDirectory: string,
): { readonly files: readonly string[]; readonly texts: readonly string[] } {
  const first = withoutGlobalOptions(argv)[0];
  const places = workDirectories({ workingDirectory });
  const files = places.flatMap((work) => [...WORK_FILES, "output.json"].map((name) => `${work}/${name}`));
  const texts = moduleFiles({ workingDirectory }).map(({ path }) => path);
  return { files: first === undefined ? files : [...files, resolvePath(workingDirectory, first)], texts };
}

function modeOf(command: string): CommandPlan["mode"] {
  return command === "run" || command === "serve" || command === "worker" || command === "dispatch"
    ? command
    : "command";
}

/** The arguments from the command on. An option that is not global is left for the command line to judge. */
function withoutGlobalOptions(argv: readonly string[]): readonly string[] {
  let at = 0;
  for (; at < argv.length; at++) {
    const option = argv[at]!;
    if (GLOBAL_SWITCHES.includes(option)) continue;
    if (GLOBAL_OPTIONS.some((name) => option.startsWith(`${name}=`))) continue;
    // Without its value the option itself is what is wrong, so it must not count as nothing.
    if (!GLOBAL_OPTIONS.includes(option) || at + 1 === argv.length) break;
    at += 1;
  }
  return argv.slice(at);
}

function planWithoutWords(
  env: Readonly<Record<string, string | undefined>>,
  look: LaunchLook,
  work: string | null,
): LaunchPlan {
  const none = "no arguments";
  if (work !== null && look.file(`${work}/input.json`) && !look.file(`${work}/output.json`)) {
    return planJob(`${none}, and ${work}/input.json is waiting without an output.json`, work, env, look);
  }
  const module = moduleFiles(look).find(({ path }) => look.text(path) !== null);
  if (module !== undefined && asksForJobRunner(look.text(module.path) ?? "")) {
    return planJob(
      `${none}, and ${module.path} says method-runner: jobRunner`,
      work ?? module.work,
      env,
      look,
    );
  }
  if (env["KBASE_ENDPOINT"] && work === null) {
    const why = `${none}, KBASE_ENDPOINT is set and there is no KBase work directory`;
    return { mode: "kbase", why, action: KBASE_SERVICE, work };
  }
  const isAnswered = work !== null && look.file(`${work}/input.json`) && look.file(`${work}/output.json`);
  const what = isAnswered
    ? `${work}/output.json answers the input.json beside it already: async runs it again`
    : "nothing here says what to run";
  return { mode: "help", why: `${none}, and ${what}`, exitCode: EXIT.usage };
}

function planJob(
  why: string,
  work: string,
  env: Readonly<Record<string, string | undefined>>,
  look: LaunchLook,
): KbasePlan | RefusePlan {
  const job = {
    kind: "job",
    input: `${work}/input.json`,
    output: `${work}/output.json`,
    token: `${work}/token`,
  } as const;
  // A token may also come through the environment; a job cannot.
  const needed = env["KB_AUTH_TOKEN"] ? [job.input] : [job.input, job.token];
  const missing = needed.filter((path) => !look.file(path));
  const file = missing[0];
  if (file === undefined) return { mode: "kbase", why, action: job, work };
  return {
    mode: "refuse",
    why,
    code: "input_missing",
    // What KBase's own entry point answers when there is no token.
    exitCode: file === job.token ? EXIT.failed : EXIT.noInput,
    message: `Cannot run the KBase job as ${missing.join(" and ")} must be there: ` +
      "a job's work directory holds input.json and token before it is started",
    file,
    output: look.file(job.input) ? job.output : null,
  };
}

/** `X Y [token]`, where X is a file. */
function planOneShot(words: readonly string[], look: LaunchLook, work: string | null): KbasePlan | null {
  const [input, output, token] = words;
  if (input === undefined || output === undefined || words.length > 3) return null;
  if (words.some((word) => word === "" || word.startsWith("-"))) return null;
  const inputPath = resolvePath(look.workingDirectory, input);
  if (!look.file(inputPath)) return null;
  const outputPath = resolvePath(look.workingDirectory, output);
  return {
    mode: "kbase",
    why: `argument ${quoted(input)}, which is a file, and an output file`,
    action: { kind: "one-shot", input: inputPath, output: outputPath, token: token ?? null },
    work,
  };
}

/** The first work directory with a job in it; else the first that holds anything a job runner leaves there. */
function findWork(look: LaunchLook): string | null {
  const places = workDirectories(look);
  return places.find((work) => look.file(`${work}/input.json`)) ??
    places.find((work) => WORK_FILES.some((name) => look.file(`${work}/${name}`))) ?? null;
}

function workDirectories({ workingDirectory }: Pick<LaunchLook, "workingDirectory">): readonly string[] {
  return [...new Set([resolvePath(workingDirectory, "work"), KBASE_WORK])];
}

/** Where a module descriptor may lie, and the work directory beside it; kbase.yaml goes before kbase.yml. */
function moduleFiles(look: Pick<LaunchLook, "workingDirectory">): readonly { path: string; work: string }[] {
  return workDirectories(look).flatMap((work) =>
    MODULE_FILES.map((name) => ({ path: resolvePath(work, `../${name}`), work }))
  );
}

const RUNNER = String.raw`["']?method-runner["']?\s*:\s*["']?jobRunner["']?`;
const JOB_CONFIG = /^["']?job-config["']?\s*:/;
const IN_FLOW = new RegExp(String.raw`^\S.*\{(?:.*,)?\s*${RUNNER}\s*(?:,.*)?\}$`);
const IN_BLOCK = new RegExp(String.raw`^\s+${RUNNER}$`);

/** Looks for `job-config: method-runner: jobRunner`; one nested key is not worth a YAML parser. */
function asksForJobRunner(yaml: string): boolean {
  let inside = false;
  for (const raw of yaml.split(/\r?\n/)) {
    const line = raw.replace(/(^|\s)#.*$/, "").trimEnd();
    if (line === "") continue;
    if (/^\S/.test(line)) inside = JOB_CONFIG.test(line);
    if (inside && (IN_BLOCK.test(line) || IN_FLOW.test(line))) return true;
  }
  return false;
}
