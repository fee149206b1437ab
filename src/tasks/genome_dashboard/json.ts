/** A value to be written as JSON; a Map becomes an object with its keys in order, whatever they are called. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | ReadonlyMap<string, Json>
  | { readonly [key: string]: Json };

/** Compact JSON. Infinity, which JSON lacks, becomes null; no key, such as `__proto__`, means anything but itself. */
export function toJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(toJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${toJson(one)}`).join(",")}}`;
}
