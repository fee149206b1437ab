import { messageOf } from "../core/errors.ts";
import type { Files } from "../core/host.ts";
import { parseProperties, type Properties } from "./properties.ts";
import { hasPlaceholders, render } from "./template.ts";

/** A module's settings as KBase hands them over, and where they came from. */
export interface DeployConfig {
  /** By lower-case key, as in `workspace-url`. */
  readonly values: Readonly<Record<string, string>>;
  /** The rendered deploy.cfg, for programs that read it themselves; null where there is none. */
  readonly file: string | null;
  /** One sentence that names the source and the section. */
  readonly told: string;
  /** What went wrong without stopping anything. */
  readonly warnings: readonly string[];
}

export interface DeployConfigRequest {
  readonly files: Files;
  readonly environment: Readonly<Record<string, string>>;
  /** Where deploy.cfg lies; null where none is to be looked for. */
  readonly moduleDirectory: string | null;
  /** Where config.properties lies; null where there is no work directory. */
  readonly work: string | null;
  /** The section that the module's settings are under, unless KB_SERVICE_NAME says otherwise. */
  readonly module: string | null;
}

const FILE_BYTES_MAX = 1024 * 1024;

/** What `kb-sdk init` writes into a new module's deploy.cfg; used where a module has no such file. */
const DEFAULT_TEMPLATE = `kbase-endpoint = {{ kbase_endpoint }}
job-service-url = {{ job_service_url }}
workspace-url = {{ workspace_url }}
shock-url = {{ shock_url }}
handle-service-url = {{ handle_url }}
srv-wiz-url = {{ srv_wiz_url }}
njsw-url = {{ njsw_url }}
auth-service-url = {{ auth_service_url }}
auth-service-url-allow-insecure = {{ auth_service_url_allow_insecure }}
`;

/** Renders deploy.cfg and reads the module's section of it. Never throws: a module may need none of it. */
export async function deployConfig(request: DeployConfigRequest): Promise<DeployConfig> {
  const { files, moduleDirectory } = request;
  const warnings: string[] = [];
  const { values, source, isKnown } = await templateValues(request, warnings);
  const path = `${moduleDirectory}/deploy.cfg`;
  const template = moduleDirectory === null ? null : await textOf(files, path);
  if (template === null) {
    const own = parseProperties(`[default]\n${render(DEFAULT_TEMPLATE, values)}`).get("default")!;
    const merged = withSecure(own, values);
    return { values: merged, file: null, told: `settings from ${source}, without a deploy.cfg`, warnings };
  }
  const text = render(template, values);
  // Rendered from nothing, the template would be lost to a start that has settings.
  if (isKnown && hasPlaceholders(template)) {
    await replace(files, path, template, text).catch((error) => {
      warnings.push(`Cannot write the rendered ${path}: ${messageOf(error)}`);
    });
  }
  const properties = parseProperties(text);
  const { name, section, why } = findSection(properties, request);
  const told = name === null
    ? `settings from ${source}; deploy.cfg has ${why}`
    : `settings from ${source} through section [${name}] of deploy.cfg, ${why}`;
  // As Python's configparser has it, every section begins with what [DEFAULT] says.
  const whole = new Map([...properties.get("DEFAULT") ?? [], ...section]);
  return { values: withSecure(whole, values), file: path, told, warnings };
}

/** Keys that were named nowhere in the file, such as secure parameters, are there under their own names. */
function withSecure(
  section: ReadonlyMap<string, string>,
  values: ReadonlyMap<string, string>,
): Record<string, string> {
  return { ...Object.fromEntries(values), ...Object.fromEntries(section) };
}

/** config.properties alone where it exists, else what the environment says. */
async function templateValues(
  { files, environment, work }: DeployConfigRequest,
  warnings: string[],
): Promise<{ values: ReadonlyMap<string, string>; source: string; isKnown: boolean }> {
  const secure = secureParameters(environment);
  const path = work === null ? null : `${work}/config.properties`;
  const text = path === null ? null : await textOf(files, path);
  if (text !== null) {
    const properties = parseProperties(text);
    const section = properties.get("global");
    if (section === undefined) warnings.push(`${path} has no section [global]`);
    return { values: new Map([...secure, ...section ?? []]), source: path!, isKnown: true };
  }
  const endpoint = environment["KBASE_ENDPOINT"]?.replace(/\/+$/, "");
  if (!endpoint) {
    const source = "nowhere (no config.properties, no KBASE_ENDPOINT)";
    return { values: secure, source, isKnown: false };
  }
  const values = new Map([...fromEndpoint(endpoint, environment), ...secure]);
  return { values, source: "KBASE_ENDPOINT", isKnown: true };
}

function fromEndpoint(
  endpoint: string,
  environment: Readonly<Record<string, string>>,
): [string, string][] {
  const login = environment["AUTH_SERVICE_URL"];
  return [
    ["kbase_endpoint", endpoint],
    ["job_service_url", `${endpoint}/userandjobstate`],
    ["workspace_url", `${endpoint}/ws`],
    ["shock_url", `${endpoint}/shock-api`],
    ["handle_url", `${endpoint}/handle_service`],
    ["srv_wiz_url", `${endpoint}/service_wizard`],
    ["njsw_url", `${endpoint}/njs_wrapper`],
    ...(login ? [["auth_service_url", login] as [string, string]] : []),
    ["auth_service_url_allow_insecure", environment["AUTH_SERVICE_URL_ALLOW_INSECURE"] || "false"],
  ];
}

const SECURE_PREFIX = "KBASE_SECURE_CONFIG_PARAM_";

/** Settings that an administrator gives through the environment; their values are secrets. */
export function secureParameters(
  environment: Readonly<Record<string, string>>,
): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(environment).filter(([name]) => name.startsWith(SECURE_PREFIX))
      .map(([name, value]) => [name.slice(SECURE_PREFIX.length).toLowerCase(), value]),
  );
}

async function replace(files: Files, path: string, before: string, after: string): Promise<void> {
  const encoder = new TextEncoder();
  await files.writeAtomic(`${path}.orig`, encoder.encode(before));
  await files.writeAtomic(path, encoder.encode(after));
}

async function textOf(files: Files, path: string): Promise<string | null> {
  // A pipe that nobody writes to would hold the job up for ever.
  if ((await files.info(path).catch(() => null))?.kind !== "file") return null;
  const bytes = await files.read(path, FILE_BYTES_MAX).catch(() => null);
  return bytes === null ? null : new TextDecoder().decode(bytes);
}

const NO_SECTION: ReadonlyMap<string, string> = new Map();

/** KB_SERVICE_NAME, else the module's own, else the only one there is. */
function findSection(
  properties: Properties,
  { environment, module }: DeployConfigRequest,
): { name: string | null; section: ReadonlyMap<string, string>; why: string } {
  const asked = environment["KB_SERVICE_NAME"];
  const wanted = [[asked, "as KB_SERVICE_NAME says"], [module, "as the module is called"]] as const;
  for (const [name, why] of wanted) {
    const section = name ? properties.get(name) : undefined;
    if (section !== undefined) return { name: name!, section, why };
  }
  const names = [...properties.keys()].filter((name) => name.toUpperCase() !== "DEFAULT");
  const [only] = names;
  const absent = wanted.flatMap(([name]) => name ? [`[${name}]`] : []).join(" nor ");
  if (names.length === 1) {
    return {
      name: only!,
      section: properties.get(only!)!,
      why: `the only one, as there is no ${absent || "module name"}`,
    };
  }
  return {
    name: null,
    section: NO_SECTION,
    why: `${names.length} sections, but no ${absent || "module name"}`,
  };
}
