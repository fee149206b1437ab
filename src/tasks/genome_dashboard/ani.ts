import { round4 } from "./rounding.ts";
import type { Tables } from "./tables.ts";

/** Average nucleotide identity with the user genome. */
export interface Identity {
  /** By the other genome; where both directions are there, the later row. */
  readonly byGenome: ReadonlyMap<string, number>;
  /** The largest, of whatever genome; null when there is none. */
  readonly closest: number | null;
}

const COLUMNS = { a: ["genome1", "text"], b: ["genome2", "text"], ani: ["ani", "number"] } as const;

export async function readIdentity(tables: Tables, userId: string): Promise<Identity> {
  const byGenome = new Map<string, number>();
  let largest: number | null = null;
  if (!tables.hasAll("ani", Object.values(COLUMNS).map(([name]) => name))) return { byGenome, closest: null };
  await tables.each("ani", COLUMNS, { order: "inserted" }, ({ a, b, ani }) => {
    if (a !== userId && b !== userId) return;
    const other = a === userId ? b : a;
    if (other !== null) byGenome.set(other, ani ?? 0);
    if (ani !== null) largest = Math.max(largest ?? ani, ani);
  });
  return { byGenome, closest: largest ? round4(largest) : null };
}
