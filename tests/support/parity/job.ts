/** What a job of the launch-parity suite says about itself. */

/** What is done to a job while it is under way. */
export type Act =
  /** Cancelled once it has written "ready". */
  | "cancel"
  /** Cancelled once it has written "ready"; where it runs in a command line's own process, by SIGINT to that. */
  | "interrupt"
  /** Cancelled while no worker takes it; only for launches that submit and run in two steps. */
  | "cancel queued"
  /** Cancelled in the very commit that claims it. */
  | "cancel at claim"
  /** Launched a second time in the same way. */
  | "repeat";

export type Bytes = string | Uint8Array;

export interface ExpectedArtifact {
  readonly name: string;
  readonly content: Bytes;
  readonly mediaType: string;
}

export interface Expectation {
  readonly state: "completed" | "failed" | "cancelled";
  readonly failure?: string;
  readonly message?: RegExp;
  /** The exit code of a command line that shows the job. */
  readonly exit: number;
  /** The same where the command line that runs it was interrupted. */
  readonly exitInterrupted?: number;
  /** The program's own end; null for both where it never started. */
  readonly exitCode: number | null;
  readonly signal?: string;
  readonly result?: unknown;
  /** Nothing when left out; null where it is not known beforehand and only has to be the same in all launches. */
  readonly stdout?:
    | Bytes
    | null
    | ((place: { cwd: string; env: Readonly<Record<string, string>> }) => string);
  readonly stderr?: Bytes | null;
  /** Stored lines of both streams; counted from what is expected of the streams when left out. */
  readonly lines?: number;
  readonly dropped?: { readonly lines: number; readonly bytes: number };
  /** All events, in order: the kind, or the kind and what its data hold. */
  readonly events?: readonly (string | readonly [string, unknown])[];
  readonly artifacts?: readonly ExpectedArtifact[];
}

export interface ParityJob {
  readonly name: string;
  /** A program and its arguments; or a task of glassbox and its input. */
  readonly program?: readonly [string, ...string[]];
  readonly task?: { readonly name: string; readonly input: Readonly<Record<string, unknown>> };
  /** Under the job's own directory. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Bytes;
  readonly outputs?: readonly { readonly name?: string; readonly path: string }[];
  readonly timeoutMs?: number;
  readonly graceMs?: number;
  readonly outputBytesMax?: number;
  readonly priority?: number;
  /** For arguments too long for a command line of ours: they travel as the JSON input of `exec`. */
  readonly asInput?: boolean;
  /** One idempotency key for all launches: only the first of them may run it. */
  readonly sharedKey?: boolean;
  readonly act?: Act;
  /** Makes what the job finds in its directory. */
  readonly prepare?: (directory: string) => Promise<void>;
  readonly expect: Expectation;
}

export const REASON = "no longer wanted";
export const QUEUE_NOBODY_TAKES = "nobody";

export const COMPLETED = { state: "completed", exit: 0, exitCode: 0, result: { exitCode: 0 } } as const;

/** For a program that ends with that exit code. */
export const failed = (code: number) =>
  ({ state: "failed", failure: "program_failed", exit: code, exitCode: code }) as const;

/** All events of a job that starts, then these. */
export function told(...events: NonNullable<Expectation["events"]>): NonNullable<Expectation["events"]> {
  return ["submitted", "claimed", "started", ...events];
}

/** A script, and what it finds in `$1`, `$2` … */
export function shell(script: string, ...args: string[]): readonly [string, ...string[]] {
  return ["sh", "-c", script, "sh", ...args];
}
