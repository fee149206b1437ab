import { GlassboxError, messageOf } from "../core/errors.ts";
import { type FileSpace, spaceLeft } from "../core/host.ts";

/** Which database an error is about, for its message. */
export interface DatabaseName {
  /** The path of an embedded file, or the URL of a server without secrets. */
  readonly display: string;
  readonly isEmbedded: boolean;
}

/** The primary code: of SQLITE_IOERR_WRITE, the first two words. Other errors' codes as they are. */
export function sqliteCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== "string") return "";
  return /^SQLITE_[A-Z]+/.exec(code)?.[0] ?? code;
}

export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED");
}

/** True when the disk failed a read, a write or a sync; SQLite takes a page that it cannot read for damage, too. */
export function isIoFault(error: unknown): boolean {
  return ["SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB"].includes(sqliteCode(error));
}

/** Translates what libSQL throws into words that say what to do. Errors that are ours already pass through. */
export function storageError(error: unknown, database: DatabaseName): GlassboxError {
  if (error instanceof GlassboxError) return error;
  const at = database.display;
  const code = sqliteCode(error);
  const make = (kind: ConstructorParameters<typeof GlassboxError>[0], text: string) =>
    new GlassboxError(kind, text, { cause: error });
  // A compiled binary unpacks its library there; its own words name the directory and say what to do.
  if (code === "ADDON_NOT_LOADED") return make("storage_cannot_create", messageOf(error));
  if (isBusy(error)) {
    return make(
      "storage_busy",
      `Cannot write to the database ${at} as another program holds it: end that program or try again`,
    );
  }
  if (code === "SQLITE_FULL" || isNoSpace(error)) {
    return fullError(at, error);
  }
  if (code === "SQLITE_NOTADB" || code === "SQLITE_CORRUPT") {
    return make(
      "storage_not_database",
      `Cannot use ${at} as it is not a sound SQLite database (${code}): the file was left as it is; ` +
        "`glassbox repair` copies what can be read of it, or name another with --db",
    );
  }
  if (code.startsWith("SQLITE_READONLY")) {
    return readOnlyError(at, error);
  }
  if (code.startsWith("SQLITE_CANTOPEN") || /unable to open|ConnectionFailed/i.test(messageOf(error))) {
    return make("storage_cannot_create", `Cannot open or create the database ${at}: ${reason(error)}`);
  }
  if (isTooLarge(error)) {
    return make(
      "too_large",
      `Cannot store or read so much in one piece, as the database ${at} does not take it: ${reason(error)}`,
    );
  }
  if (code === "CLIENT_CLOSED") {
    return make("shutting_down", `Cannot use the database ${at} as this process has closed it`);
  }
  if (code.startsWith("SQLITE_")) {
    return make("storage_io", `Cannot use the database ${at}: ${reason(error)} (${code})`);
  }
  const refused = database.isEmbedded ? null : /\b(401|403)\b/.exec(statusOf(error));
  if (refused !== null) {
    return make(
      "storage_denied",
      `Cannot use the database server ${at} as it refuses our token (HTTP ${refused[0]}): ` +
        "give a valid one in GLASSBOX_DB_TOKEN",
    );
  }
  if (!database.isEmbedded && isNetwork(error)) {
    return make("storage_unreachable", `Cannot reach the database server ${at}: ${reason(error)}`);
  }
  return make("internal", `Cannot use the database ${at}: ${reason(error)}`);
}

export function fullError(display: string, cause: unknown, space?: FileSpace): GlassboxError {
  const left = space === undefined ? "" : ` (${spaceLeft(space)})`;
  return new GlassboxError(
    "storage_full",
    `Cannot write to the database ${display} as its disk is full${left}: free some space and try again`,
    { cause },
  );
}

export function readOnlyError(display: string, cause: unknown): GlassboxError {
  return new GlassboxError(
    "storage_readonly",
    `Cannot write to the database ${display} as it is read-only: give write permission or name another with --db`,
    { cause },
  );
}

/** A database that was sound when it was opened, and of which SQLite now says that it is none. */
export function ioError(display: string, cause: unknown): GlassboxError {
  return new GlassboxError(
    "storage_io",
    `Cannot use the database ${display} as it can no longer be read: its disk fails, or a program has written into the file`,
    { cause },
  );
}

/** A path in the way: what a failed mkdir or open of a file beside the database means. */
export function fileError(error: unknown, path: string): GlassboxError {
  const code = sqliteCode(error);
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new GlassboxError(
      "storage_full",
      `Cannot create ${path} as its disk is full: free some space and try again`,
      {
        cause: error,
      },
    );
  }
  const why = code === "EROFS"
    ? "its file system is read-only"
    : code === "EACCES" || code === "EPERM"
    ? "permission is denied"
    : code === "ENOTDIR" || code === "EEXIST"
    ? "a part of its path is not a directory"
    : code === "EISDIR"
    ? "it is a directory"
    : code || messageOf(error);
  return new GlassboxError(
    "storage_cannot_create",
    `Cannot create ${path} as ${why}: name another place with --db or GLASSBOX_DB`,
    { cause: error },
  );
}

function isNoSpace(error: unknown): boolean {
  return sqliteCode(error) === "ENOSPC" || /disk (is )?full|No space left/i.test(messageOf(error));
}

/** A server takes less than an embedded file: sqld 0.24 5,000,000 bytes a row and 10 MB an answer. */
function isTooLarge(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === "SQLITE_TOOBIG" || code === "RESPONSE_TOO_LARGE" ||
    (code === "ARGS_INVALID" && /too big/.test(messageOf(error)));
}

function isNetwork(error: unknown): boolean {
  const code = sqliteCode(error);
  return error instanceof TypeError || code.startsWith("HRANA_") || code.startsWith("SERVER_") ||
    /fetch|connect|socket|network|HTTP status/i.test(messageOf(error));
}

/** The client tells the status of an answer that was none as a number, or in words. */
function statusOf(error: unknown): string {
  const cause = (error as { cause?: unknown } | null)?.cause;
  for (const one of [error, cause]) {
    const status = (one as { status?: unknown } | null)?.status;
    if (typeof status === "number") return String(status);
    const text = /HTTP status (\d+)/.exec(messageOf(one))?.[1];
    if (text !== undefined) return text;
  }
  return "";
}

function reason(error: unknown): string {
  return messageOf(error).replace(/^SQLITE_[A-Z_]+: /, "").split("\n")[0]!.slice(0, 200);
}
