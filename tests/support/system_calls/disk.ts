/**
 * A disk that loses its power. It is fed the changes that programs made, and gives what may be found afterwards.
 *
 * The rules are those of POSIX, which are harder than any file system in use. What a file holds is safe when the
 * file was synced after it was written; before that each of its sectors may hold any of the states it went
 * through, and its size too. A name in a directory is safe when the directory was synced after it was given; before
 * that any subset of the changes to a directory may be found, but each of them whole. Nothing else is assumed: not
 * that a synced file has a name, nor that a directory that was made is in its parent.
 */
import { dirname } from "node:path";
import type { SeededRandom } from "../random.ts";
import type { Change } from "./log.ts";

const SECTOR_BYTES = 512;

type Pending =
  | { readonly offset: number; readonly bytes: Uint8Array }
  | { readonly size: number };

/** One file: what is safe of it, and what was done to it since. */
class File {
  #safe: Uint8Array = new Uint8Array(0);
  #pending: Pending[] = [];
  /** Changes that running syncs will make safe. */
  readonly #syncs = new Map<string, number>();

  change(pending: Pending): void {
    this.#pending.push(pending);
  }

  beginSync(sync: string): void {
    this.#syncs.set(sync, this.#pending.length);
  }

  endSync(sync: string): void {
    const count = this.#syncs.get(sync) ?? 0;
    this.#safe = applied(this.#safe, this.#pending.slice(0, count));
    this.#pending = this.#pending.slice(count);
    this.#syncs.delete(sync);
    for (const [other, safe] of this.#syncs) this.#syncs.set(other, Math.max(0, safe - count));
  }

  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  /** As programs saw it. */
  whole(): Uint8Array {
    return this.#pending.length === 0 ? this.#safe : applied(this.#safe, this.#pending);
  }

  image(fate: Fate, random: SeededRandom): Uint8Array {
    if (fate === "all" || this.#pending.length === 0) return this.whole();
    if (fate === "synced") return this.#safe;
    if (fate === "prefix") {
      return applied(this.#safe, this.#pending.slice(0, random.int(0, this.#pending.length)));
    }
    if (fate === "some") return applied(this.#safe, this.#pending.filter(() => random.next() < 0.5));
    return this.#torn(random);
  }

  /** Each sector stopped at a moment of its own, and so did the size. */
  #torn(random: SeededRandom): Uint8Array {
    const count = this.#pending.length;
    const whole = applied(this.#safe, this.#pending);
    const longest = Math.max(
      whole.length,
      this.#safe.length,
      ...this.#pending.map((one) => "size" in one ? one.size : one.offset + one.bytes.length),
    );
    const stops = Array.from({ length: Math.ceil(longest / SECTOR_BYTES) }, () => random.int(0, count));
    const image = new Uint8Array(longest);
    image.set(this.#safe);
    this.#pending.forEach((one, index) => {
      if ("size" in one) {
        for (let at = one.size; at < longest;) {
          const end = Math.min(longest, nextSector(at));
          if (index < stops[Math.floor(at / SECTOR_BYTES)]!) image.fill(0, at, end);
          at = end;
        }
        return;
      }
      for (let at = one.offset; at < one.offset + one.bytes.length;) {
        const end = Math.min(one.offset + one.bytes.length, nextSector(at));
        if (index < stops[Math.floor(at / SECTOR_BYTES)]!) {
          image.set(one.bytes.subarray(at - one.offset, end - one.offset), at);
        }
        at = end;
      }
    });
    return image.slice(0, sizeAfter(this.#safe.length, this.#pending.slice(0, random.int(0, count))));
  }
}

function nextSector(at: number): number {
  return (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES;
}

function sizeAfter(before: number, changes: readonly Pending[]): number {
  return changes.reduce(
    (size, one) => "size" in one ? one.size : Math.max(size, one.offset + one.bytes.length),
    before,
  );
}

function applied(before: Uint8Array, changes: readonly Pending[]): Uint8Array {
  if (changes.length === 0) return before;
  const longest = Math.max(before.length, ...changes.map((_, index) => sizeAfter(0, [changes[index]!])));
  const bytes = new Uint8Array(longest);
  bytes.set(before);
  let size = before.length;
  for (const change of changes) {
    if ("size" in change) {
      if (change.size < size) bytes.fill(0, change.size, size);
      size = change.size;
    } else {
      bytes.set(change.bytes, change.offset);
      size = Math.max(size, change.offset + change.bytes.length);
    }
  }
  return bytes.subarray(0, size);
}

/** What becomes of changes that were not synced. */
export type Fate = "all" | "synced" | "prefix" | "some" | "torn";
const FATES: readonly Fate[] = ["all", "synced", "prefix", "some", "torn", "torn"];

/** A name as a change leaves it: a file, a directory, or nothing. */
type Named = File | "directory" | null;
/** The names that one call changed; a rename changes two, and both or none. */
type Naming = ReadonlyMap<string, Named>;

/** What may be found after the power was cut: the bytes of each file by its path. */
export type Image = ReadonlyMap<string, Uint8Array>;

export class Disk {
  readonly #root: string;
  readonly #files = new Map<number, File>();
  /** As programs see them. */
  readonly #names = new Map<string, Named>();
  readonly #safeNames = new Map<string, Named>();
  readonly #pending = new Map<string, Naming[]>();
  readonly #syncs = new Map<string, { readonly directory: string; count: number }>();

  /** `root` and the directories in it that were there before are safe. */
  constructor(root: string) {
    this.#root = root;
  }

  apply(change: Change): void {
    switch (change.kind) {
      case "create": {
        const file = new File();
        this.#files.set(change.file, file);
        return this.#name(dirname(change.path), new Map([[change.path, file]]));
      }
      case "write":
        return this.#files.get(change.file)?.change({ offset: change.offset, bytes: change.bytes });
      case "truncate":
        return this.#files.get(change.file)?.change({ size: change.size });
      case "sync-begin":
        this.#files.get(change.file)?.beginSync(change.sync);
        return void this.#syncs.set(change.sync, {
          directory: change.path,
          count: this.#pending.get(change.path)?.length ?? 0,
        });
      case "sync-end":
        this.#files.get(change.file)?.endSync(change.sync);
        return this.#endSync(change.path, change.sync);
      case "mkdir":
        return this.#name(dirname(change.path), new Map([[change.path, "directory"]]));
      case "unlink":
      case "rmdir":
        return this.#name(dirname(change.path), new Map([[change.path, null]]));
      case "link":
        return this.#name(dirname(change.to), new Map([[change.to, this.#names.get(change.path) ?? null]]));
      case "rename":
        return this.#name(
          dirname(change.to),
          new Map<string, Named>([[change.path, null], [change.to, this.#names.get(change.path) ?? null]]),
        );
    }
  }

  /** What programs see at `path` now; null when there is no file. */
  whole(path: string): Uint8Array | null {
    const named = this.#names.get(path);
    return named instanceof File ? named.whole() : null;
  }

  /** One of the states that the disk may be in when the power is cut now. */
  image(random: SeededRandom): Image {
    const names = new Map(this.#safeNames);
    const fateOfNames = random.pick(FATES);
    for (const pending of this.#pending.values()) {
      for (const naming of keptOf(pending, fateOfNames, random)) {
        for (const [path, named] of naming) names.set(path, named);
      }
    }
    const fate = random.pick(FATES);
    const image = new Map<string, Uint8Array>();
    for (const [path, named] of names) {
      if (!(named instanceof File) || !this.#isReachable(path, names)) continue;
      image.set(path, named.image(fate, random));
    }
    return image;
  }

  #name(directory: string, naming: Naming): void {
    for (const [path, named] of naming) this.#names.set(path, named);
    const pending = this.#pending.get(directory) ?? [];
    pending.push(naming);
    this.#pending.set(directory, pending);
  }

  #endSync(directory: string, sync: string): void {
    const count = this.#syncs.get(sync)?.count ?? 0;
    this.#syncs.delete(sync);
    for (const other of this.#syncs.values()) {
      if (other.directory === directory) other.count = Math.max(0, other.count - count);
    }
    for (const naming of this.#pending.get(directory)?.splice(0, count) ?? []) {
      for (const [path, named] of naming) {
        if (named === null) this.#safeNames.delete(path);
        else this.#safeNames.set(path, named);
      }
    }
  }

  /** A file whose directory was lost is lost with it. Directories that no change made were there before. */
  #isReachable(path: string, names: ReadonlyMap<string, Named>): boolean {
    for (let at = dirname(path); at !== this.#root && at.startsWith(this.#root); at = dirname(at)) {
      if (this.#names.has(at) && names.get(at) !== "directory") return false;
    }
    return true;
  }
}

function keptOf(pending: readonly Naming[], fate: Fate, random: SeededRandom): readonly Naming[] {
  if (fate === "all") return pending;
  if (fate === "synced") return [];
  if (fate === "prefix") return pending.slice(0, random.int(0, pending.length));
  return pending.filter(() => random.next() < 0.5);
}
