import { z } from "zod";
import { ObjectInfo } from "./data_file_util.ts";
import type { ClientSurroundings } from "./http.ts";
import { RpcClient, type RpcOptions } from "./rpc.ts";

const WorkspaceInfo = z.tuple([
  z.int(),
  z.string(),
  z.string(),
  z.string(),
  z.int(),
  z.string(),
  z.string(),
  z.string(),
  z.record(z.string(), z.string()),
]);

const ObjectData = z.looseObject({
  data: z.unknown(),
  info: ObjectInfo,
  provenance: z.array(z.unknown()).nullish(),
});

/** KBase's store of objects, asked directly. */
export class Workspace {
  readonly #rpc: RpcClient;

  constructor(surroundings: ClientSurroundings, url: string, options: RpcOptions = {}) {
    this.#rpc = new RpcClient(surroundings, url, "the Workspace", options);
  }

  async version(): Promise<string> {
    const [version] = await this.#rpc.call({ method: "Workspace.ver", params: [] }, z.tuple([z.string()]));
    return version;
  }

  async objects(refs: readonly string[]): Promise<readonly z.output<typeof ObjectData>[]> {
    const params = [{ objects: refs.map((ref) => ({ ref })) }];
    const schema = z.tuple([z.looseObject({ data: z.array(ObjectData) })]);
    const [{ data }] = await this.#rpc.call({ method: "Workspace.get_objects2", params }, schema);
    return data;
  }

  async infos(refs: readonly string[]): Promise<readonly ObjectInfo[]> {
    const params = [{ objects: refs.map((ref) => ({ ref })) }];
    const schema = z.tuple([z.looseObject({ infos: z.array(ObjectInfo) })]);
    const [{ infos }] = await this.#rpc.call({ method: "Workspace.get_object_info3", params }, schema);
    return infos;
  }

  async save(
    workspace: { readonly id: number } | { readonly workspace: string },
    objects: readonly { readonly type: string; readonly name: string; readonly data: unknown }[],
  ): Promise<readonly ObjectInfo[]> {
    const params = [{ ...workspace, objects }];
    const call = { method: "Workspace.save_objects", params };
    const [infos] = await this.#rpc.call(call, z.tuple([z.array(ObjectInfo)]));
    return infos;
  }

  async workspaceInfo(
    workspace: { readonly id: number } | { readonly workspace: string },
  ): Promise<{ id: number; name: string; owner: string }> {
    const call = { method: "Workspace.get_workspace_info", params: [workspace] };
    const [[id, name, owner]] = await this.#rpc.call(call, z.tuple([WorkspaceInfo]));
    return { id, name, owner };
  }
}
