import { GlassboxError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { type Connection, type Statement, statement } from "./connection.ts";
import { MIGRATIONS } from "./migrations.gen.ts";

export interface DatabaseIdentity {
  /** A random UUID given when the database was made; two paths with equal ids are one database. */
  readonly id: string;
  readonly schema: number;
}

/** The schema this build reads and writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/** Who the database says it is; null when it is empty. Refuses a file that belongs to another program. */
export async function readIdentity(connection: Connection): Promise<DatabaseIdentity | null> {
  const tables = await connection.read(
    statement(
      `SELECT count(*) AS tables, sum(name = 'meta') AS meta,
         (SELECT count(*) FROM pragma_table_info('meta') WHERE name IN ('name', 'value')) AS columns
       FROM sqlite_master WHERE type = 'table'`,
    ),
  );
  if (Number(tables[0]?.tables) === 0) return null;
  if (Number(tables[0]?.meta ?? 0) === 0 || Number(tables[0]?.columns) !== 2) throw foreign(connection);
  const rows = await connection.read(statement("SELECT name, value FROM meta"));
  const values = new Map(rows.map((row) => [String(row.name), String(row.value)]));
  const id = values.get("database_id");
  const schema = Number(values.get("schema"));
  if (id === undefined || !Number.isInteger(schema)) throw foreign(connection);
  return { id, schema };
}

/**
 * Brings the database to this build's schema and returns its identity. All that is missing, and the version
 * it leads to, is one transaction: a crash leaves the database as it was or as it is to be, and of two starters on a
 * server, who share no lock, one does all of it. Call it under the write lock.
 */
export async function migrate(connection: Connection, host: Host): Promise<DatabaseIdentity> {
  // Another starter may have migrated while this one waited for the lock.
  let identity = await readIdentity(connection);
  refuseNewer(connection, identity);
  const pending = MIGRATIONS.slice(identity?.schema ?? 0);
  if (pending.length > 0) {
    const record = identity === null ? createMeta(host, SCHEMA_VERSION) : [raiseSchema(SCHEMA_VERSION)];
    const statements = pending.flatMap((migration) => migration.statements).map((sql) => statement(sql));
    await connection.transact([...record, ...statements]);
    identity = await readIdentity(connection);
  }
  if (identity === null) throw foreign(connection);
  return identity;
}

export function refuseNewer(connection: Connection, identity: DatabaseIdentity | null): void {
  if (identity === null || identity.schema <= SCHEMA_VERSION) return;
  throw new GlassboxError(
    "storage_newer_schema",
    `Cannot use the database ${connection.display} as it has schema ${identity.schema} and this glassbox knows ` +
      `${SCHEMA_VERSION}: use the newer glassbox that wrote it`,
  );
}

/**
 * Goes before every write: fails, and the transaction with it, when the database has a newer schema than this build
 * knows, as it was migrated while this process ran.
 */
export function schemaGuard(): Statement {
  return statement(
    "SELECT json_extract(value || ' is newer', '$') FROM meta WHERE name = 'schema' AND CAST(value AS INTEGER) > ?",
    SCHEMA_VERSION,
  );
}

function createMeta(host: Host, version: number): Statement[] {
  return [
    statement("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"),
    statement("INSERT INTO meta VALUES ('database_id', ?)", host.random.uuid()),
    statement("INSERT INTO meta VALUES ('created_at_ms', ?)", String(host.clock.nowMs())),
    statement("INSERT INTO meta VALUES ('schema', ?)", String(version)),
  ];
}

function raiseSchema(version: number): Statement {
  return statement("UPDATE meta SET value = ? WHERE name = 'schema'", String(version));
}

function foreign(connection: Connection): GlassboxError {
  return new GlassboxError(
    "storage_foreign",
    `Cannot use ${connection.display} as it is the database of another program: name another with --db`,
  );
}
