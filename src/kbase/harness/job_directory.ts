import type { Files } from "../../core/host.ts";
import { PATHS } from "./services.ts";

/** What a runner writes into a job's work directory before it starts the container. */
export interface WorkFiles {
  readonly input: {
    readonly id: string;
    readonly method: string;
    readonly params: readonly unknown[];
    readonly context: unknown;
  };
  /** Null for a job that is to run without one. */
  readonly token: string | null;
  /** The address of the harness, without a slash at its end. */
  readonly url: string;
  /** The scratch directory as the module sees it. */
  readonly scratch: string;
}

/** Lays out a work directory as JobRunner does: without a newline behind the token, and with these keys alone. */
export async function writeWork(
  files: Files,
  work: string,
  { input, token, url, scratch }: WorkFiles,
): Promise<void> {
  const write = (name: string, text: string) =>
    files.writeAtomic(`${work}/${name}`, new TextEncoder().encode(text));
  await files.makeDirectory(work);
  const { id, method, params, context } = input;
  await write("input.json", JSON.stringify({ id, version: "1.1", method, params, context }));
  if (token !== null) await write("token", token);
  await write("config.properties", propertiesText(url, scratch));
}

function propertiesText(url: string, scratch: string): string {
  const values = {
    kbase_endpoint: `${url}/services`,
    workspace_url: `${url}${PATHS.workspace}`,
    external_url: `${url}/services`,
    shock_url: `${url}${PATHS.blobstore}`,
    handle_url: `${url}${PATHS.handle}`,
    srv_wiz_url: `${url}${PATHS.wizard}`,
    auth_service_url: `${url}${PATHS.auth}/api/legacy/KBase/Sessions/Login`,
    "auth_service_url-v2": `${url}${PATHS.auth}/api/V2/token`,
    // The stand-ins answer without encryption, on this machine alone.
    auth_service_url_allow_insecure: "true",
    scratch,
  };
  const lines = Object.entries(values).map(([key, value]) => `${key} = ${value}`);
  return ["[global]", ...lines, ""].join("\n");
}

/** Where a module expects its scratch directory, whatever its deploy.cfg was made from. */
const CONTAINER_WORK = "/kb/module/work";

/**
 * A module's directory for a job that runs without a container: all that the author's own holds, by links, but for
 * the work directory, and for deploy.cfg, which is rendered in place and names the container's paths.
 */
export async function shadowModule(
  files: Files,
  module: string,
  shadow: string,
  work: string,
): Promise<void> {
  await files.makeDirectory(shadow);
  for (const name of await files.list(module)) {
    if (LEFT_OUT.has(name)) continue;
    await files.link(`${module}/${name}`, `${shadow}/${name}`);
  }
  const isThere = (await files.info(`${module}/deploy.cfg`).catch(() => null))?.kind === "file";
  const template = isThere ? await files.read(`${module}/deploy.cfg`, 1024 * 1024).catch(() => null) : null;
  if (template !== null) {
    const text = new TextDecoder().decode(template).replaceAll(CONTAINER_WORK, work);
    await files.writeAtomic(`${shadow}/deploy.cfg`, new TextEncoder().encode(text));
  }
  await files.link(work, `${shadow}/work`);
}

const LEFT_OUT: ReadonlySet<string> = new Set(["work", "deploy.cfg", "deploy.cfg.orig", ".git"]);
