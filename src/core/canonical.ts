/** JSON text with keys in one fixed order and no spaces: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value as Record<string, unknown>).filter(([, item]) => item !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  // A plain assignment would treat a key named __proto__ as a prototype, so the entries are defined instead.
  const object: Record<string, unknown> = Object.create(null);
  for (const [key, item] of entries) object[key] = sorted(item);
  return object;
}
