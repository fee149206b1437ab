import { z } from "zod";
import type { ClientSurroundings } from "./http.ts";
import { RpcClient, type RpcOptions } from "./rpc.ts";

export const Handle = z.looseObject({
  hid: z.string(),
  id: z.string(),
  file_name: z.string().nullish(),
  type: z.string().nullish(),
  url: z.string().nullish(),
});
export type Handle = z.output<typeof Handle>;

/** KBase's service that tells which stored file a handle stands for. */
export class AbstractHandle {
  readonly #rpc: RpcClient;

  constructor(surroundings: ClientSurroundings, url: string, options: RpcOptions = {}) {
    this.#rpc = new RpcClient(surroundings, url, "the handle service", options);
  }

  /** In the order asked; null for one that the service does not know, which it leaves out silently. */
  async resolve(hids: readonly string[]): Promise<readonly (Handle | null)[]> {
    const call = { method: "AbstractHandle.hids_to_handles", params: [hids] };
    const [handles] = await this.#rpc.call(call, z.tuple([z.array(Handle)]));
    return hids.map((hid) => handles.find((handle) => handle.hid === hid) ?? null);
  }

  /** Gives a stored file a handle. */
  async persist(
    file: { readonly id: string; readonly url: string; readonly name?: string },
  ): Promise<string> {
    const handle = {
      id: file.id,
      type: "shock",
      url: file.url,
      ...(file.name === undefined ? {} : { file_name: file.name }),
    };
    const call = { method: "AbstractHandle.persist_handle", params: [handle] };
    const [hid] = await this.#rpc.call(call, z.tuple([z.string().min(1)]));
    return hid;
  }
}
