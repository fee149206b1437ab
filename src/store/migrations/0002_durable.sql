-- What the durable road needs: tries, leases, queues and schedules. Statements are separated by an empty line.

ALTER TABLE jobs ADD COLUMN max_attempts INTEGER NOT NULL DEFAULT 1;

-- The pause before the second attempt; it doubles with each further one.
ALTER TABLE jobs ADD COLUMN backoff_ms INTEGER NOT NULL DEFAULT 1000;

-- Jobs with equal keys run one after the other.
ALTER TABLE jobs ADD COLUMN concurrency_key TEXT;

-- The schedule that fired this job, and the time it was due.
ALTER TABLE jobs ADD COLUMN schedule TEXT;

ALTER TABLE jobs ADD COLUMN due_at_ms INTEGER;

CREATE INDEX jobs_concurrency ON jobs (concurrency_key) WHERE state = 'running' AND concurrency_key IS NOT NULL;

CREATE INDEX jobs_finished ON jobs (finished_at_ms) WHERE finished_at_ms IS NOT NULL;

-- Counts a worker's heartbeats. Others compare it with what they saw before, on their own clock; no times are compared.
ALTER TABLE workers ADD COLUMN heartbeat_seq INTEGER NOT NULL DEFAULT 0;

-- How long a silence of the worker must last, on the watcher's own clock, before it counts as dead.
ALTER TABLE workers ADD COLUMN lease_ms INTEGER NOT NULL DEFAULT 10000;

CREATE TABLE queues (
  name TEXT PRIMARY KEY,
  paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
  -- Jobs of this queue that may run at once, over all workers; null for no bound.
  concurrency_max INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE schedules (
  name TEXT PRIMARY KEY,
  cron TEXT NOT NULL,
  time_zone TEXT NOT NULL,
  -- What happens to times that passed while nobody watched: nothing, one job for the last, or one for each.
  catch_up TEXT NOT NULL CHECK (catch_up IN ('skip', 'last', 'all')),
  request TEXT NOT NULL,
  paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
  created_at_ms INTEGER NOT NULL,
  -- All due times up to this one have been dealt with.
  settled_until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
