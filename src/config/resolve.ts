import type { z } from "zod";
import { type FieldError, GlassboxError, isGlassboxError, messageOf, quoted } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { directoryOf, resolvePath } from "../core/paths.ts";
import { fieldPath } from "../core/schema.ts";
import { databaseUrl, fileUrl, pathProblem, redactUrl } from "./database_url.ts";
import {
  configDocument,
  FLAGS,
  fromText,
  RULES,
  type SettingFlags,
  type SettingValues,
  VARIABLES,
} from "./setting_rules.ts";
import type { SettingName, Settings, SettingSource } from "./settings.ts";
import { parseJsonc } from "./strict_json.ts";

export { databasePath, redactUrl } from "./database_url.ts";
export type { SettingFlags } from "./setting_rules.ts";

/** A process's environment; an empty value counts as unset. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A config file that was found: where, and the value it holds. */
export interface ConfigFile {
  /** Absolute; relative paths inside the file are taken from its directory. */
  readonly path: string;
  readonly value: unknown;
}

/** What only the caller knows about the defaults. */
export interface SettingDefaults {
  /** Usually the number of processors; 4 when absent. */
  readonly concurrency?: number | undefined;
  /** The scratch directory of a KBase job, whose database then is the default. */
  readonly kbaseScratch?: string | null | undefined;
}

/** Everything that settings are made of; later ones of defaults, file, environment and flags win. */
export interface SettingLayers {
  readonly defaults?: SettingDefaults | undefined;
  readonly file: ConfigFile | null;
  readonly environment: Environment;
  readonly flags: SettingFlags;
  /** Absolute; relative paths in flags and environment are taken from it. */
  readonly workingDirectory: string;
}

/**
 * Frozen settings. Every bad value of a layer is named in one error, the flags' first: `usage` for flags,
 * `configuration` for the environment and the file.
 */
export function resolveSettings(layers: SettingLayers): Settings {
  const flags = fromFlags(layers);
  const environment = fromEnvironment(layers);
  const file = layers.file === null ? {} : fromFile(layers.file);
  const database = flags.database ?? environment.database ?? file.database ?? defaultDatabase(layers);
  const source = {} as Record<SettingName, SettingSource>;
  const values = { ...defaultValues(layers), database };
  for (const name of Object.keys(values) as SettingName[]) source[name] = "default";
  for (const [layer, from] of [[file, "file"], [environment, "environment"], [flags, "flag"]] as const) {
    for (const name of Object.keys(layer) as SettingName[]) source[name] = from;
    Object.assign(values, layer);
  }
  return Object.freeze({
    ...values,
    queues: Object.freeze([...values.queues]),
    configFile: layers.file?.path ?? null,
    stateDirectory: stateDirectory(layers.environment),
    source: Object.freeze(source),
  });
}

/** The part of a Host that holds settings. */
export interface SettingsHost {
  readonly files: Pick<Host["files"], "info" | "read">;
  readonly processes: Pick<Host["processes"], "environment" | "workingDirectory">;
}

/** Finds and reads the config file and resolves the settings of this process. */
export async function loadSettings(
  host: SettingsHost,
  flags: SettingFlags,
  defaults: SettingDefaults = {},
): Promise<Settings> {
  const { environment, workingDirectory } = host.processes;
  const file = await readConfigFile(host.files, { flags, environment, workingDirectory });
  return resolveSettings({ defaults, file, environment, flags, workingDirectory });
}

const CONFIG_BYTES_MAX = 1024 * 1024;

