import type { Host } from "../core/host.ts";
import type { TaskRegistry } from "../core/task.ts";
import type { Store } from "../store/store.ts";
import type { Confidential } from "./confidential.ts";

/** What every part of the executor works with. */
export interface ExecutorContext {
  readonly host: Host;
  readonly store: Store;
  readonly registry: TaskRegistry;
  /** Absent where no job has anything to hide. */
  readonly confidential?: Confidential;
}
