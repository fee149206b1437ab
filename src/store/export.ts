import { type Row, type Statement, statement } from "./connection.ts";
import { jobNotFound } from "./jobs.ts";
import type { StoreCore } from "./store_core.ts";
import { toBytes } from "./rows.ts";

/** Tables that hold a job's history, in the order in which references allow them to be filled. */
const TABLES = ["attempts", "events", "lines", "partial_lines", "artifacts", "artifact_parts"] as const;

/** Rows read and written at once: parts of artifacts are a mebibyte each, and a server's answer holds 10 MB. */
const PAGE_ROWS = 4;

/** Copies one job, with everything it left, into another database. Ids and numbers stay as they are. */
export async function copyJob(from: StoreCore, to: StoreCore, jobId: string): Promise<void> {
  const jobs = await from.read(statement("SELECT * FROM jobs WHERE id = ?", jobId));
  if (jobs[0] === undefined) throw jobNotFound(jobId);
  await to.write([insertRow("jobs", jobs[0])]);
  for (const table of TABLES) await copyTable(from, to, table, jobId);
}

async function copyTable(from: StoreCore, to: StoreCore, table: string, jobId: string): Promise<void> {
  for (let offset = 0;; offset += PAGE_ROWS) {
    const rows = await from.read(
      statement(
        `SELECT * FROM ${table} WHERE job_id = ? ORDER BY 1, 2, 3, 4, 5 LIMIT ? OFFSET ?`,
        jobId,
        PAGE_ROWS,
        offset,
      ),
    );
    if (rows.length > 0) await to.write(rows.map((row) => insertRow(table, row)));
    if (rows.length < PAGE_ROWS) return;
  }
}

function insertRow(table: string, row: Row): Statement {
  const columns = Object.keys(row);
  const values = columns.map((column) => {
    const value = row[column];
    if (value === null || typeof value === "string" || typeof value === "number") return value;
    return toBytes(value);
  });
  return statement(
    `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
    ...values,
  );
}
