/** What travels between the store and a database, wherever that is. */

export type SqlValue = string | number | null | Uint8Array;

export interface Statement {
  readonly sql: string;
  readonly args: readonly SqlValue[];
}

/** Builds a statement. Booleans are refused by type: libSQL would store them as REAL. */
export function statement(sql: string, ...args: SqlValue[]): Statement {
  return { sql, args };
}

/** One row by column name. Blobs come as ArrayBuffer or Uint8Array. */
export interface Row {
  readonly [column: string]: unknown;
}

export interface Result {
  readonly rows: readonly Row[];
  /** 0 for a statement that returns rows, whatever it changed. */
  readonly rowsAffected: number;
}

/** The way to one database. */
export interface Driver {
  /** How many connections there were, one after another: each counts the commits of others from the same start. */
  readonly connections: number;
  /** False when the next call makes a new connection. */
  readonly isConnected: boolean;
  execute(query: Statement): Promise<Result>;
  /** All or none, on one snapshot; with `read` they must only read, which a file does not enforce. */
  batch(statements: readonly Statement[], mode: "read" | "write"): Promise<Result[]>;
  /** Gives up the connection; the next call makes a new one. */
  disconnect(): void;
  /**
   * Gives up a connection whose disk has failed, without closing it yet: the last to close a file moves its log back
   * into it, and libSQL then writes what it could not read.
   */
  setAside(): void;
  close(): void;
}
