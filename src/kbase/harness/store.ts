import { md5 } from "@noble/hashes/legacy.js";
import { toHex } from "../../core/bytes.ts";
import { GlassboxError, messageOf, quoted } from "../../core/errors.ts";
import type { Files, Host } from "../../core/host.ts";
import { baseName, isInside, resolvePath } from "../../core/paths.ts";
import { isObject } from "../envelope.ts";
import { answerError } from "./answer.ts";
import type { ObjectInfo } from "../clients/data_file_util.ts";

/** A stored file. */
export interface StoredFile {
  readonly id: string;
  readonly name: string;
  readonly size: number;
  readonly md5: string;
  /** Where its bytes lie. */
  readonly path: string;
  readonly createdOn: string;
  /** As whoever stored it calls it; often empty. */
  readonly format: string;
}

export interface StoredHandle {
  readonly hid: string;
  readonly nodeId: string;
  readonly name: string;
}

/** One version of an object. */
export interface StoredObject {
  readonly info: ObjectInfo;
  readonly data: unknown;
  readonly provenance: readonly unknown[];
}

interface StoredWorkspace {
  readonly id: number;
  readonly name: string;
  /** By number from 1; each with its versions from 1. */
  readonly objects: { readonly name: string; readonly versions: StoredObject[] }[];
}

export interface NewObject {
  readonly type: string;
  readonly name: string;
  readonly data: unknown;
  readonly meta?: Readonly<Record<string, string>> | undefined;
  readonly provenance?: readonly unknown[] | undefined;
}

const SEED_BYTES_MAX = 256 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;

/**
 * What the stand-ins for KBase's services know: workspaces with objects, stored files, handles. It begins with what a
 * seed directory holds and writes what is saved to a directory of its own, where it can be looked at; the seed is
 * only read.
 */
export class LocalStore {
  readonly user: string;
  readonly #host: Pick<Host, "files" | "clock" | "random">;
  readonly #directory: string;
  readonly #workspaces: StoredWorkspace[] = [];
  readonly #stored = new Map<string, StoredFile>();
  readonly #handles = new Map<string, StoredHandle>();
  readonly #saved: StoredObject[] = [];

  private constructor(host: Pick<Host, "files" | "clock" | "random">, directory: string, user: string) {
    this.#host = host;
    this.#directory = directory;
    this.user = user;
  }

  /** `seed` holds `objects/WORKSPACE/OBJECT.json` and `handles.json`; null for an empty beginning. */
  static async open(
    host: Pick<Host, "files" | "clock" | "random">,
    directory: string,
    seed: string | null,
    user: string,
  ): Promise<LocalStore> {
    const store = new LocalStore(host, directory, user);
    await host.files.makeDirectory(directory);
    if (seed !== null) await store.#plant(seed);
    return store;
  }

  /** What was saved by the job, without what was there before. */
  get saved(): readonly StoredObject[] {
    return this.#saved;
  }

  workspace(
    nameOrId: string | number,
  ): { readonly id: number; readonly name: string; readonly objects: number } | null {
    const found = this.#find(nameOrId);
    return found === undefined ? null : { id: found.id, name: found.name, objects: found.objects.length };
  }

  makeWorkspace(name: string): void {
    if (this.#find(name) === undefined) {
      this.#workspaces.push({ id: this.#workspaces.length + 1, name, objects: [] });
    }
  }

  /** The object of a reference such as `1/2/3`, `name/object`, or the last step of a path of them. */
  object(ref: string): StoredObject {
    const last = ref.split(";").at(-1)!.trim();
    const [workspaceName, objectName, version, ...rest] = last.split("/");
    if (!workspaceName || !objectName || rest.length > 0) {
      throw answerError(
        `Illegal object reference: ${quoted(ref)} is not workspace/object or workspace/object/version`,
      );
    }
    const workspace = this.#find(workspaceName);
    if (workspace === undefined) {
      throw answerError(`Object ${ref} cannot be accessed: No workspace with ${named(workspaceName)} exists`);
    }
    const object = /^\d+$/.test(objectName)
      ? workspace.objects[Number(objectName) - 1]
      : workspace.objects.find(({ name }) => name === objectName);
    if (object === undefined) {
      throw answerError(
        `No object with ${named(objectName)} exists in workspace ${workspace.id} (name ${workspace.name})`,
      );
    }
    const found = version === undefined ? object.versions.at(-1) : object.versions[Number(version) - 1];
    if (found !== undefined) return found;
    throw answerError(
      `No object with name ${object.name} and version ${version} exists in workspace ${workspace.id}`,
    );
  }

