import { z } from "zod";
import type { CallbackClient } from "./callback.ts";

/** The 11 fields of a saved object that KBase's Workspace tells everywhere. */
export const ObjectInfo = z.tuple([
  z.int(),
  z.string(),
  z.string(),
  z.string(),
  z.int(),
  z.string(),
  z.int(),
  z.string(),
  z.string(),
  z.int(),
  z.record(z.string(), z.string()).nullable(),
]);
export type ObjectInfo = z.output<typeof ObjectInfo>;

/** The permanent address of a saved object. */
export function upaOf(info: ObjectInfo): string {
  return `${info[6]}/${info[0]}/${info[4]}`;
}

const Objects = z.tuple([
  z.looseObject({ data: z.array(z.looseObject({ data: z.unknown(), info: ObjectInfo }).nullable()) }),
]);

const Handle = z.looseObject({ hid: z.string(), id: z.string() });

const Stored = z.tuple([
  z.looseObject({
    shock_id: z.string().min(1),
    handle: Handle.nullish(),
    node_file_name: z.string().nullish(),
    size: z.union([z.number(), z.string()]).nullish(),
  }),
]);

const Fetched = z.tuple([
  z.looseObject({
    file_path: z.string().min(1),
    node_file_name: z.string().nullish(),
    size: z.union([z.number(), z.string()]).nullish(),
  }),
]);

export interface SavedObject {
  readonly type: string;
  readonly name: string;
  readonly data: unknown;
  readonly meta?: Readonly<Record<string, string>>;
  readonly hidden?: boolean;
}

export interface StoreOptions {
  /** `zip` and `targz` pack the whole directory of `file_path`. */
  readonly pack?: "gzip" | "zip" | "targz";
  readonly makeHandle?: boolean;
  /** For errors and progress: what is stored. */
  readonly what?: string;
}

/** KBase's module for objects and files, which must lie in the scratch directory. */
export class DataFileUtil {
  readonly #callback: CallbackClient;

  constructor(callback: CallbackClient) {
    this.#callback = callback;
  }

  async getObject(ref: string): Promise<{ data: unknown; info: ObjectInfo }> {
    const [{ data: [object] }] = await this.#callback.run("DataFileUtil.get_objects", [{
      object_refs: [ref],
    }], Objects);
    if (object) return object;
    throw new Error(`Cannot get the object ${ref}: DataFileUtil gave none`);
  }

  async saveObjects(workspaceId: number, objects: readonly SavedObject[]): Promise<readonly ObjectInfo[]> {
    const hidden = (is: boolean | undefined) => (is === undefined ? {} : { hidden: is ? 1 : 0 });
    const params = { id: workspaceId, objects: objects.map((one) => ({ ...one, ...hidden(one.hidden) })) };
    const [infos] = await this.#callback.run(
      "DataFileUtil.save_objects",
      [params],
      z.tuple([z.array(ObjectInfo)]),
    );
    return infos;
  }

  async workspaceId(name: string): Promise<number> {
    const [id] = await this.#callback.run("DataFileUtil.ws_name_to_id", [name], z.tuple([z.int()]));
    return id;
  }

  /** Brings a file here: to this path, or into this directory under its own name. Never unpacks it. */
  async fetchFile(
    source: { readonly shockId: string } | { readonly handleId: string },
    path: string,
    what: string,
  ): Promise<{ path: string; name: string | null; bytes: number | null }> {
    const from = "shockId" in source ? { shock_id: source.shockId } : { handle_id: source.handleId };
    const params = [{ ...from, file_path: path }];
    const [file] = await this.#callback.run("DataFileUtil.shock_to_file", params, Fetched, { what });
    const bytes = Number(file.size ?? NaN);
    return {
      path: file.file_path,
      name: file.node_file_name ?? null,
      bytes: Number.isFinite(bytes) ? bytes : null,
    };
  }

  /** Stores a file, or a directory packed. */
  async storeFile(
    path: string,
    { pack, makeHandle, what }: StoreOptions = {},
  ): Promise<{ shockId: string; handleId: string | null; bytes: number | null }> {
    const params = [{
      file_path: path,
      ...(pack === undefined ? {} : { pack }),
      ...(makeHandle ? { make_handle: 1 } : {}),
    }];
    const [stored] = await this.#callback.run("DataFileUtil.file_to_shock", params, Stored, {
      what: what ?? "DataFileUtil.file_to_shock",
    });
    const bytes = Number(stored.size ?? NaN);
    return {
      shockId: stored.shock_id,
      handleId: stored.handle?.hid ?? null,
      bytes: Number.isFinite(bytes) ? bytes : null,
    };
  }
}
