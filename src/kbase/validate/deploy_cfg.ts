import { parseProperties } from "../properties.ts";
import { Findings } from "./finding.ts";

/** What a runner gives to a template. */
const KNOWN: ReadonlySet<string> = new Set([
  "kbase_endpoint",
  "job_service_url",
  "workspace_url",
  "external_url",
  "shock_url",
  "handle_url",
  "srv_wiz_url",
  "njsw_url",
  "catalog_url",
  "auth_service_url",
  "auth_service_url_allow_insecure",
  "scratch",
]);

/** What JobRunner does not give. */
const NOT_IN_JOBS: ReadonlySet<string> = new Set(["job_service_url", "njsw_url", "catalog_url"]);

/** Checks a deploy.cfg as a template and as what it will be. */
export function checkDeployConfig(text: string, file: string, module: string | null): Findings {
  const found = new Findings(file);
  checkTemplate(text, found);
  const bare = text.replace(/\{%[^%]*%\}/g, "").replace(/\{\{[^}]*\}\}/g, "x");
  const sections = parseProperties(bare);
  const names = [...sections.keys()];
  if (names.length === 0) found.error("", `has no section: it needs [${module ?? "the module's name"}]`);
  else if (module !== null && !sections.has(module)) {
    const told = `there is no section [${module}], but ${names.map((name) => `[${name}]`).join(", ")}`;
    const isTaken = names.length === 1;
    if (isTaken) found.warning("", `${told}: generated servers crash on that, glassbox takes the only one`);
    else found.error("", `${told}: the settings are not found`);
  }
  for (const [name, values] of sections) checkValues(name, values, found);
  return found;
}

function checkTemplate(text: string, found: Findings): void {
  for (const [, expression] of text.matchAll(/\{\{([^}]*)\}\}/g)) {
    const [, name] = /^\s*([A-Za-z_]\w*)\s*(?:\|\s*default\(.*\)\s*)?$/.exec(expression!) ?? [];
    if (name === undefined) {
      found.error(`{{${expression}}}`, "is more than a name with a default: it becomes empty");
    } else if (NOT_IN_JOBS.has(name)) {
      found.warning(`{{ ${name} }}`, "is empty in every job: JobRunner gives no such value");
    } else if (!KNOWN.has(name)) {
      found.warning(
        `{{ ${name} }}`,
        "is empty in every job, unless an administrator gives it: secure parameters reach jobs only by the environment",
      );
    }
  }
  const opened = text.match(/\{%-?\s*if\b/g)?.length ?? 0;
  const closed = text.match(/\{%-?\s*endif\b/g)?.length ?? 0;
  if (opened !== closed) found.error("{% if %}", `${opened} are opened and ${closed} closed`);
}

function checkValues(section: string, values: ReadonlyMap<string, string>, found: Findings): void {
  for (const [key, value] of values) {
    if (/%(?![%(])/.test(value.replaceAll("%%", ""))) {
      found.warning(`[${section}] ${key}`, "holds a lone %, which generated Python servers cannot read");
    }
  }
  const scratch = values.get("scratch");
  if (scratch !== undefined && scratch !== "x" && scratch !== "/kb/module/work/tmp") {
    found.warning(
      `[${section}] scratch`,
      "is not /kb/module/work/tmp, so other modules do not see what is written there",
    );
  }
}
