// Made by scripts/migrations.ts from migrations/*.sql. Edit those, then run `deno task migrations`.
// deno-fmt-ignore-file

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly statements: readonly string[];
}

export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: "0001_jobs.sql",
    statements: [
      "CREATE TABLE jobs (\n  id TEXT PRIMARY KEY,\n  task TEXT NOT NULL,\n  input TEXT NOT NULL,\n  -- SHA-256 of the request in canonical JSON, for one with a key: tells a repeated request from another.\n  request_sha256 TEXT NOT NULL,\n  key TEXT UNIQUE,\n  queue TEXT NOT NULL,\n  priority INTEGER NOT NULL,\n  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),\n  epoch INTEGER NOT NULL DEFAULT 0,\n  owner TEXT,\n  -- A job that a command line is about to run itself: no other worker may claim it while that one lives.\n  reserved_for TEXT,\n  timeout_ms INTEGER,\n  grace_ms INTEGER NOT NULL,\n  output_bytes_max INTEGER NOT NULL,\n  not_before_ms INTEGER NOT NULL DEFAULT 0,\n  cancel_at_ms INTEGER,\n  cancel_actor TEXT,\n  cancel_reason TEXT,\n  result TEXT,\n  failure TEXT,\n  retry_of TEXT,\n  created_at_ms INTEGER NOT NULL,\n  started_at_ms INTEGER,\n  finished_at_ms INTEGER,\n  CHECK ((state IN ('completed', 'failed', 'cancelled')) = (finished_at_ms IS NOT NULL)),\n  CHECK (state <> 'running' OR owner IS NOT NULL)\n) STRICT",
      "CREATE INDEX jobs_claimable ON jobs (queue, priority DESC, id) WHERE state = 'queued'",
      "CREATE INDEX jobs_running ON jobs (owner) WHERE state = 'running'",
      "CREATE INDEX jobs_reserved ON jobs (reserved_for) WHERE state = 'queued' AND reserved_for IS NOT NULL",
      "CREATE TRIGGER jobs_final_is_final BEFORE UPDATE ON jobs\nWHEN OLD.state IN ('completed', 'failed', 'cancelled')\nBEGIN\n  SELECT RAISE(ABORT, 'a final job never changes');\nEND",
      "CREATE TABLE attempts (\n  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,\n  epoch INTEGER NOT NULL,\n  worker TEXT NOT NULL,\n  pid INTEGER,\n  start_ticks TEXT,\n  started_at_ms INTEGER NOT NULL,\n  ended_at_ms INTEGER,\n  outcome TEXT,\n  evidence TEXT,\n  PRIMARY KEY (job_id, epoch)\n) STRICT, WITHOUT ROWID",
      "CREATE TABLE events (\n  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,\n  seq INTEGER NOT NULL,\n  epoch INTEGER NOT NULL,\n  kind TEXT NOT NULL,\n  data TEXT NOT NULL,\n  at_ms INTEGER NOT NULL,\n  PRIMARY KEY (job_id, seq)\n) STRICT, WITHOUT ROWID",
      "CREATE TRIGGER events_append_only BEFORE UPDATE ON events\nBEGIN\n  SELECT RAISE(ABORT, 'events are append-only');\nEND",
      "-- Chunks of complete lines; the layout of `frames` is in src/logs/frames.ts.\nCREATE TABLE lines (\n  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,\n  first_seq INTEGER NOT NULL,\n  last_seq INTEGER NOT NULL,\n  epoch INTEGER NOT NULL,\n  frames BLOB NOT NULL,\n  PRIMARY KEY (job_id, first_seq)\n) STRICT",
      "-- Text of a running attempt that has no newline yet; at most one row per stream.\nCREATE TABLE partial_lines (\n  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,\n  stream TEXT NOT NULL CHECK (stream IN ('stdout', 'stderr')),\n  epoch INTEGER NOT NULL,\n  at_ms INTEGER NOT NULL,\n  bytes BLOB NOT NULL,\n  PRIMARY KEY (job_id, stream)\n) STRICT, WITHOUT ROWID",
      "CREATE TABLE artifacts (\n  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,\n  name TEXT NOT NULL,\n  epoch INTEGER NOT NULL,\n  -- Which of the attempt's uploads its bytes are; a name may be uploaded again and again.\n  upload INTEGER NOT NULL,\n  size_bytes INTEGER NOT NULL,\n  media_type TEXT NOT NULL,\n  sha256 TEXT NOT NULL,\n  created_at_ms INTEGER NOT NULL,\n  PRIMARY KEY (job_id, name)\n) STRICT",
      "-- The bytes of artifacts in parts, so that neither side ever holds a large file whole.\nCREATE TABLE artifact_parts (\n  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,\n  name TEXT NOT NULL,\n  epoch INTEGER NOT NULL,\n  upload INTEGER NOT NULL,\n  part INTEGER NOT NULL,\n  bytes BLOB NOT NULL,\n  PRIMARY KEY (job_id, name, epoch, upload, part)\n) STRICT",
      "CREATE TABLE workers (\n  id TEXT PRIMARY KEY,\n  launch TEXT NOT NULL,\n  pid INTEGER NOT NULL,\n  start_ticks TEXT NOT NULL,\n  boot_id TEXT NOT NULL,\n  version TEXT NOT NULL,\n  started_at_ms INTEGER NOT NULL,\n  stopped_at_ms INTEGER\n) STRICT",
      "CREATE INDEX workers_open ON workers (boot_id) WHERE stopped_at_ms IS NULL",
      "-- For people with a sqlite3 prompt: one row per job in the words of the first phase-portrait service.\nCREATE VIEW jobs_view AS\nSELECT\n  id AS job_id,\n  CASE state WHEN 'completed' THEN 'finished' ELSE state END AS status,\n  strftime('%Y-%m-%dT%H:%M:%fZ', created_at_ms / 1000.0, 'unixepoch') AS created_at,\n  strftime('%Y-%m-%dT%H:%M:%fZ', finished_at_ms / 1000.0, 'unixepoch') AS finished_at,\n  task,\n  input AS request_json,\n  coalesce(result, failure) AS result_json,\n  key AS idempotency_key\nFROM jobs",
    ],
  },
  {
    version: 2,
    name: "0002_durable.sql",
    statements: [
      "ALTER TABLE jobs ADD COLUMN max_attempts INTEGER NOT NULL DEFAULT 1",
      "-- The pause before the second attempt; it doubles with each further one.\nALTER TABLE jobs ADD COLUMN backoff_ms INTEGER NOT NULL DEFAULT 1000",
      "-- Jobs with equal keys run one after the other.\nALTER TABLE jobs ADD COLUMN concurrency_key TEXT",
      "-- The schedule that fired this job, and the time it was due.\nALTER TABLE jobs ADD COLUMN schedule TEXT",
      "ALTER TABLE jobs ADD COLUMN due_at_ms INTEGER",
      "CREATE INDEX jobs_concurrency ON jobs (concurrency_key) WHERE state = 'running' AND concurrency_key IS NOT NULL",
      "CREATE INDEX jobs_finished ON jobs (finished_at_ms) WHERE finished_at_ms IS NOT NULL",
      "-- Counts a worker's heartbeats. Others compare it with what they saw before, on their own clock; no times are compared.\nALTER TABLE workers ADD COLUMN heartbeat_seq INTEGER NOT NULL DEFAULT 0",
      "-- How long a silence of the worker must last, on the watcher's own clock, before it counts as dead.\nALTER TABLE workers ADD COLUMN lease_ms INTEGER NOT NULL DEFAULT 10000",
      "CREATE TABLE queues (\n  name TEXT PRIMARY KEY,\n  paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),\n  -- Jobs of this queue that may run at once, over all workers; null for no bound.\n  concurrency_max INTEGER\n) STRICT, WITHOUT ROWID",
      "CREATE TABLE schedules (\n  name TEXT PRIMARY KEY,\n  cron TEXT NOT NULL,\n  time_zone TEXT NOT NULL,\n  -- What happens to times that passed while nobody watched: nothing, one job for the last, or one for each.\n  catch_up TEXT NOT NULL CHECK (catch_up IN ('skip', 'last', 'all')),\n  request TEXT NOT NULL,\n  paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),\n  created_at_ms INTEGER NOT NULL,\n  -- All due times up to this one have been dealt with.\n  settled_until_ms INTEGER NOT NULL\n) STRICT, WITHOUT ROWID",
    ],
  },
];
