/** Characters that are read as others: typographic look-alikes, and Mathematica's named characters. */

const LOOK_ALIKES: ReadonlyMap<string, string> = new Map([
  ..."’‘′´ʹʼˈ".split("").map((prime) => [prime, "'"] as const),
  ..."−–—‒‐‑﹣－".split("").map((minus) => [minus, "-"] as const),
  ..."×·⋅∙∗＊".split("").map((times) => [times, "*"] as const),
  ..."÷∕⁄／".split("").map((divide) => [divide, "/"] as const),
  ["＋", "+"],
  ["µ", "μ"],
]);

/** Signs of two characters that also exist as one. */
export const DOUBLE_SIGNS: ReadonlyMap<string, string> = new Map([
  ["≤", "<="],
  ["⩽", "<="],
  ["≥", ">="],
  ["⩾", ">="],
  ["≠", "!="],
  ["⩵", "=="],
  ["∧", "&&"],
  ["∨", "||"],
  ["¬", "!"],
]);

export const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

const GREEK_NAMES =
  "Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mu Nu Xi Omicron Pi Rho " +
  "FinalSigma Sigma Tau Upsilon Phi Chi Psi Omega";

/** `Theta` to θ, `CapitalTheta` to Θ. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ...GREEK_NAMES.split(" ").flatMap((name, index) => [
    [name, String.fromCodePoint(0x3b1 + index)] as const,
    [`Capital${name}`, String.fromCodePoint(0x391 + index)] as const,
  ]),
  // The letters on a keyboard are the plain names, so that typed and pasted text agree.
  ["CurlyEpsilon", "ϵ"],
  ["CurlyTheta", "ϑ"],
  ["CurlyPhi", "ϕ"],
]);

/** The same text with look-alikes replaced; offsets do not move. */
export function withoutLookAlikes(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[^\x00-\x7f]/g, (character) => LOOK_ALIKES.get(character) ?? character);
}

/** The letter that `\[Name]` stands for at this place, and where it ends; null where there is none. */
export function namedLetterAt(text: string, pos: number): { letter: string; end: number } | null {
  if (text[pos] !== "\\" || text[pos + 1] !== "[") return null;
  const close = text.indexOf("]", pos);
  const letter = close === -1 ? undefined : NAMED.get(text.slice(pos + 2, close));
  return letter === undefined ? null : { letter, end: close + 1 };
}

const CYRILLIC = "аАВеЕкКМНоОрРсСТуХхіІјЈѕЅ";
const LATIN = "aABeEkKMHoOpPcCTyXxiIjJsS";

/** The same name in Latin letters where it has Cyrillic ones that look like them; null where it has none. */
export function latinTwin(name: string): string | null {
  const twin = [...name].map((letter) => LATIN[CYRILLIC.indexOf(letter)] ?? letter).join("");
  return twin === name ? null : twin;
}
