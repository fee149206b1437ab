import { isObject } from "../envelope.ts";
import { Findings } from "./finding.ts";

/** What other checks need of a kbase.yml; null for what is not there. */
export interface Descriptor {
  readonly name: string | null;
  readonly isDynamicService: boolean;
  readonly hasOwnMethods: boolean;
}

const SEMVER = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;

/** Checks a kbase.yml by the catalog's rules. */
export function checkDescriptor(
  document: unknown,
  file: string,
): { found: Findings; descriptor: Descriptor } {
  const found = new Findings(file);
  if (!isObject(document)) {
    found.error("", "must be a mapping of keys");
    return { found, descriptor: { name: null, isDynamicService: false, hasOwnMethods: false } };
  }
  const name = checkName(document["module-name"], found);
  for (const key of ["module-description", "service-language"]) checkText(document, key, found);
  checkVersion(document["module-version"], found);
  checkOwners(document["owners"], found);
  const data = document["data-version"];
  if (data !== undefined && typeof data !== "string" && typeof data !== "number") {
    found.error("data-version", "must be a string");
  }
  const isDynamicService = checkService(document["service-config"], found);
  checkJobConfig(document["job-config"], found);
  const own = document["glassbox"];
  const hasOwnMethods = isObject(own) && isObject(own["methods"]);
  return { found, descriptor: { name, isDynamicService, hasOwnMethods } };
}

function checkName(name: unknown, found: Findings): string | null {
  if (typeof name === "string" && /^[A-Za-z0-9_]+$/.test(name)) return name;
  found.error(
    "module-name",
    "must be there, of letters, digits and underscores. Once registered it stays for good",
  );
  return null;
}

function checkText(document: Record<string, unknown>, key: string, found: Findings): void {
  const value = document[key];
  if (typeof value !== "string" || value.trim() === "") {
    found.error(key, "must be there, a text that is not empty");
  }
}

function checkVersion(version: unknown, found: Findings): void {
  if (typeof version === "string" && SEMVER.test(version)) return;
  const why = typeof version === "number"
    ? `must be in quotes: ${version} is read as a number, and the registration crashes on it`
    : 'must be there, a semantic version in quotes, as in "0.1.0"';
  found.error("module-version", why);
}

function checkOwners(owners: unknown, found: Findings): void {
  if (!Array.isArray(owners) || owners.length === 0) {
    found.error("owners", "must be a list of user names; whoever registers the module must be in it");
    return;
  }
  owners.forEach((owner, index) => {
    const where = `owners[${index}]`;
    if (typeof owner !== "string" || owner.trim() === "") found.error(where, "must be a user name");
    else if (/[,\s]/.test(owner.trim())) {
      found.error(where, `"${owner}" is one owner of that name: give each its own line`);
    }
  });
}

function checkService(config: unknown, found: Findings): boolean {
  if (config === undefined || config === null) return false;
  const dynamic = isObject(config) ? config["dynamic-service"] : undefined;
  if (typeof dynamic === "boolean") return dynamic;
  found.error("service-config.dynamic-service", "must be true or false");
  return false;
}

function checkJobConfig(config: unknown, found: Findings): void {
  if (config === undefined) return;
  found.warning(
    "job-config",
    "KBase knows no such key. glassbox reads method-runner: jobRunner, and then runs a job where it is started without arguments",
  );
}
