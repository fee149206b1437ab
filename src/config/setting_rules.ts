import { z } from "zod";
import { LIMITS } from "../core/limits.ts";
import { JobRequest } from "../core/request.ts";
import { parseDuration } from "./duration.ts";
import type { SettingName, Settings } from "./settings.ts";

/** What each setting may be. The same rules hold for every layer; only the layer's way of writing a value differs. */

export const CONCURRENCY_MAX = 1024;
const QUEUES_MAX = 100;

const wholeNumber = (min: number, max: number) => {
  const wanted = `must be a whole number from ${min} to ${max}`;
  return z.int(wanted).min(min, wanted).max(max, wanted);
};

const oneOf = <const Words extends readonly [string, ...string[]]>(words: Words) =>
  z.enum(words, `must be one of ${words.join(", ")}`);

const HOST_WANTED = "must be a host name or an IP address, without a port";
const TOKEN_WANTED = "must be visible ASCII characters without spaces";
const ID_WANTED = "must be the beginning of a database id, as `glassbox doctor` shows it";
const AGE_WANTED = "must be a duration such as 12h or 30d, or a number of milliseconds in the config file";
const QUEUES_WANTED = `must be 1 to ${QUEUES_MAX} queue names`;

/**
 * Everything but the database itself, which is read against the directory of the layer that names it. Each is made
 * when it is asked for: a start is given few settings, and making all rules would take longer than resolving them.
 */
export const RULES = {
  database: () => z.string("must be a path or a URL"),
  databaseToken: () => z.string(TOKEN_WANTED).regex(/^[\x21-\x7e]+$/, TOKEN_WANTED),
  expectDatabase: () =>
    z
      .string(ID_WANTED)
      // The first line shortens the id to `7f3a1c2e…`, and that is what people copy.
      .regex(/^[0-9A-Za-z_-]{1,64}…?$/, ID_WANTED)
      .transform((id) => id.replace("…", "")),
  host: () => z.string(HOST_WANTED).transform(withoutBrackets).refine(isHost, HOST_WANTED),
  port: () => wholeNumber(0, 65535),
  concurrency: () => wholeNumber(1, CONCURRENCY_MAX),
  queues: () =>
    z
      .array(JobRequest.shape.queue.unwrap(), QUEUES_WANTED)
      .min(1, QUEUES_WANTED)
      .max(QUEUES_MAX, QUEUES_WANTED)
      .transform((queues) => [...new Set(queues)]),
  retentionMaxAgeMs: () =>
    z.preprocess(durationOrText, z.int(AGE_WANTED).min(1, AGE_WANTED).max(LIMITS.timeoutMsMax, AGE_WANTED)),
  retentionMaxJobs: () => wholeNumber(0, 1_000_000_000),
  queuedMax: () => wholeNumber(1, 1_000_000_000),
  submitRate: () => wholeNumber(1, 1_000_000),
  logFormat: () => oneOf(["text", "json"]),
  color: () => oneOf(["auto", "always", "never"]),
} as const satisfies Record<SettingName, () => z.ZodType>;

/** The settings that some layer gave. */
export type SettingValues = { -readonly [Name in SettingName]?: Settings[Name] };

/** The config file's document: any of the settings, by name, and nothing else. */
export function configDocument() {
  const error = (issue: { code?: string | undefined }) =>
    issue.code === "invalid_type" ? "must be an object" : undefined;
  return z.strictObject(
    {
      database: RULES.database(),
      databaseToken: RULES.databaseToken(),
      expectDatabase: RULES.expectDatabase(),
      host: RULES.host(),
      port: RULES.port(),
      concurrency: RULES.concurrency(),
      queues: RULES.queues(),
      retentionMaxAgeMs: RULES.retentionMaxAgeMs(),
      retentionMaxJobs: RULES.retentionMaxJobs(),
      queuedMax: RULES.queuedMax(),
      submitRate: RULES.submitRate(),
      logFormat: RULES.logFormat(),
      color: RULES.color(),
    } satisfies Record<SettingName, z.ZodType>,
    { error },
  ).partial();
}

/** What the command line gave, as text; absent and undefined mean "not given". */
export interface SettingFlags {
  readonly config?: string | undefined;
  readonly db?: string | undefined;
  readonly expectDb?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: string | undefined;
  readonly concurrency?: string | undefined;
  /** What `serve` calls its concurrency. */
  readonly workers?: string | undefined;
  readonly queue?: readonly string[] | undefined;
  readonly retentionAge?: string | undefined;
  readonly retentionJobs?: string | undefined;
  readonly queuedMax?: string | undefined;
  readonly submitRate?: string | undefined;
  readonly logFormat?: string | undefined;
  readonly color?: string | undefined;
}

export const FLAGS: readonly (readonly [keyof SettingFlags, SettingName, string])[] = [
  ["db", "database", "--db"],
  ["expectDb", "expectDatabase", "--expect-db"],
  ["host", "host", "--host"],
  ["port", "port", "--port"],
  ["workers", "concurrency", "--workers"],
  ["concurrency", "concurrency", "--concurrency"],
  ["queue", "queues", "--queue"],
  ["retentionAge", "retentionMaxAgeMs", "--retention-age"],
  ["retentionJobs", "retentionMaxJobs", "--retention-jobs"],
  ["queuedMax", "queuedMax", "--queued-max"],
  ["submitRate", "submitRate", "--submit-rate"],
  ["logFormat", "logFormat", "--log-format"],
  ["color", "color", "--color"],
];

export const VARIABLES: readonly (readonly [string, SettingName])[] = [
  ["GLASSBOX_DB", "database"],
  ["GLASSBOX_DB_TOKEN", "databaseToken"],
  ["GLASSBOX_EXPECT_DB", "expectDatabase"],
  ["GLASSBOX_HOST", "host"],
  ["GLASSBOX_PORT", "port"],
  ["GLASSBOX_CONCURRENCY", "concurrency"],
  ["GLASSBOX_QUEUES", "queues"],
  ["GLASSBOX_RETENTION_AGE", "retentionMaxAgeMs"],
  ["GLASSBOX_RETENTION_JOBS", "retentionMaxJobs"],
  ["GLASSBOX_QUEUED_MAX", "queuedMax"],
  ["GLASSBOX_SUBMIT_RATE", "submitRate"],
  ["GLASSBOX_LOG_FORMAT", "logFormat"],
  ["GLASSBOX_COLOR", "color"],
];

/** Turns text into what the rule of `name` checks; text that is none stays text, and the rule refuses it. */
export function fromText(name: SettingName, text: string): unknown {
  if (["port", "concurrency", "retentionMaxJobs", "queuedMax", "submitRate"].includes(name)) {
    return /^(0|[1-9]\d{0,9})$/.test(text) ? Number(text) : text;
  }
  if (name === "queues") return text.split(",").map((queue) => queue.trim());
  if (name === "databaseToken") return text.trim();
  return text;
}

/** Milliseconds of a duration; what is none stays as it is, and is refused. */
function durationOrText(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return parseDuration(value, "");
  } catch {
    return value;
  }
}

function withoutBrackets(host: string): string {
  return /^\[.*:.*\]$/.test(host) ? host.slice(1, -1) : host;
}

function isHost(host: string): boolean {
  if (host.includes(":")) return /^[0-9A-Fa-f:.]+$/.test(host) && URL.canParse(`http://[${host}]/`);
  return host.length <= 253 && /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?$/.test(host);
}
