import { z } from "zod";
import type { Files } from "../../core/host.ts";
import { baseName, directoryOf } from "../../core/paths.ts";
import { answerError, only, type StandIn } from "./answer.ts";
import { pack, unpack } from "./packing.ts";
import { NewObjects } from "./services.ts";
import type { SharedTmp } from "./shared_tmp.ts";
import type { LocalStore, StoredFile } from "./store.ts";

export interface DataFileUtilOptions {
  readonly files: Files;
  readonly store: LocalStore;
  readonly tmp: SharedTmp;
  readonly blobUrl: () => string;
}

const PIECE_BYTES = 256 * 1024;

const Get = z.looseObject({
  object_refs: z.array(z.string()).min(1, "no objects specified for retrieval"),
  ignore_errors: z.union([z.int(), z.boolean()]).nullish(),
});

const Fetch = z.looseObject({
  shock_id: z.string().nullish(),
  handle_id: z.string().nullish(),
  file_path: z.string().min(1),
  unpack: z.string().nullish(),
});

const Store = z.looseObject({
  file_path: z.string().min(1),
  make_handle: z.union([z.int(), z.boolean()]).nullish(),
  pack: z.string().nullish(),
});

const Unpack = z.looseObject({ file_path: z.string(), unpack: z.string().nullish() });
const Copy = z.looseObject({ shock_id: z.string(), make_handle: z.union([z.int(), z.boolean()]).nullish() });

/** A stand-in for DataFileUtil: the same arguments, results and refusals, with files and objects kept here. */
export function dataFileUtil(options: DataFileUtilOptions): StandIn {
  const { files, store, tmp } = options;
  const fetch = (params: z.output<typeof Fetch>) => fetchFile(options, params);
  const keep = (params: z.output<typeof Store>) => storeFile(options, params);
  const copy = async (params: readonly unknown[]) => {
    const { shock_id, make_handle } = only(Copy, params);
    const stored = found(store, shock_id);
    const copied = await store.addFile(stored.name, files.readPieces(stored.path, PIECE_BYTES));
    return [{ shock_id: copied.id, handle: make_handle ? handleOf(options, copied) : null }];
  };
  return {
    // deno-lint-ignore require-await
    get_objects: async (params) => {
      const { object_refs, ignore_errors } = only(Get, params);
      return [{ data: object_refs.map((ref) => gotten(store, ref, Boolean(ignore_errors))) }];
    },
    save_objects: async (params, { provenance }) => {
      const { id, objects } = only(NewObjects, params);
      if (id === undefined) {
        throw answerError("Required parameter id missing: it must be the number of a workspace");
      }
      const infos = [];
      for (const object of objects) {
        const name = store.nameOf(id, object);
        const refs = object.extra_provenance_input_refs ?? [];
        const { type, data, meta } = object;
        const saved = {
          type,
          name,
          data: sorted(data),
          meta: meta ?? {},
          provenance: withRefs(provenance, refs),
        };
        infos.push((await store.save(id, saved)).info);
      }
      return [infos];
    },
    // deno-lint-ignore require-await
    ws_name_to_id: async (params) => {
      const name = only(z.string(), params);
      const workspace = store.workspace(name);
      if (workspace === null) throw answerError(`No workspace with name ${name} exists`);
      return [workspace.id];
    },
    shock_to_file: async (params) => [await fetch(only(Fetch, params))],
    shock_to_file_mass: async (params) => [await inTurn(only(z.array(Fetch), params), fetch)],
    file_to_shock: async (params) => [await keep(only(Store, params))],
    file_to_shock_mass: async (params) => [await inTurn(only(z.array(Store), params), keep)],
    pack_file: async (params) => {
      const { file_path, pack: how } = only(Store, params);
      const packed = await pack(files, await tmp.locate(file_path), how ?? "", tmp.directory);
      return [{ file_path: tmp.nameFor(file_path, packed) }];
    },
    unpack_file: async (params) => {
      const { file_path } = only(Unpack, params);
      return [{
        file_path: tmp.nameFor(file_path, await unpack(files, await tmp.locate(file_path), "unpack")),
      }];
    },
    unpack_files: async (params) => [
      await inTurn(only(z.array(Unpack), params), async ({ file_path, unpack: how }) => {
        const unpacked = await unpack(files, await tmp.locate(file_path), howOf(how ?? "unpack") ?? "unpack");
        return { file_path: tmp.nameFor(file_path, unpacked) };
      }),
    ],
    copy_shock_node: copy,
    own_shock_node: (params) => {
      const { shock_id, make_handle } = only(Copy, params);
      const stored = found(store, shock_id);
      return Promise.resolve([{ shock_id, handle: make_handle ? handleOf(options, stored) : null }]);
    },
    versions: () => Promise.resolve(["0.15.0", "0.9.6"]),
    status: () => Promise.resolve([{ state: "OK", message: "a stand-in", version: "0.2.2" }]),
  };
}

