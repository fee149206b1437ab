-- The tables of glassbox. Statements are separated by an empty line. A shipped migration never changes.

CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  task TEXT NOT NULL,
  input TEXT NOT NULL,
  -- SHA-256 of the request in canonical JSON, for one with a key: tells a repeated request from another.
  request_sha256 TEXT NOT NULL,
  key TEXT UNIQUE,
  queue TEXT NOT NULL,
  priority INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
  epoch INTEGER NOT NULL DEFAULT 0,
  owner TEXT,
  -- A job that a command line is about to run itself: no other worker may claim it while that one lives.
  reserved_for TEXT,
  timeout_ms INTEGER,
  grace_ms INTEGER NOT NULL,
  output_bytes_max INTEGER NOT NULL,
  not_before_ms INTEGER NOT NULL DEFAULT 0,
  cancel_at_ms INTEGER,
  cancel_actor TEXT,
  cancel_reason TEXT,
  result TEXT,
  failure TEXT,
  retry_of TEXT,
  created_at_ms INTEGER NOT NULL,
  started_at_ms INTEGER,
  finished_at_ms INTEGER,
  CHECK ((state IN ('completed', 'failed', 'cancelled')) = (finished_at_ms IS NOT NULL)),
  CHECK (state <> 'running' OR owner IS NOT NULL)
) STRICT;

CREATE INDEX jobs_claimable ON jobs (queue, priority DESC, id) WHERE state = 'queued';

CREATE INDEX jobs_running ON jobs (owner) WHERE state = 'running';

CREATE INDEX jobs_reserved ON jobs (reserved_for) WHERE state = 'queued' AND reserved_for IS NOT NULL;

CREATE TRIGGER jobs_final_is_final BEFORE UPDATE ON jobs
WHEN OLD.state IN ('completed', 'failed', 'cancelled')
BEGIN
  SELECT RAISE(ABORT, 'a final job never changes');
END;

CREATE TABLE attempts (
  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  epoch INTEGER NOT NULL,
  worker TEXT NOT NULL,
  pid INTEGER,
  start_ticks TEXT,
  started_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER,
  outcome TEXT,
  evidence TEXT,
  PRIMARY KEY (job_id, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  kind TEXT NOT NULL,
  data TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (job_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER events_append_only BEFORE UPDATE ON events
BEGIN
  SELECT RAISE(ABORT, 'events are append-only');
END;

-- Chunks of complete lines; the layout of `frames` is in src/logs/frames.ts.
CREATE TABLE lines (
  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  frames BLOB NOT NULL,
  PRIMARY KEY (job_id, first_seq)
) STRICT;

-- Text of a running attempt that has no newline yet; at most one row per stream.
CREATE TABLE partial_lines (
  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  stream TEXT NOT NULL CHECK (stream IN ('stdout', 'stderr')),
  epoch INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (job_id, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifacts (
  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  -- Which of the attempt's uploads its bytes are; a name may be uploaded again and again.
  upload INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (job_id, name)
) STRICT;

-- The bytes of artifacts in parts, so that neither side ever holds a large file whole.
CREATE TABLE artifact_parts (
  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  upload INTEGER NOT NULL,
  part INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (job_id, name, epoch, upload, part)
) STRICT;

CREATE TABLE workers (
  id TEXT PRIMARY KEY,
  launch TEXT NOT NULL,
  pid INTEGER NOT NULL,
  start_ticks TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  version TEXT NOT NULL,
  started_at_ms INTEGER NOT NULL,
  stopped_at_ms INTEGER
) STRICT;

CREATE INDEX workers_open ON workers (boot_id) WHERE stopped_at_ms IS NULL;

-- For people with a sqlite3 prompt: one row per job in the words of the first phase-portrait service.
CREATE VIEW jobs_view AS
SELECT
  id AS job_id,
  CASE state WHEN 'completed' THEN 'finished' ELSE state END AS status,
  strftime('%Y-%m-%dT%H:%M:%fZ', created_at_ms / 1000.0, 'unixepoch') AS created_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', finished_at_ms / 1000.0, 'unixepoch') AS finished_at,
  task,
  input AS request_json,
  coalesce(result, failure) AS result_json,
  key AS idempotency_key
FROM jobs;