async function readConfigFile(
  files: SettingsHost["files"],
  layers: Pick<SettingLayers, "flags" | "environment" | "workingDirectory">,
): Promise<ConfigFile | null> {
  const named = namedConfigFile(layers);
  const path = named ?? defaultConfigFile(layers.environment);
  if (path === null) return null;
  const what = `the config file ${quoted(path)}`;
  try {
    const info = await files.info(path);
    if (info === null && named === null) return null;
    if (info === null) throw misconfigured(`Cannot read ${what}: it does not exist`);
    if (info.kind !== "file") {
      throw misconfigured(`Cannot read ${what} as it must be a file: it is a ${info.kind}`);
    }
    return { path, value: parseJsonc(await files.read(path, CONFIG_BYTES_MAX), what) };
  } catch (error) {
    if (isGlassboxError(error)) throw misconfigured(error.message, error);
    if (named === null && isNotDirectory(error)) return null;
    throw misconfigured(`Cannot read ${what}: ${messageOf(error)}`, error);
  }
}

/** The config file that a flag or variable names, made absolute. */
function namedConfigFile(
  { flags, environment, workingDirectory }: Pick<SettingLayers, "flags" | "environment" | "workingDirectory">,
): string | null {
  const variable = given(environment, "GLASSBOX_CONFIG");
  const value = flags.config ?? variable;
  if (value === undefined) return null;
  const wrong = pathProblem(value);
  if (wrong === null) return resolvePath(workingDirectory, value);
  const [label, source] = flags.config === undefined
    ? ["GLASSBOX_CONFIG", "environment" as const]
    : ["--config", "flag" as const];
  throw refusal(source, [{ label, message: wrong, shown: quoted(value) }]);
}

function defaultConfigFile(environment: Environment): string | null {
  const base = baseDirectory(environment, "XDG_CONFIG_HOME", ".config");
  return base === null ? null : `${base}/glassbox/config.jsonc`;
}

function defaultDatabase({ environment, defaults }: SettingLayers): string {
  const scratch = defaults?.kbaseScratch ?? null;
  if (scratch !== null) return fileUrl(resolvePath(scratch, "glassbox.db"));
  const state = stateDirectory(environment);
  if (state !== null) return fileUrl(resolvePath(state, "glassbox.db"));
  throw misconfigured(
    "Cannot choose a database as HOME must be an absolute path: " +
      `current value is ${quoted(environment["HOME"] ?? "")}. Give --db, GLASSBOX_DB or XDG_STATE_HOME`,
  );
}

function stateDirectory(environment: Environment): string | null {
  const base = baseDirectory(environment, "XDG_STATE_HOME", ".local/state");
  return base === null ? null : resolvePath(base, "glassbox");
}

/** A base directory as the XDG specification has it, which says to ignore a relative one. */
function baseDirectory(environment: Environment, variable: string, underHome: string): string | null {
  const chosen = given(environment, variable);
  if (chosen?.startsWith("/")) return chosen;
  const home = given(environment, "HOME");
  return home?.startsWith("/") ? resolvePath(home, underHome) : null;
}

function defaultValues({ defaults }: SettingLayers): Omit<Pick<Settings, SettingName>, "database"> {
  return {
    databaseToken: null,
    expectDatabase: null,
    host: "127.0.0.1",
    port: 8000,
    concurrency: defaults?.concurrency ?? 4,
    queues: ["default"],
    retentionMaxAgeMs: null,
    retentionMaxJobs: null,
    queuedMax: LIMITS.queuedDefault,
    submitRate: null,
    logFormat: "text",
    color: "auto",
  };
}

/** One value of a layer before it is checked. */
interface Given {
  readonly name: SettingName;
  /** The flag, variable or field as the user wrote it. */
  readonly label: string;
  readonly value: unknown;
  /** The value as the user wrote it, for messages. */
  readonly raw: unknown;
}

interface Problem {
  readonly label: string;
  readonly message: string;
  /** Null where the value must not be shown or there is none. */
  readonly shown: string | null;
}

function fromFlags({ flags, workingDirectory }: SettingLayers): SettingValues {
  const list: Given[] = [];
  for (const [key, name, label] of FLAGS) {
    const raw = flags[key];
    if (raw === undefined) continue;
    list.push({ name, label, raw, value: typeof raw === "string" ? fromText(name, raw) : raw });
  }
  return checked("flag", list, workingDirectory);
}

