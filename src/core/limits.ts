/** Every bound of glassbox, in one place. A bound is inclusive: the value itself is still allowed. */

const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = {
  /** A job's input as JSON text. The same at the command line and over HTTP. */
  inputBytesMax: 10 * MIB,
  /** Nesting of a job's input; deeper JSON can exhaust the stack of what reads it later. */
  inputDepthMax: 64,
  /** A line longer than this is stored in pieces of exactly this size, marked as cut. */
  lineBytesMax: 64 * KIB,
  /** Stored output of one attempt, both streams together, when the request names no other bound. */
  outputBytesDefault: 256 * MIB,
  outputBytesMax: 16 * 1024 * MIB,
  /** Bytes of one stored chunk of lines: small enough to read quickly, large enough to store quickly. */
  chunkBytesMax: 256 * KIB,
  /** Captured bytes waiting for their commit before the child's pipes are no longer read. */
  captureBytesMax: MIB,
  /** Captured lines wait at most this long for company before they are committed. */
  captureFlushMs: 8,
  progressEventsMax: 1_000,
  taskEventsMax: 10_000,
  eventBytesMax: 64 * KIB,
  artifactsMax: 1_000,
  artifactBytesMax: 1024 * MIB,
  artifactPartBytes: MIB,
  resultBytesMax: 10 * MIB,
  /** One message of a task's child on the control channel. */
  controlMessageBytesMax: 16 * MIB,
  keyLengthMax: 128,
  timeoutMsMax: 366 * 24 * 3600_000,
  /** Between TERM and KILL when a job is cancelled or runs out of time. */
  graceMsDefault: 5_000,
  graceMsMax: 3600_000,
  attemptsMax: 100,
  /** Attempts of a task that declares itself idempotent, when the request names no number. */
  attemptsIdempotent: 3,
  backoffMsDefault: 1_000,
  backoffMsMax: 3600_000,
  /** A worker that others know only through a server counts as dead after this much silence, on their own clock. */
  leaseMs: 10_000,
  /** A server that was asked to stop lets running jobs go on this long, then cancels them. */
  drainMs: 30_000,
  /** After the program has exited, what it left behind may hold its output this long. */
  leftoverGraceMs: 5_000,
  /** A program that writes nothing for so long is looked at, and an event says what it does; then after twice as long. */
  silentAfterMs: 60_000,
  silentEventsMax: 6,
  lastLinesKept: 10,
  inputPreviewCharactersMax: 300,
  /** Every process that fires schedules keeps all of them in mind. */
  schedulesMax: 1_000,
  /** Jobs that may wait before no more are accepted, when the settings name no other bound. */
  queuedDefault: 10_000,
  listLimitDefault: 50,
  listLimitMax: 1_000,
  urlBytesMax: 8 * KIB,
  headerBytesMax: 16 * KIB,
  headersMax: 100,
  bodyIdleMs: 30_000,
  socketMessageBytesMax: 64 * KIB,
  /**
   * Bytes that wait for a watcher beyond what the kernel has taken, before it is waited for; one that takes nothing for
   * long is dropped, and resumes by number. Short messages take ten times their bytes of memory.
   */
  watcherBufferBytesMax: 32 * KIB,
  watchersMax: 1_000,
  /** Open connections of one server, where the process may have files enough for so many and for its jobs. */
  connectionsMax: 2_000,
  /** Kept beside an embedded database, and given up on a full disk so that running jobs' ends can be recorded. */
  reserveBytes: MIB,
  /** A write-ahead log above this is warned of: a program that reads for long keeps it from being emptied. */
  walWarnBytes: 256 * MIB,
  /** A stranger's database, and what SQLite may take of memory to read it. */
  foreignDatabaseBytesMax: 4 * 1024 * MIB,
  foreignHeapBytesMax: 512 * MIB,
  /** Reading one that is sound takes seconds; one that takes longer was made to. */
  foreignReadMsMax: 600_000,
  /** Writes of one process that may wait for the disk before it accepts no further job. */
  writesWaitingMax: 1_000,
  /** How long a write waits for a foreign program that holds the database. */
  storageBusyMs: 30_000,
  /** How long a database server may take for an answer to a small request, and the speed asked of the line for a large one. */
  serverAnswerMs: 5_000,
  serverBytesPerMs: 8,
  /** Reads on their way to a database server at once; a slow one is not helped by more. */
  serverReadsMax: 4,
} as const;
