import { redactUrl } from "../config/database_url.ts";
import { displayText, jsonLine } from "../core/display.ts";
import type { About } from "../core/host.ts";

/** What every start says before it does anything. */
export interface LaunchFacts {
  readonly version: string;
  /** The launch plan's mode. */
  readonly mode: string;
  /** What the plan rests on, as in `argument "run"`. */
  readonly why: string;
  /** The database's URL; null when the settings that would name it could not be resolved. */
  readonly database: string | null;
  /** The id the database carries; null while it is not open. */
  readonly databaseId: string | null;
  readonly schema: number | null;
  readonly about: About;
  readonly pid: number;
}

/** The first line of stderr without its newline: for people, or as one JSON object for `--log-format json`. */
export function firstLine(facts: LaunchFacts, format: "text" | "json" = "text"): string {
  return format === "json" ? asJson(facts) : asText(facts);
}

const ID_SHOWN = 8;

function asText({ version, mode, why, database, databaseId, schema, about, pid }: LaunchFacts): string {
  const { engine, engineVersion, platform } = about;
  const opened = databaseId === null
    ? "not opened"
    : `id ${shortId(databaseId)}, schema ${schema ?? "unknown"}`;
  const parts = [
    `glassbox ${version}`,
    `${mode} (${why})`,
    database === null ? "database unknown" : `database ${redactUrl(database)} (${opened})`,
    `${engine} ${engineVersion} ${platform}`,
    `pid ${pid}`,
  ];
  return displayText(parts.join(" · "));
}

function asJson({ version, mode, why, database, databaseId, schema, about, pid }: LaunchFacts): string {
  const { engine, engineVersion, platform, compiled, binary } = about;
  const line = {
    event: "launch",
    version,
    mode,
    why,
    database: database === null ? null : redactUrl(database),
    databaseId,
    schema,
    engine: `${engine} ${engineVersion}`,
    platform,
    compiled,
    binary,
    pid,
  };
  return jsonLine(line);
}

function shortId(id: string): string {
  return id.length > ID_SHOWN ? `${id.slice(0, ID_SHOWN)}…` : id;
}
