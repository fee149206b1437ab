/**
 * What glassbox asks of the machine it runs on. Everything outside `platform/` is handed a Host and never
 * touches a runtime's own names, so that the same code runs on Deno, on Bun, at the edge and in a simulation.
 */

export interface Clock {
  /** Wall time in milliseconds since 1970. For display and for stated wall-clock waits only. */
  nowMs(): number;
  /** A clock that never jumps, in milliseconds. All durations come from it. */
  monotonicMs(): number;
  /** Resolves after `ms`, or as soon as `signal` aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Gives the event loop one whole turn, so that I/O and native memory get their share. */
  turn(): Promise<void>;
}

export interface Random {
  bytes(length: number): Uint8Array;
  uuid(): string;
}

export type FileKind = "file" | "directory" | "fifo" | "other";

export interface FileInfo {
  readonly kind: FileKind;
  readonly sizeBytes: number;
  readonly mode: number;
  /** Tells this file from another that takes its name while somebody still holds this one open. */
  readonly identity: string;
}

/** The file system that a path lies on. */
export interface FileSpace {
  /** What this user may still write. */
  readonly freeBytes: number;
  /** Files that may still be made; Infinity where there is no such bound. */
  readonly freeFiles: number;
}

/** Files by absolute path. Errors carry `code` as Node names it: ENOENT, EACCES, ENOSPC … */
export interface Files {
  /** Follows symbolic links; null when there is nothing at `path`. */
  info(path: string): Promise<FileInfo | null>;
  /** The whole file; rejects with `EFBIG` above `bytesMax`, and with `ETIMEDOUT` for a FIFO that nobody writes to. */
  read(path: string, bytesMax: number): Promise<Uint8Array>;
  /** Yields pieces of at most `pieceBytes`, from the byte `from` on when given. */
  readPieces(path: string, pieceBytes: number, from?: number): AsyncIterable<Uint8Array>;
  /** The file as a Blob, whose bytes are read when they are wanted: for a fetch that must know its length. */
  blob(path: string): Promise<Blob>;
  /** Writes to a temporary name in the same directory and renames it, so that readers see all or nothing. */
  writeAtomic(path: string, bytes: Uint8Array, options?: { mode?: number; sync?: boolean }): Promise<void>;
  /** The same for what comes in pieces, and gives how many bytes came. A stream that breaks off leaves nothing. */
  writePieces(path: string, pieces: AsyncIterable<Uint8Array>): Promise<number>;
  /** Makes a symbolic link at `path`; rejects with EEXIST when there is something. */
  link(target: string, path: string): Promise<void>;
  /**
   * Makes a finished file durable and gives it its name, in the same directory. Without `replace` it rejects with
   * EEXIST when there is something of that name.
   */
  publish(from: string, to: string, options: { replace: boolean }): Promise<void>;
  makeDirectory(path: string, mode?: number): Promise<void>;
  /**
   * Makes sure that a power cut leaves the directory at `path` where it is: what it holds, and every directory
   * above it. One that may not be opened is passed over.
   */
  syncDirectories(path: string): Promise<void>;
  list(path: string): Promise<string[]>;
  /** Removes a file or a whole directory; silent when it is not there. */
  remove(path: string): Promise<void>;
  /** The path with symbolic links resolved, or null when it does not exist. */
  realPath(path: string): Promise<string | null>;
  temporaryDirectory(prefix: string): Promise<string>;
  /** Null when that is not to be had, also as there is nothing at `path`. */
  space(path: string): Promise<FileSpace | null>;
}

/** In words for a message: what is short is what a full disk is short of. */
export function spaceLeft({ freeBytes, freeFiles }: FileSpace): string {
  const files = freeFiles === Infinity ? "" : `, and room for ${freeFiles} more files`;
  return `${freeBytes} bytes free${files}`;
}

export interface FileLock {
  release(): void;
}

export interface Locks {
  /** An exclusive lock on a file, created when missing; waits until it is free. The kernel frees it on death. */
  acquire(path: string): Promise<FileLock>;
  /** The same without waiting: null while another process, or another holder here, has it. */
  tryAcquire(path: string): Promise<FileLock | null>;
  /** A lock file kept open to be locked again and again, for the write lock's hot path. */
  open(path: string): Promise<ReusableLock>;
}

/** One opening of a lock file. Openings exclude each other, also in one process; one opening is locked once at a time. */
export interface ReusableLock {
  lock(): Promise<void>;
  unlock(): void;
  close(): void;
}

export type SignalName = "SIGTERM" | "SIGKILL" | "SIGINT" | "SIGHUP";