async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}

function gotten(store: LocalStore, ref: string, ignoresErrors: boolean): object | null {
  try {
    const { data, info } = store.object(ref);
    return { data, info };
  } catch (error) {
    if (ignoresErrors) return null;
    throw error;
  }
}

function found(store: LocalStore, id: string): StoredFile {
  const stored = store.file(id);
  if (stored !== null) return stored;
  throw answerError(`Error downloading file from shock node ${id}: Node not found`);
}

function howOf(unpack: string | null | undefined): "unpack" | "uncompress" | null {
  if (unpack === null || unpack === undefined || unpack === "") return null;
  if (unpack === "unpack" || unpack === "uncompress") return unpack;
  throw answerError(`Illegal unpack value: ${unpack}`);
}

async function fetchFile(options: DataFileUtilOptions, params: z.output<typeof Fetch>): Promise<object> {
  const { files, store, tmp } = options;
  const { shock_id, handle_id, file_path } = params;
  if (Boolean(shock_id) === Boolean(handle_id)) {
    throw answerError("Must provide either a Shock ID or a handle ID, and not both");
  }
  const how = howOf(params.unpack);
  const handle = handle_id ? store.handle(handle_id) : null;
  if (handle_id && handle === null) throw answerError(`The handle ${handle_id} was not found`);
  const stored = found(store, handle?.nodeId ?? shock_id!);
  const place = await tmp.locate(file_path);
  const isDirectory = file_path.endsWith("/") || (await files.info(place))?.kind === "directory";
  const path = isDirectory ? `${place}/${stored.name}` : place;
  await files.makeDirectory(directoryOf(path));
  await files.writePieces(path, files.readPieces(stored.path, PIECE_BYTES));
  const last = how === null ? path : await unpack(files, path, how);
  return {
    node_file_name: stored.name,
    attributes: null,
    file_path: tmp.nameFor(file_path, last),
    size: stored.size,
  };
}

async function storeFile(options: DataFileUtilOptions, params: z.output<typeof Store>): Promise<object> {
  const { files, store, tmp } = options;
  const { file_path, pack: how, make_handle } = params;
  const place = await tmp.locate(file_path);
  const path = how ? await pack(files, place, how, tmp.directory) : place;
  const kind = (await files.info(path))?.kind;
  if (kind !== "file") {
    throw answerError(`No such file: ${file_path}${kind === "directory" ? " is a directory" : ""}`);
  }
  // The Blobstore takes no colon in a name.
  const name = baseName(path).replaceAll(":", "_");
  const stored = await store.addFile(name, files.readPieces(path, PIECE_BYTES));
  const handle = make_handle ? handleOf(options, stored) : null;
  return { shock_id: stored.id, handle, node_file_name: stored.name, size: stored.size };
}

function handleOf({ store, blobUrl }: DataFileUtilOptions, stored: StoredFile): object {
  const { hid } = store.addHandle(stored);
  const { id, name: file_name, md5: remote_md5 } = stored;
  return { hid, id, type: "shock", url: blobUrl(), file_name, remote_md5 };
}

/** The Workspace runs out of memory sorting large objects, so DataFileUtil sorts their keys first. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

function withRefs(provenance: readonly unknown[], refs: readonly string[]): readonly unknown[] {
  if (refs.length === 0) return provenance;
  const [first = {}, ...rest] = provenance as readonly Record<string, unknown>[];
  const inputs = Array.isArray(first["input_ws_objects"]) ? first["input_ws_objects"] : [];
  return [{ ...first, input_ws_objects: [...inputs, ...refs] }, ...rest];
}
