import { isObject } from "../envelope.ts";
import { Findings } from "./finding.ts";
import type { SpecParts } from "./method_spec.ts";

/** Checks a display.yaml; `pages` names the HTML files beside it, which stand for keys of their name. */
export function checkDisplay(
  document: unknown,
  file: string,
  parts: SpecParts,
  pages: readonly string[],
): Findings {
  const found = new Findings(file);
  if (!isObject(document)) {
    found.error("", "must be a mapping of keys");
    return found;
  }
  for (const key of ["name", "tooltip", "description"]) {
    const value = document[key];
    const isThere = typeof value === "string" && value.trim() !== "";
    if (!isThere && !pages.includes(`${key}.html`)) {
      found.error(key, `must be there, a text, or ${key}.html beside it`);
    }
    // The store turns each into a space.
    if (typeof value === "string" && /[^\n\t\x20-\x7e]/.test(value)) {
      found.warning(key, "has characters beyond ASCII, which become spaces");
    }
  }
  if (!Array.isArray(document["screenshots"])) {
    found.error("screenshots", "must be there, a list; [] for none");
  }
  checkDescribed(document["parameters"], "parameters", parts.parameters, found);
  checkGroups(document["parameter-groups"], parts, found);
  return found;
}

function checkDescribed(described: unknown, where: string, names: readonly string[], found: Findings): void {
  // YAML reads a key without a value as null.
  if (!isObject(described)) return found.error(where, "must be there, a mapping; {} for none");
  for (const name of names) {
    const fields = described[name];
    if (!isObject(fields)) {
      found.error(`${where}.${name}`, "must be there, with ui-name and short-hint");
      continue;
    }
    for (const key of ["ui-name", "short-hint"]) {
      if (typeof fields[key] !== "string") found.error(`${where}.${name}.${key}`, "must be there, a text");
    }
  }
  for (const name of Object.keys(described)) {
    if (!names.includes(name)) found.warning(`${where}.${name}`, "describes what spec.json does not have");
  }
}

function checkGroups(groups: unknown, { groups: names, repeated }: SpecParts, found: Findings): void {
  if (names.length === 0) return;
  checkDescribed(groups, "parameter-groups", names, found);
  if (!isObject(groups)) return;
  for (const name of names) {
    const fields = groups[name];
    if (repeated.has(name) && isObject(fields) && fields["with-border"] !== undefined) {
      found.error(`parameter-groups.${name}.with-border`, "is only for groups without allow_multiple");
    }
  }
}
