import { z } from "zod";
import type { Files } from "../../core/host.ts";
import { answerError, answerRpc, only, rpcResponse, type StandIn, type StandInCall } from "./answer.ts";
import { LocalBlobstore } from "./local_blobstore.ts";
import type { LocalStore, StoredObject } from "./store.ts";

/** Where each service answers, below the harness's own address. */
export const PATHS = {
  workspace: "/services/ws",
  handle: "/services/handle_service",
  blobstore: "/services/shock-api",
  wizard: "/services/service_wizard",
  auth: "/services/auth",
} as const;

export interface ServicesOptions {
  readonly files: Files;
  readonly store: LocalStore;
  readonly token: string;
  /** Its own address, without a slash at its end. */
  readonly url: () => string;
  readonly call: () => StandInCall;
}

/** Stand-ins for the services that a module reaches by HTTP: nothing of them leaves this machine. */
export class LocalServices {
  readonly #options: ServicesOptions;
  readonly #blobstore: LocalBlobstore;

  constructor(options: ServicesOptions) {
    this.#options = options;
    this.#blobstore = new LocalBlobstore(options);
  }

  /** Null for a path that is no service's. */
  async answer(request: Request): Promise<Response | null> {
    const { pathname } = new URL(request.url);
    const { store, call } = this.#options;
    const raw = request.headers.get("authorization");
    const rpc = (methods: StandIn, open: readonly string[], isJava = false) => {
      const isAllowed = (name: string) => open.includes(name) || raw === this.#options.token;
      return answerRpc(request, methods, { call: call(), isAllowed, isJava });
    };
    if (pathname.startsWith(PATHS.workspace)) {
      return await rpc(workspaceMethods(store), ["ver", "status"], true);
    }
    if (pathname.startsWith(PATHS.handle)) return await rpc(handleMethods(store, this.#blobUrl), ["status"]);
    if (pathname.startsWith(PATHS.wizard)) return await rpc(WIZARD, Object.keys(WIZARD));
    if (pathname.startsWith(PATHS.auth)) return await this.#auth(request, pathname.slice(PATHS.auth.length));
    if (pathname.startsWith(PATHS.blobstore)) {
      return await this.#blobstore.answer(request, pathname.slice(PATHS.blobstore.length));
    }
    // DataFileUtil of a real image looks here, and takes anything but a redirect as it is.
    if (pathname === "/services/shock-direct") return await this.#blobstore.answer(request, "/");
    return null;
  }

  #blobUrl = (): string => `${this.#options.url()}${PATHS.blobstore}`;

  async #auth(request: Request, path: string): Promise<Response> {
    const { token, store } = this.#options;
    const isForm = path.startsWith("/api/legacy");
    const given = isForm
      ? new URLSearchParams(await request.text()).get("token")
      : request.headers.get("authorization");
    if (given !== token) {
      const [status, appcode, apperror] = given
        ? [401, 10020, "Invalid token"]
        : isForm
        ? [400, 30000, "Missing input parameter"]
        : [400, 10010, "No authentication token"];
      const message = `${appcode} ${apperror}`;
      const error = {
        httpcode: status,
        httpstatus: status === 401 ? "Unauthorized" : "Bad Request",
        appcode,
        apperror,
        message,
      };
      return rpcResponse({ error }, status as number);
    }
    const { user } = store;
    if (isForm) return rpcResponse({ user_id: user, name: user, email: `${user}@localhost` });
    if (path === "/api/V2/token") {
      const expires = Date.now() + 24 * 3600_000;
      const fields = { type: "Login", id: crypto.randomUUID(), expires, created: Date.now(), name: null };
      return rpcResponse({ ...fields, user, custom: {}, cachefor: 300_000 });
    }
    if (path === "/api/V2/me") {
      return rpcResponse({ user, display: user, email: `${user}@localhost`, roles: [], customroles: [] });
    }
    return rpcResponse({ error: { httpcode: 404, message: "Not Found" } }, 404);
  }
}

const Spec = z.looseObject({
  ref: z.string().optional(),
  wsid: z.int().optional(),
  workspace: z.string().optional(),
});
const flag = z.union([z.int(), z.boolean()]).nullish();
const Specs = z.looseObject({
  objects: z.array(Spec).min(1),
  ignoreErrors: flag,
  includeMetadata: flag,
  no_data: flag,
});

const WorkspaceName = z.looseObject({ workspace: z.string().optional(), id: z.int().optional() });

/** Shared with DataFileUtil, which saves through the Workspace. */
export const NewObjects = z.looseObject({
  id: z.int().optional(),
  workspace: z.string().optional(),
  objects: z.array(z.looseObject({
    type: z.string(),
    data: z.unknown(),
    name: z.string().optional(),
    objid: z.int().optional(),
    meta: z.record(z.string(), z.string()).nullish(),
    provenance: z.array(z.unknown()).nullish(),
    extra_provenance_input_refs: z.array(z.string()).nullish(),
  })).min(1),
});

function workspaceMethods(store: LocalStore): StandIn {
  const each = (params: readonly unknown[]) => {
    const { objects, ignoreErrors } = only(Specs, params);
    return objects.map((spec): StoredObject | null => {
      try {
        return store.object(spec.ref ?? `${spec.wsid ?? spec.workspace}/${spec["objid"] ?? spec["name"]}`);
      } catch (error) {
        if (ignoreErrors) return null;
        throw error;
      }
    });
  };
  return {
    ver: () => Promise.resolve(["0.15.0"]),
    status: () => Promise.resolve([{ state: "OK", message: "a stand-in", version: "0.15.0" }]),
    // deno-lint-ignore require-await
    get_objects2: async (params) => {
      const { no_data } = only(Specs, params);
      const told = (found: StoredObject) =>
        no_data ? { ...objectData(found), data: null } : objectData(found);
      return [{ data: each(params).map((found) => found && told(found)) }];
    },
    // deno-lint-ignore require-await
    get_object_info3: async (params) => {
      const found = each(params);
      const upas = found.map((one) => one && [upa(one)]);
      const { includeMetadata } = only(Specs, params);
      const infos = found.map((one) => one && (includeMetadata ? one.info : one.info.with(10, null)));
      return [{ infos, paths: upas }];
    },
    // deno-lint-ignore require-await
    get_workspace_info: async (params) => {
      const { workspace, id } = only(WorkspaceName, params);
      const found = store.workspace(id ?? workspace ?? "");
      if (found === null) {
        throw answerError(`No workspace with ${id === undefined ? "name" : "id"} ${id ?? workspace} exists`);
      }
      return [[
        found.id,
        found.name,
        store.user,
        "2026-01-01T00:00:00+0000",
        found.objects,
        "a",
        "n",
        "unlocked",
        {},
      ]];
    },
    save_objects: async (params) => {
      const { id, workspace, objects } = only(NewObjects, params);
      const place = id ?? workspace ?? "";
      const infos = [];
      for (const object of objects) {
        const { info } = await store.save(place, {
          type: object.type,
          name: store.nameOf(place, object),
          data: object.data,
          meta: object.meta ?? {},
          provenance: object.provenance ?? [],
        });
        infos.push(info);
      }
      return [infos];
    },
  };
}

function upa({ info }: StoredObject): string {
  return `${info[6]}/${info[0]}/${info[4]}`;
}

function objectData(found: StoredObject): object {
  const { data, info, provenance } = found;
  const common = { data, info, path: [upa(found)], provenance, creator: info[5], orig_wsid: info[6] };
  return {
    ...common,
    created: info[3],
    epoch: Date.parse(info[3]),
    refs: [],
    copied: null,
    extracted_ids: {},
  };
}

const NewHandle = z.looseObject({
  id: z.string(),
  file_name: z.string().nullish(),
  hid: z.undefined().optional(),
});

function handleMethods(store: LocalStore, blobUrl: () => string): StandIn {
  const described = (hid: string) => {
    const handle = store.handle(hid);
    const file = handle === null ? null : store.file(handle.nodeId);
    if (handle === null || file === null) return [];
    const { name: file_name, nodeId: id } = handle;
    const common = {
      hid,
      id,
      file_name,
      type: "shock",
      url: blobUrl(),
      remote_md5: file.md5,
      remote_sha1: null,
    };
    return [{ ...common, created_by: store.user, creation_date: Date.parse(file.createdOn) / 1000 }];
  };
  return {
    status: () => Promise.resolve([{ state: "OK" }]),
    // deno-lint-ignore require-await
    hids_to_handles: async (params) => {
      const hids = only(z.array(z.string()), params);
      const wrong = hids.find((hid) => !/^KBH_\w+$/.test(hid));
      if (wrong !== undefined) throw answerError(`Invalid hid: ${wrong}`);
      return [hids.flatMap(described)];
    },
    // deno-lint-ignore require-await
    ids_to_handles: async (params) => {
      const ids = only(z.array(z.string()), params);
      return [
        store.handles.filter(({ nodeId }) => ids.includes(nodeId)).flatMap(({ hid }) => described(hid)),
      ];
    },
    // deno-lint-ignore require-await
    persist_handle: async (params) => {
      const { id, file_name } = only(NewHandle, params);
      const file = store.file(id);
      if (file === null) throw answerError(`There is no stored file ${id}`);
      return [store.addHandle(file, file_name ?? null).hid];
    },
    are_readable: () => Promise.resolve([1]),
    is_readable: () => Promise.resolve([1]),
    is_owner: () => Promise.resolve([1]),
  };
}

const WIZARD: StandIn = {
  get_service_status: (params) => {
    const { module_name } = only(z.looseObject({ module_name: z.string() }), params);
    throw answerError(
      `No module version found that matches your criteria! The harness runs no dynamic service ${module_name}`,
    );
  },
};
