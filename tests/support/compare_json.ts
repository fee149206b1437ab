/** The first place where two JSON values differ; numbers agree within 1e-9, relatively above 1. Null when they agree. */
export function firstDifference(seen: unknown, wanted: unknown, path = "$"): string | null {
  if (typeof seen === "number" && typeof wanted === "number") {
    const isClose = Math.abs(seen - wanted) <= 1e-9 * Math.max(1, Math.abs(wanted));
    return isClose ? null : `${path}: ${seen}, not ${wanted}`;
  }
  if (Array.isArray(seen) && Array.isArray(wanted)) {
    if (seen.length !== wanted.length) return `${path}: ${seen.length} entries, not ${wanted.length}`;
    return firstOf(
      wanted.map((_, index) => () => firstDifference(seen[index], wanted[index], `${path}[${index}]`)),
    );
  }
  if (isObject(seen) && isObject(wanted)) {
    const keys = [Object.keys(seen).sort(), Object.keys(wanted).sort()].map((names) => names.join("\n"));
    if (keys[0] !== keys[1]) return `${path}: keys ${keys[0]}, not ${keys[1]}`;
    return firstOf(
      Object.keys(wanted).map((key) => () => firstDifference(seen[key], wanted[key], `${path}.${key}`)),
    );
  }
  return seen === wanted ? null : `${path}: ${JSON.stringify(seen)}, not ${JSON.stringify(wanted)}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function firstOf(checks: readonly (() => string | null)[]): string | null {
  for (const check of checks) {
    const found = check();
    if (found !== null) return found;
  }
  return null;
}