export interface SpawnRequest {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** The child's whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Written to the child's standard input, which is then closed; null means /dev/null. */
  readonly stdin: Uint8Array | null;
  /** Opens file descriptor 3 of the child as a pipe to us. */
  readonly control: boolean;
  /** Keeps the output in files before it is handed on, where that is possible; without it output may be lost. */
  readonly keep?: KeepRequest;
}

/** Where a child's output is kept until it is safe elsewhere, also when this process dies. */
export interface KeepRequest {
  /** A file for the bytes of each stream, as written and in order. Neither may exist yet. */
  readonly stdout: string;
  readonly stderr: string;
  /** What is still in a pipe when this process dies is kept up to this bound. */
  readonly bytesMax: number;
  /** In the environment of the process that keeps what this one can no longer read. */
  readonly marker: { readonly name: string; readonly value: string };
}

/** Output that is being kept. */
export interface KeptOutput {
  /** The first bytes of a stream are safe elsewhere: their place on disk may be given back. */
  release(stream: "stdout" | "stderr", bytes: number): void;
  /** What comes from now on need not be kept. */
  stop(): void;
}

export interface ChildExit {
  /** Null when a signal ended the child. */
  readonly code: number | null;
  readonly signal: string | null;
}

/** What the kernel knew of a process when last asked; null fields were not to be had. */
export interface ChildUsage {
  readonly peakMemoryBytes: number | null;
  readonly cpuMs: number | null;
}

/** What a process does now, as far as the kernel tells us. */
export interface ProcessLook {
  readonly pid: number;
  readonly name: string;
  /** As in /proc/PID/stat: R runs, S sleeps, D waits for a disk, T was stopped. */
  readonly state: string;
  /** Processor time it has used in all. */
  readonly cpuMs: number;
  /** The read or write it is blocked in; null for anything else, or when the kernel does not say. */
  readonly waitsFor: {
    readonly call: "read" | "write";
    readonly descriptor: number;
    readonly on: "pipe" | "socket" | "terminal" | "file";
  } | null;
}

/** A started child, leader of its own process group. */
export interface Child {
  readonly pid: number;
  /** Pid and start time as the kernel counts it: tells this process from a later one with the same pid. */
  readonly identity: ProcessIdentity;
  /** Bytes as they come, each piece good until the next is asked for. A paused iteration pauses the child once its pipe is full. */
  readonly stdout: AsyncIterable<Uint8Array>;
  readonly stderr: AsyncIterable<Uint8Array>;
  readonly control: AsyncIterable<Uint8Array> | null;
  /** Resolves when the child itself has ended, even if others still hold its pipes. */
  readonly exited: Promise<ChildExit>;
  /** Signals the whole process group as far as we may; silent when nothing is left of it. */
  signalGroup(signal: SignalName): void;
  /** Gives up pipes that leftovers hold open, in both directions, so that reading ends without an error. */
  abandonPipes(): void;
  usage(): ChildUsage;
  /** Looks at the processes of its group; costs a walk through /proc. */
  look(): ProcessLook[];
  /** Null when the output is not kept. */
  readonly kept: KeptOutput | null;
}

export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat; empty where there is no /proc. */
  readonly startTicks: string;
}

export interface Processes {
  /**
   * Rejects with a Node error (ENOENT, EACCES, E2BIG …) when the program cannot be started. A script without a
   * `#!` line runs under /bin/sh.
   */
  spawn(request: SpawnRequest): Promise<Child>;
  /** Finds a program as execvp(3) would, or says why not. A name with a slash is taken relative to `cwd`. */
  findProgram(
    name: string,
    cwd: string,
    env: Readonly<Record<string, string>>,
  ): Promise<{ path: string } | { missing: "not-found" | "not-executable" }>;
  /** Runs a program on our own standard streams, for a user who types, and gives its end. */
  attached(request: Pick<SpawnRequest, "program" | "args" | "cwd" | "env">): Promise<ChildExit>;
  /** Kills every process of this machine whose environment has `marker` as one NAME=value, and says how many. */
  killMarked(marker: string): Promise<number>;
  /** How many processes of this machine have `marker` as one NAME=value of their environment. */
  countMarked(marker: string): Promise<number>;
  /** How many processes the kernel has killed since its start as memory ran out; null where it does not say. */
  killedForMemory(): number | null;
  /** This process. */
  readonly self: ProcessIdentity;
  /** How to start this same program again: program and leading arguments. */
  readonly selfCommand: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
}

/** Where text for people and data for programs go. */
export interface Output {
  readonly isTerminal: boolean;
  /** Columns of the terminal; 80 when unknown. */
  readonly columns: number;
  /** Resolves when the bytes have left this process; rejects with EPIPE, ENOSPC … */
  write(data: Uint8Array | string): Promise<void>;
}

