import { z } from "zod";
import type { ClientSurroundings } from "./http.ts";
import { RpcClient, type RpcOptions } from "./rpc.ts";
import { ServiceError } from "./service_error.ts";

const Status = z.looseObject({
  url: z.string(),
  module_name: z.string(),
  git_commit_hash: z.string().nullish(),
  up: z.union([z.int(), z.boolean()]).nullish(),
});

/** KBase's service that starts dynamic services and tells where they are. */
export class ServiceWizard {
  readonly #rpc: RpcClient;
  readonly #surroundings: ClientSurroundings;
  readonly #host: string;

  constructor(surroundings: ClientSurroundings, url: string, options: RpcOptions = {}) {
    this.#rpc = new RpcClient(surroundings, url, "the Service Wizard", options);
    this.#surroundings = surroundings;
    this.#host = URL.canParse(url) ? new URL(url).host : "";
  }

  /** Where a dynamic service is; it is started where it is not up. */
  async locate(module: string, version: string | null = null): Promise<string> {
    const call = {
      method: "ServiceWizard.get_service_status",
      params: [{ module_name: module, version }],
      isOpen: true,
    };
    const [{ url }] = await this.#rpc.call(call, z.tuple([Status]));
    return url;
  }

  /** A client for a dynamic service. One on another host than the Service Wizard's gets no token, so it is refused. */
  async client(module: string, version: string | null = null): Promise<RpcClient> {
    const url = await this.locate(module, version);
    const host = URL.canParse(url) ? new URL(url).host : null;
    if (host !== this.#host) {
      const why = `the Service Wizard points to another host, ${host ?? "which is no URL"}`;
      throw new ServiceError(`reach the service ${module}`, "redirected", why);
    }
    return new RpcClient(this.#surroundings, url, `the service ${module}`);
  }
}
