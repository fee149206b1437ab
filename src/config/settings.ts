/** Where a setting's value came from; the later one wins. */
export type SettingSource = "default" | "file" | "environment" | "flag";

/**
 * All settings of a process, resolved once at start and frozen. `source` remembers for each where its value
 * came from, so that `doctor` can show it.
 */
export interface Settings {
  /** A libSQL URL: `file:/absolute/path` for an embedded file, or `http(s)://`, `ws(s)://`, `libsql://`. */
  readonly database: string;
  /** The bearer token of a remote database; never shown. */
  readonly databaseToken: string | null;
  /** Refuse any database whose id does not begin with this; null accepts every one. */
  readonly expectDatabase: string | null;
  readonly host: string;
  readonly port: number;
  /** Jobs that a `serve` or `worker` process runs at once. */
  readonly concurrency: number;
  readonly queues: readonly string[];
  /** `serve` deletes jobs that finished longer ago; null keeps them. */
  readonly retentionMaxAgeMs: number | null;
  /** `serve` deletes all final jobs but the newest so many; null keeps them. */
  readonly retentionMaxJobs: number | null;
  /** Over HTTP and with `--detach`, no job is accepted while so many wait. */
  readonly queuedMax: number;
  /** Jobs that `serve` accepts in a second, and at once after a pause; null for as many as come. */
  readonly submitRate: number | null;
  readonly logFormat: "text" | "json";
  readonly color: "auto" | "always" | "never";
  /** The config file that was read, or null. */
  readonly configFile: string | null;
  /** Where this user's programs keep state, for us: `$XDG_STATE_HOME/glassbox` or the like; null without a HOME. */
  readonly stateDirectory: string | null;
  readonly source: Readonly<Record<SettingName, SettingSource>>;
}

export type SettingName = Exclude<keyof Settings, "source" | "configFile" | "stateDirectory">;
