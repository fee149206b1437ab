import type { GlassboxError } from "../core/errors.ts";
import type { Result, Row, Statement } from "./driver.ts";

/** What the tables are given to work with. */
export interface StoreCore {
  read(query: Statement): Promise<readonly Row[]>;
  /** Several queries on one snapshot. */
  readTogether(queries: readonly Statement[]): Promise<(readonly Row[])[]>;
  /** Why no new jobs are taken for now, or null. */
  refusal(): GlassboxError | null;
  /** Commits the statements as one transaction, then tells the subscribers of `topics`. */
  write(statements: readonly Statement[], topics?: readonly string[]): Promise<Result[]>;
}
