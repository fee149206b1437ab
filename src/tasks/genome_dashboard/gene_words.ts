/** Rules about a gene's words: its name, its place in the cell, how specific and how hypothetical its function is. */
import { isBlank, trim } from "./text.ts";

const PLACES: Readonly<Record<string, number>> = {
  Cytoplasmic: 0,
  CytoMembrane: 1,
  CytoplasmicMembrane: 1,
  "Cytoplasmic Membrane": 1,
  Periplasmic: 2,
  OuterMembrane: 3,
  "Outer Membrane": 3,
  Extracellular: 4,
};

/** Where in the cell the protein is, as a code; 5 for everywhere else and for what is not known. */
export function localisation(place: string | null): number {
  return place !== null && Object.hasOwn(PLACES, place) ? PLACES[place]! : 5;
}

export function isHypothetical(text: string | null): boolean {
  const plain = trim(text ?? "").toLowerCase();
  return plain === "" || plain === "hypothetical protein" ||
    (plain.startsWith("fig") && plain.endsWith("hypothetical protein"));
}

const NOT_A_NAME = ["NP_", "WP_", "YP_", "GeneID", "ECK", "JW", "EcoGene"];

/** The first alias of three or more characters that is no accession, else the first that is none, else nothing. */
export function geneName(aliases: string | null, featureId: string): string {
  const names = (aliases ?? "").split(";").map((part) => {
    const plain = trim(part);
    return trim(plain.startsWith("alias:") ? plain.slice("alias:".length) : plain);
  }).filter((name) =>
    name !== "" && name !== featureId && !name.includes(":") &&
    !NOT_A_NAME.some((start) => name.startsWith(start))
  );
  return names.find((name) => [...name].length >= 3) ?? names[0] ?? "";
}

/** What a gene is annotated with, as far as it says how specific its function is known. */
export interface Evidence {
  readonly ec: string | null;
  readonly kegg: string | null;
  readonly aliases: string | null;
  readonly cog: string | null;
  readonly go: string | null;
  readonly pfam: string | null;
}

/** How specific the function is known, 0 to 1: by the best evidence, and less when the words are vague. */
export function specificity(func: string, evidence: Evidence): number {
  const text = trim(func).toLowerCase();
  if (text === "hypothetical protein") return 0;
  const base = baseOf(evidence);
  return Math.min(text.includes("ec ") ? Math.min(1, base + 0.1) : base, capOf(text));
}

function baseOf({ ec, kegg, aliases, cog, go, pfam }: Evidence): number {
  if (!isBlank(ec)) return 0.9;
  if (!isBlank(kegg)) return 0.7;
  if (!isBlank(aliases)) return 0.6;
  if (!isBlank(cog) || !isBlank(go)) return 0.5;
  return isBlank(pfam) ? 0.3 : 0.4;
}

function capOf(text: string): number {
  const holds = (...words: string[]) => words.some((word) => text.includes(word));
  if (holds("conserved protein") && holds("unknown")) return 0.2;
  if (holds("hypothetical", "uncharacterized", "duf")) return 0.3;
  return holds("putative", "predicted", "probable", "possible") ? 0.5 : 1;
}
