import { glyphs as glyphRows, UNITS } from "./glyphs.gen.ts";
import type { TextMark } from "./scene.ts";

interface Glyph {
  readonly advance: number;
  /** Closed shapes of points x, y in units, y downwards. */
  readonly outlines: readonly (readonly number[])[];
}

/** The letters that can be drawn without a font, by code point. */
export type Glyphs = ReadonlyMap<number, Glyph>;

/** Straight pieces to a curve: enough for letters of a few dozen pixels. */
const CURVE_PIECES = 4;
/** Drawn for what there is no letter for. */
const MISSING = "□".codePointAt(0)!;

let loaded: Glyphs | null = null;

/** All letters, made when first asked for. */
export function loadGlyphs(): Glyphs {
  loaded ??= new Map(
    glyphRows().map(([code, advance, path]) => [code, { advance, outlines: outlinesOf(path) }]),
  );
  return loaded;
}

/** The shapes of a text at its place, in pixels. Bold letters are drawn twice, a little apart. */
export function textOutlines(mark: TextMark, glyphs: Glyphs): number[][] {
  const scale = mark.size / UNITS;
  const letters = [...mark.text].map((letter) => glyphs.get(letter.codePointAt(0)!) ?? glyphs.get(MISSING)!);
  const length = letters.reduce((sum, { advance }) => sum + advance * scale, 0);
  const start = mark.anchor === "start" ? 0 : mark.anchor === "middle" ? -length / 2 : -length;
  const shapes: number[][] = [];
  const shifts = mark.bold === true ? [0, mark.size / 28] : [0];
  let at = start;
  for (const { advance, outlines } of letters) {
    for (const shift of shifts) {
      for (const outline of outlines) shapes.push(placed(outline, at + shift, scale, mark));
    }
    at += advance * scale;
  }
  return shapes;
}

/** How wide a text is, in pixels. */
export function textWidth(text: string, size: number, glyphs: Glyphs): number {
  return [...text].reduce(
    (sum, letter) =>
      sum + ((glyphs.get(letter.codePointAt(0)!) ?? glyphs.get(MISSING)!).advance * size) / UNITS,
    0,
  );
}

function placed(outline: readonly number[], dx: number, scale: number, mark: TextMark): number[] {
  const out: number[] = [];
  for (let at = 0; at < outline.length; at += 2) {
    const x = outline[at]! * scale + dx, y = outline[at + 1]! * scale;
    // Upright text runs from the bottom to the top.
    if (mark.upright === true) out.push(mark.x + y, mark.y - x);
    else out.push(mark.x + x, mark.y + y);
  }
  return out;
}

function outlinesOf(path: string): number[][] {
  const shapes: number[][] = [];
  let shape: number[] = [];
  for (const [, command, numbers] of path.matchAll(/([MLQZ])([^MLQZ]*)/g)) {
    const values = numbers!.trim().split(" ").map(Number);
    if (command === "M") shapes.push(shape = []);
    if (command === "M" || command === "L") shape.push(values[0]!, values[1]!);
    if (command === "Q") curve(shape, values as [number, number, number, number]);
  }
  return shapes;
}

function curve(shape: number[], [cx, cy, x, y]: readonly [number, number, number, number]): void {
  const [x0, y0] = [shape.at(-2)!, shape.at(-1)!];
  for (let piece = 1; piece <= CURVE_PIECES; piece++) {
    const t = piece / CURVE_PIECES, u = 1 - t;
    shape.push(u * u * x0 + 2 * u * t * cx + t * t * x, u * u * y0 + 2 * u * t * cy + t * t * y);
  }
}
