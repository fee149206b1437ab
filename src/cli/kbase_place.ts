import type { Host } from "../core/host.ts";
import { directoryOf, isInside } from "../core/paths.ts";
import { type DeployConfig, deployConfig, secureParameters } from "../kbase/deploy_config.ts";
import { Methods } from "../kbase/methods.ts";
import { readModule } from "../kbase/module.ts";
import { cleanToken, readToken } from "../kbase/work_directory.ts";
import { Secrets } from "../logs/secrets.ts";
import type { TaskRegistry } from "../core/task.ts";
import type { KbaseAction, KbasePlan } from "./launch_plan.ts";

/** Where a KBase launch finds its files. */
export interface KbasePlace {
  readonly work: string | null;
  /** Holds kbase.yml and deploy.cfg. */
  readonly module: string;
}

/** The place of a launch; a job's own directory counts as a work directory where a runner's files lie in it. */
export async function placeOf(host: Host, { action, work }: KbasePlan): Promise<KbasePlace> {
  const { workingDirectory } = host.processes;
  const own = action.kind === "one-shot" ? await workAround(host, action.input, work) : work;
  return { work: own, module: own === null ? workingDirectory : directoryOf(own) };
}

async function workAround(host: Host, input: string, work: string | null): Promise<string | null> {
  if (work !== null && isInside(work, input)) return work;
  const directory = directoryOf(input);
  for (const name of ["token", "config.properties"]) {
    if ((await host.files.info(`${directory}/${name}`).catch(() => null))?.kind === "file") return directory;
  }
  return null;
}

/** The directory that other modules see under the same path; made when it is missing. */
export async function scratchOf(
  host: Host,
  { work }: KbasePlace,
  config: DeployConfig,
  output: string | null,
): Promise<string | null> {
  const named = config.values["scratch"];
  if (named?.startsWith("/") && (await host.files.info(named).catch(() => null))?.kind === "directory") {
    return named;
  }
  if (work === null) return output === null ? null : directoryOf(output);
  await host.files.makeDirectory(`${work}/tmp`).catch(() => undefined);
  return `${work}/tmp`;
}

/** The token of a launch: what was named, else the work directory's file, else KB_AUTH_TOKEN. */
export async function tokenOf(host: Host, action: KbaseAction, { work }: KbasePlace): Promise<string | null> {
  const given = action.kind === "one-shot" ? action.token : null;
  if (given !== null) return await readToken(host.files, given).catch(absent) ?? cleanToken(given);
  const file = work === null ? null : await readToken(host.files, `${work}/token`);
  return file ?? cleanToken(host.processes.environment["KB_AUTH_TOKEN"] ?? "");
}

/** A token is no path: what cannot even be looked for as a file is the token itself. */
function absent(error: unknown): null {
  const code = (error as { code?: unknown } | null)?.code;
  if (code === "ENAMETOOLONG" || code === "ENOENT" || code === "ENOTDIR") return null;
  throw error;
}

/** Everything a KBase launch must never show. */
export function secretsOf(host: Host, token: string | null): Secrets {
  const { environment } = host.processes;
  const secure = secureParameters(environment).values();
  return Secrets.of([token ?? "", environment["KB_AUTH_TOKEN"] ?? "", ...secure]);
}

/** The same host with standard streams that show no secret, whoever writes to them. */
export function withSafeOutput(host: Host, secrets: Secrets): Host {
  if (secrets.isEmpty) return host;
  const { terminal } = host;
  const { stderr } = terminal;
  const safe = {
    isTerminal: stderr.isTerminal,
    get columns() {
      return stderr.columns;
    },
    write: (data: Uint8Array | string) => stderr.write(typeof data === "string" ? secrets.text(data) : data),
  };
  return { ...host, terminal: { ...terminal, stderr: safe } };
}

export async function methodsOf(host: Host, registry: TaskRegistry, place: KbasePlace): Promise<Methods> {
  return new Methods(registry, await readModule(host.files, place.module));
}

/** `module` is the name to look for in deploy.cfg where kbase.yml gives none. */
export function configOf(
  host: Host,
  place: KbasePlace,
  methods: Methods | null,
  module: string | null,
): Promise<DeployConfig> {
  return deployConfig({
    files: host.files,
    environment: host.processes.environment,
    moduleDirectory: place.module,
    work: place.work,
    module: methods?.module.name ?? module,
  });
}

/** The settings of a start that has no module's files around it. */
export function environmentConfig(host: Host): Promise<DeployConfig> {
  const { environment } = host.processes;
  return deployConfig({ files: host.files, environment, moduleDirectory: null, work: null, module: null });
}