  /** An object to save is named either by its name or by the number of one that is there. */
  nameOf(
    workspace: string | number,
    { name, objid }: { readonly name?: string | undefined; readonly objid?: number | undefined },
  ): string {
    if ((name === undefined) === (objid === undefined)) {
      throw answerError("Must provide either a name or an objid for the object, and not both");
    }
    return name ?? this.object(`${workspace}/${objid}`).info[1];
  }

  async save(nameOrId: string | number, object: NewObject): Promise<StoredObject> {
    const workspace = this.#find(nameOrId);
    if (workspace === undefined) throw answerError(`No workspace with ${named(String(nameOrId))} exists`);
    if (!/^[A-Za-z0-9|._-]+$/.test(object.name) || /^-?\d+$/.test(object.name)) {
      throw answerError(`Illegal character in object name ${object.name}, or it is an integer`);
    }
    const stored = await this.#add(workspace, object);
    this.#saved.push(stored);
    const { info } = stored;
    const path = `${this.#directory}/objects/${fileName(info[7])}/${fileName(info[1])}_v${info[4]}.json`;
    await this.#host.files.makeDirectory(path.slice(0, path.lastIndexOf("/")));
    const { type, name, data, meta = {}, provenance = [] } = object;
    const text = JSON.stringify({ type, name, meta, provenance, data }, null, 2);
    await this.#host.files.writeAtomic(path, new TextEncoder().encode(text));
    return stored;
  }

  file(id: string): StoredFile | null {
    return this.#stored.get(id) ?? null;
  }

  async addFile(name: string, pieces: AsyncIterable<Uint8Array>, format = ""): Promise<StoredFile> {
    const { files, random } = this.#host;
    const id = random.uuid();
    const directory = `${this.#directory}/files/${id}`;
    await files.makeDirectory(directory);
    const path = `${directory}/${fileName(name)}`;
    const hash = md5.create();
    const hashed = async function* () {
      for await (const piece of pieces) {
        hash.update(piece);
        yield piece;
      }
    };
    const size = await files.writePieces(path, hashed());
    if (size === 0) {
      await files.remove(directory);
      throw answerError("file size must be > 0");
    }
    return this.#keep({ id, name, size, md5: toHex(hash.digest()), path, createdOn: this.#now(), format });
  }

  /** A file of the seed is forgotten, and stays where it is. */
  async removeFile(id: string): Promise<void> {
    this.#stored.delete(id);
    await this.#host.files.remove(`${this.#directory}/files/${id}`).catch(() => undefined);
  }

  handle(hid: string): StoredHandle | null {
    return this.#handles.get(hid) ?? null;
  }

  get handles(): readonly StoredHandle[] {
    return [...this.#handles.values()];
  }

  addHandle(file: StoredFile, name: string | null = null): StoredHandle {
    let number = this.#handles.size + 1;
    while (this.#handles.has(`KBH_${number}`)) number += 1;
    return this.#keepHandle({ hid: `KBH_${number}`, nodeId: file.id, name: name ?? file.name });
  }

  #keep(file: StoredFile): StoredFile {
    this.#stored.set(file.id, file);
    return file;
  }

  #keepHandle(handle: StoredHandle): StoredHandle {
    this.#handles.set(handle.hid, handle);
    return handle;
  }

