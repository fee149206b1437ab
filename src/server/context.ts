import type { Host } from "../core/host.ts";
import type { LaunchMode } from "../core/launch.ts";
import type { TaskRegistry } from "../core/task.ts";
import type { Store } from "../store/store.ts";
import type { Address } from "./guard.ts";
import type { Intake } from "./intake.ts";
import type { KbaseService } from "./kbase_service.ts";
import type { Watchers } from "./watchers.ts";

/** How this process was started, as its first line said it. */
export interface LaunchInfo {
  readonly mode: LaunchMode;
  readonly why: string;
}

/** The worker of this process as its callers may know it. */
export interface WorkerStatus {
  readonly id: string;
  /** Ids of the jobs running now. */
  readonly running: readonly string[];
}

/** Takes an error that is not the caller's; `requestId` is what the caller was told. */
export type Report = (error: unknown, requestId: string) => void;

/** What the routes work with. */
export interface ServerContext {
  readonly host: Host;
  readonly store: Store;
  readonly registry: TaskRegistry;
  readonly launch: LaunchInfo;
  readonly watchers: Watchers;
  /** Null where no worker of this process could run what is called. */
  readonly kbase: KbaseService | null;
  readonly startedAtMs: number;
  /** Where the server listens; asked for at each request, as port 0 becomes a real one only by listening. */
  readonly address: () => Address;
  /** Null while no worker runs in this process. */
  readonly worker: () => WorkerStatus | null;
  /** How much is accepted: of jobs that wait, and of new ones in a second. */
  readonly intake: Intake;
  readonly isDraining: () => boolean;
  readonly report: Report;
  /** Makes the id of a new job. */
  readonly newId: () => string;
}
