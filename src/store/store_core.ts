import type { ResultSet } from "@libsql/client";
import type { Row, Statement } from "./connection.ts";

/** What the tables are given to work with. */
export interface StoreCore {
  read(query: Statement): Promise<Row[]>;
  /** Several queries on one snapshot. */
  readTogether(queries: readonly Statement[]): Promise<Row[][]>;
  /** Commits the statements as one transaction, then tells the subscribers of `topics`. */
  write(statements: readonly Statement[], topics?: readonly string[]): Promise<ResultSet[]>;
}