export interface Terminal {
  readonly stdin: { readonly isTerminal: boolean; read(): AsyncIterable<Uint8Array> };
  readonly stdout: Output;
  readonly stderr: Output;
  /** An inherited descriptor to write to, such as a child's control channel; never a terminal. */
  descriptor(fd: number): Output;
}

export interface Signals {
  /** Calls back for each SIGINT, SIGTERM and SIGHUP until the returned function is called. */
  on(handler: (signal: "SIGINT" | "SIGTERM" | "SIGHUP") => void): () => void;
  /** Calls back for what nobody caught, instead of ending the process, until the returned function is called. */
  onUncaught(handler: (error: unknown) => void): () => void;
}

/** One open WebSocket, text frames only. */
export interface Socket {
  send(text: string): void;
  /** Bytes accepted by `send` that have not left yet. */
  readonly bufferedBytes: number;
  close(code: number, reason: string): void;
}

export interface SocketHandler {
  open(socket: Socket): void;
  /** `null` stands for a binary frame. */
  message(socket: Socket, text: string | null): void;
  closed(socket: Socket): void;
}

export interface ListenRequest {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /** Decides about a WebSocket upgrade: a handler takes it, a Response refuses it. */
  readonly upgrade: (request: Request) => SocketHandler | Response | Promise<SocketHandler | Response>;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Stops accepting at once, closes what is still open after `graceMs`, and resolves when all is closed. */
  close(graceMs: number): Promise<void>;
}

export interface Network {
  /** Rejects with a Node error (EADDRINUSE, EACCES …). */
  listen(request: ListenRequest): Promise<Listener>;
}

/** A column to read: `text` refuses blobs; `number` refuses text, but for blank text, which reads as null; `numberOrNull` reads all but numbers as null. */
export interface ForeignColumn {
  readonly name: string;
  readonly as: "text" | "number" | "numberOrNull";
}

export interface ForeignQuery {
  readonly table: string;
  readonly columns: readonly ForeignColumn[];
  /** Only rows whose column holds this text. */
  readonly where?: { readonly column: string; readonly is: string };
  /**
   * `inserted` reads in pieces, of any number of rows, by row id. `natural` reads at once, in the order in which
   * SQLite finds the rows without being told one: by the key where an index gives the answer.
   */
  readonly order: "inserted" | "natural";
}

/**
 * Rows as they left the database, for who reads far more than it keeps. Value `c` of row `r` is at `r * columns + c`:
 * a text lies from `starts` to `ends` in `bytes`, as UTF-8 or what was taken for it, and NULL has an end of -1; a
 * number is in `numbers`, NaN for NULL. Overwritten by the next piece.
 */
export interface PackedRows {
  readonly count: number;
  readonly bytes: DataView;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly numbers: Float64Array;
}

/** The values of one row in the order of the query's columns; infinity stays a number. Overwritten by the next row. */
export type ForeignRow = readonly (string | number | null)[];

/**
 * Someone else's SQLite file, open for reading only. Several readings may be under way at once. Nothing that was read
 * is worth anything before `sound` is fulfilled.
 */
export interface ForeignDatabase {
  /** Fulfilled when the whole file was found undamaged, which begins when it is opened; else why it cannot be read. */
  sound(): Promise<void>;
  /** The table's columns as they are spelled, or null when there is no such table. Throws for a view or virtual table. */
  columns(table: string): readonly string[] | null;
  each(query: ForeignQuery, visit: (row: ForeignRow) => void): Promise<void>;
  packed(query: ForeignQuery): AsyncIterable<PackedRows>;
  /** Ends what is still being read, and waits for that. */
  close(): Promise<void>;
}

export interface Databases {
  /** Opens a stranger's file, and begins to check that it is undamaged. `display` is the name it has in errors. */
  openForeign(path: string, display: string): Promise<ForeignDatabase>;
  /** The SHA-256 of a file, in hex: how to tell others which one was refused. */
  sha256(path: string): Promise<string>;
}

/** What this process is, for the first line and `version`. */
export interface About {
  readonly engine: "bun" | "deno" | "node" | "memory";
  readonly engineVersion: string;
  /** Like `linux-x64`. */
  readonly platform: string;
  readonly compiled: boolean;
  /** The executable file a user would copy: the binary, or main.ts when run from source. */
  readonly binary: string;
  /** Names the running kernel since its last boot; processes of equal bootId share a process table. */
  readonly bootId: string;
}

export interface Host {
  readonly about: About;
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly locks: Locks;
  readonly processes: Processes;
  readonly terminal: Terminal;
  readonly signals: Signals;
  readonly network: Network;
  readonly databases: Databases;
}
