/**
 * Takes the outlines of the letters that pictures are labelled with out of DejaVu Sans, so that a PNG needs no font on
 * the machine that draws it. With --check it only says whether the file is what this makes.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import opentype from "opentype.js";

const FONT = new URL("../node_modules/dejavu-fonts-ttf/ttf/DejaVuSans.ttf", import.meta.url);
const LICENSE = new URL("../node_modules/dejavu-fonts-ttf/LICENSE", import.meta.url);
const FOLDER = new URL("../src/tasks/phase_portrait/draw/", import.meta.url);

/** ASCII, Latin 1, Greek, sub- and superscripts, and the signs that labels use. */
const RANGES = [[0x20, 0x7e], [0xa0, 0xff], [0x391, 0x3c9], [0x2070, 0x2079], [0x2080, 0x2089]] as const;
const SIGNS = "−–—‘’“”…′″‴±×·≤≥≠≈∞∂√→←↑↓ϕϑ□";

function glyphs(): string {
  const bytes = readFileSync(FONT);
  const font = opentype.parse(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const codes = RANGES.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, k) => from + k));
  const all = [...codes, ...[...SIGNS].map((sign) => sign.codePointAt(0)!)];
  const entries = all.flatMap((code) => {
    const glyph = font.charToGlyph(String.fromCodePoint(code));
    if (glyph.index === 0) return [];
    const path = glyph.getPath(0, 0, font.unitsPerEm).commands.map(commandText).join("");
    return [`  [${code}, ${glyph.advanceWidth}, ${JSON.stringify(path)}],`];
  });
  return `// Made by scripts/glyphs.ts from DejaVu Sans ${
    font.getEnglishName("version")
  }. See GLYPHS_LICENSE beside it.
// deno-fmt-ignore-file

/** The font's units to one size of letters. */
export const UNITS = ${font.unitsPerEm};

/** Code point, advance, and the outline: M move, L line, Q curve, Z close, in whole units with y downwards. */
export const glyphs = (): readonly (readonly [number, number, string])[] => [
${entries.join("\n")}
];
`;
}

function commandText(command: opentype.PathCommand): string {
  const n = Math.round;
  switch (command.type) {
    case "M":
    case "L":
      return `${command.type}${n(command.x)} ${n(command.y)}`;
    case "Q":
      return `Q${n(command.x1)} ${n(command.y1)} ${n(command.x)} ${n(command.y)}`;
    case "C":
      throw new Error("This font should have no cubic curves");
    case "Z":
      return "Z";
  }
}

const target = new URL("glyphs.gen.ts", FOLDER);
const made = glyphs();
if (Deno.args.includes("--check")) {
  if (readFileSync(target, "utf8") !== made) {
    console.error(`${fileURLToPath(target)} is not what its source makes: run "deno task glyphs"`);
    Deno.exit(1);
  }
} else {
  writeFileSync(target, made);
  writeFileSync(new URL("GLYPHS_LICENSE", FOLDER), readFileSync(LICENSE));
  console.log(`${fileURLToPath(target)} · ${made.length} characters`);
}