function fromEnvironment({ environment, workingDirectory }: SettingLayers): SettingValues {
  const list: Given[] = [];
  // https://no-color.org: any text in it counts. It goes first, so that GLASSBOX_COLOR has the last word.
  if (given(environment, "NO_COLOR") !== undefined) {
    list.push({ name: "color", label: "NO_COLOR", raw: "", value: "never" });
  }
  for (const [label, name] of VARIABLES) {
    const raw = given(environment, label);
    if (raw !== undefined) list.push({ name, label, raw, value: fromText(name, raw) });
  }
  return checked("environment", list, workingDirectory);
}

function given(environment: Environment, variable: string): string | undefined {
  const value = environment[variable];
  return value === "" ? undefined : value;
}

function checked(source: SettingSource, list: readonly Given[], directory: string): SettingValues {
  const values: SettingValues = {};
  const problems: Problem[] = [];
  for (const { name, label, value, raw } of list) {
    const parsed = RULES[name]().safeParse(value);
    const database = name === "database" ? databaseUrl(String(value), directory) : null;
    const message = parsed.error?.issues[0]?.message ??
      (database && "problem" in database && database.problem);
    if (typeof message === "string") problems.push({ label, message, shown: shownValue(name, raw) });
    else Object.assign(values, { [name]: database && "url" in database ? database.url : parsed.data });
  }
  if (problems.length > 0) throw refusal(source, problems);
  return values;
}

function fromFile({ path, value }: ConfigFile): SettingValues {
  const where = ` of the config file ${quoted(path)}`;
  const parsed = configDocument().safeParse(value);
  const problems = parsed.success ? [] : parsed.error.issues.flatMap((issue) => fileProblems(issue, value));
  const { database, ...others } = parsed.data ?? {};
  // The parsed fields are optional, never undefined: JSON has no undefined.
  const values = { ...others } as SettingValues;
  if (database !== undefined) {
    const url = databaseUrl(database, directoryOf(path));
    if ("url" in url) values.database = url.url;
    else problems.push({ label: "database", message: url.problem, shown: shownValue("database", database) });
  }
  if (problems.length > 0) throw refusal("file", problems, where);
  return values;
}

function fileProblems(issue: z.core.$ZodIssue, document: unknown): Problem[] {
  const label = (path: readonly PropertyKey[]) => fieldPath("", path);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      label: label([...issue.path, key]),
      message: `is not a setting; the settings are ${Object.keys(RULES).join(", ")}`,
      shown: null,
    }));
  }
  let value = document;
  for (const part of issue.path) value = (value as Record<PropertyKey, unknown>)[part];
  return [{
    label: label(issue.path),
    message: issue.message,
    shown: shownValue(issue.path[0] as SettingName | undefined, value),
  }];
}

function shownValue(name: SettingName | undefined, raw: unknown): string | null {
  if (name === "databaseToken" || name === undefined) return null;
  if (typeof raw === "string") return quoted(name === "database" ? redactUrl(raw) : raw);
  // Without quotes, so that 8000 can be told from "8000".
  return JSON.stringify(raw).slice(0, 200);
}

function refusal(source: SettingSource, problems: readonly Problem[], where = ""): GlassboxError {
  const fields: FieldError[] = problems.map(({ label, message }) => ({ field: label, message }));
  const texts = problems.map(({ label, message, shown }) =>
    `${label}${where} ${message}${shown === null ? "" : `: current value is ${shown}`}`
  );
  const code = source === "flag" ? "usage" : "configuration";
  return new GlassboxError(code, `Cannot start as ${texts.join("; ")}`, { fields });
}

function misconfigured(message: string, cause?: unknown): GlassboxError {
  return new GlassboxError("configuration", message, { cause });
}

function isNotDirectory(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOTDIR";
}
