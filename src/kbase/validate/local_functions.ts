import { isObject } from "../envelope.ts";
import { Findings } from "./finding.ts";

/** What the catalog wants to know of a function that other modules may call. */
const TEXTS = ["name", "short_description", "long_description"] as const;

/** Checks `ui/local_functions/NAME.json`; the catalog refuses a module for one of them. */
export function checkLocalFunction(document: unknown, file: string): Findings {
  const found = new Findings(file);
  if (!isObject(document)) found.error("", "must hold one object");
  else {
    for (const key of TEXTS) {
      if (typeof document[key] !== "string") found.error(key, "must be there, a text");
    }
  }
  return found;
}

/** Functions that are declared, and that the compile report says nothing of. */
export function missingFunctions(
  declared: readonly string[],
  report: unknown,
  file: string,
): Findings {
  const found = new Findings(file);
  for (const part of ["functions", "function_places"] as const) {
    const listed = isObject(report) && isObject(report[part]) ? report[part] : {};
    for (const name of declared.filter((name) => !Object.hasOwn(listed, name))) {
      found.error(part, `must hold ${name}, as ui/local_functions/${name}.json declares it`);
    }
  }
  return found;
}
