import { isGlassboxError } from "../core/errors.ts";
import type { Files } from "../core/host.ts";
import { directoryOf } from "../core/paths.ts";
import type { DatabaseFile } from "./database_file.ts";
import { fullError, ioError, readOnlyError } from "./failures.ts";

/**
 * What an error of an embedded database that was open means, where SQLite does not say: it calls a disk that was made
 * read-only a fault of the disk, and one that cannot be read damage; and it does not say how full a full one is.
 */
export async function explained(
  error: unknown,
  { path, display }: DatabaseFile,
  files: Files,
): Promise<unknown> {
  if (isGlassboxError(error, "storage_full")) {
    const space = await files.space(directoryOf(path));
    return space === null ? error : fullError(display, error, space);
  }
  if (isGlassboxError(error, "storage_io") && await isReadOnly(path, files)) {
    return readOnlyError(display, error);
  }
  // It was one when it was opened. A look into the file would tell more, and take SQLite's locks from it when it is closed.
  if (isGlassboxError(error, "storage_not_database") && error.message.includes("SQLITE_NOTADB")) {
    return ioError(display, error);
  }
  return error;
}

/** Only a try tells: a file system that went read-only after a fault still says that it can be written. */
async function isReadOnly(path: string, files: Files): Promise<boolean> {
  const probe = `${path}.probe`;
  try {
    await files.writeAtomic(probe, new Uint8Array());
    await files.remove(probe);
    return false;
  } catch (error) {
    return (error as { code?: unknown } | null)?.code === "EROFS";
  }
}
