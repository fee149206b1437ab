import { GlassboxError } from "../core/errors.ts";
import type { Files } from "../core/host.ts";

/**
 * The file an embedded database was opened as. Deleted or replaced, it can still be written to by whoever has it
 * open, and nobody would ever read that again.
 */
export class DatabaseFile {
  readonly path: string;
  readonly display: string;
  #files: Files;
  /** Null for one that cannot be looked at: then nothing is known of its going either. */
  #identity: string | null;
  #gone: GlassboxError | null = null;

  private constructor(path: string, display: string, files: Files, identity: string | null) {
    this.path = path;
    this.display = display;
    this.#files = files;
    this.#identity = identity;
  }

  static async at(path: string, display: string, files: Files): Promise<DatabaseFile> {
    const info = await files.info(path).catch(() => null);
    return new DatabaseFile(path, display, files, info?.identity ?? null);
  }

  /** True once a check has failed; it stays so, as what was written meanwhile is nowhere to be found. */
  get isGone(): boolean {
    return this.#gone !== null;
  }

  /** Rejects with `storage_gone` when another file, or none, is at the path. */
  async check(): Promise<void> {
    if (this.#gone !== null) throw this.#gone;
    if (this.#identity === null) return;
    // A look that fails for another reason says nothing about the file.
    const info = await this.#files.info(this.path).catch(() => undefined);
    if (info === undefined || info?.identity === this.#identity) return;
    const what = info === null
      ? "the file that was opened is no longer there"
      : "another file has taken its place";
    throw this.#gone = new GlassboxError(
      "storage_gone",
      `Cannot go on with the database ${this.display} as ${what}: bring the file back and start again`,
    );
  }
}