  #find(nameOrId: string | number): StoredWorkspace | undefined {
    const text = String(nameOrId);
    return this.#workspaces.find(({ id, name }) => name === text || String(id) === text);
  }

  async #add(workspace: StoredWorkspace, object: NewObject): Promise<StoredObject> {
    let number = workspace.objects.findIndex(({ name }) => name === object.name) + 1;
    if (number === 0) number = workspace.objects.push({ name: object.name, versions: [] });
    const { versions } = workspace.objects[number - 1]!;
    const bytes = new TextEncoder().encode(JSON.stringify(object.data));
    const info: ObjectInfo = [
      number,
      object.name,
      object.type.includes("-") ? object.type : `${object.type}-1.0`,
      this.#now(),
      versions.length + 1,
      this.user,
      workspace.id,
      workspace.name,
      toHex(md5(bytes)),
      bytes.length,
      { ...object.meta },
    ];
    const stored = { info, data: object.data, provenance: object.provenance ?? [] };
    versions.push(stored);
    return await Promise.resolve(stored);
  }

  /** As the Workspace writes times. */
  #now(): string {
    return new Date(this.#host.clock.nowMs()).toISOString().replace(/\.\d+Z$/, "+0000");
  }

  async #plant(seed: string): Promise<void> {
    const { files } = this.#host;
    if ((await files.info(seed))?.kind !== "directory") {
      throw new GlassboxError(
        "input_missing",
        `Cannot use ${quoted(seed)} as data as it must be a directory`,
      );
    }
    for (const workspace of await listed(files, `${seed}/objects`)) {
      this.makeWorkspace(workspace);
      for (const name of await listed(files, `${seed}/objects/${workspace}`)) {
        if (name.endsWith(".json")) {
          await this.#plantObject(workspace, `${seed}/objects/${workspace}/${name}`);
        }
      }
    }
    const handles = await seedJson(files, `${seed}/handles.json`);
    for (const [hid, path] of Object.entries(handles ?? {})) await this.#plantHandle(seed, hid, path);
  }

  async #plantObject(workspace: string, path: string): Promise<void> {
    const document = await seedJson(this.#host.files, path);
    const { type, data, meta } = document ?? {};
    if (typeof type !== "string" || data === undefined) {
      throw new GlassboxError(
        "bad_json",
        `Cannot use ${quoted(path)} as it must hold {"type": "Mod.Type-1.0", "data": …}`,
      );
    }
    const name = baseName(path).replace(/\.json$/, "");
    const pairs = isObject(meta) ? Object.entries(meta).map(([key, value]) => [key, String(value)]) : [];
    await this.#add(this.#find(workspace)!, { type, name, data, meta: Object.fromEntries(pairs) });
  }

  /** A file of the seed stays where it is. */
  async #plantHandle(seed: string, hid: string, named: unknown): Promise<void> {
    const path = typeof named === "string" ? resolvePath(seed, named) : null;
    const info = path === null || !isInside(seed, path) ? null : await this.#host.files.info(path);
    if (path === null || info?.kind !== "file") {
      throw new GlassboxError(
        "input_missing",
        `Cannot use handle ${quoted(hid)} of handles.json as it must name a file below ${
          quoted(seed)
        }: it is ${quoted(named)}`,
      );
    }
    const hash = md5.create();
    for await (const piece of this.#host.files.readPieces(path, PIECE_BYTES)) hash.update(piece);
    const file = {
      id: this.#host.random.uuid(),
      name: baseName(path),
      size: info.sizeBytes,
      md5: toHex(hash.digest()),
      path,
      createdOn: this.#now(),
      format: "",
    };
    this.#keepHandle({ hid, nodeId: this.#keep(file).id, name: file.name });
  }
}

function named(text: string): string {
  return /^\d+$/.test(text) ? `id ${text}` : `name ${text}`;
}

/** A name for the disk: `:` of a workspace and the like become underscores, and it leads nowhere. */
function fileName(name: string): string {
  const plain = name.replace(/[^\p{L}\p{N}._|-]/gu, "_").slice(0, 200);
  return /^\.*$/.test(plain) ? "_" : plain;
}

async function listed(files: Files, directory: string): Promise<string[]> {
  if ((await files.info(directory))?.kind !== "directory") return [];
  return (await files.list(directory)).filter((name) => !name.startsWith("."));
}

async function seedJson(files: Files, path: string): Promise<Record<string, unknown> | null> {
  if (await files.info(path) === null) return null;
  try {
    const document: unknown = JSON.parse(new TextDecoder().decode(await files.read(path, SEED_BYTES_MAX)));
    if (isObject(document)) return document;
  } catch (error) {
    throw new GlassboxError("bad_json", `Cannot read ${quoted(path)}: ${messageOf(error)}`, { cause: error });
  }
  throw new GlassboxError("bad_json", `Cannot read ${quoted(path)} as it must hold one object`);
}
