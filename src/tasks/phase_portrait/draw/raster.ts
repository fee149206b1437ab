import type { Clip } from "./scene.ts";

/** Thinner lines have no round ends and joins that could be seen. */
const ROUND_FROM = 1.2;
/** In pixels. */
const NEAR = 0.25;
/** The cosine of a turn whose gap, at the widths of lines, is a small part of a pixel. */
const STRAIGHT = 0.995;

/**
 * Fills shapes into an RGBA picture with exact coverage of each pixel, by accumulating signed areas along the edges
 * (the method of FreeType's smooth rasteriser, as in R. Levien's font-rs).
 */
export class Raster {
  readonly pixels: Uint8ClampedArray;
  readonly #cover: Float32Array;
  #top = Infinity;
  #bottom = -Infinity;
  #left = Infinity;
  #right = -Infinity;

  constructor(readonly width: number, readonly height: number, background: string) {
    this.pixels = new Uint8ClampedArray(width * height * 4);
    // One column more, into which edges right of the picture fall.
    this.#cover = new Float32Array((width + 2) * height);
    const [r, g, b] = rgbOf(background);
    // A pixel at a time as one number; which of its bytes comes first is the machine's own order.
    const [pixel] = new Uint32Array(Uint8Array.of(r, g, b, 255).buffer);
    new Uint32Array(this.pixels.buffer).fill(pixel!);
  }

  /** Adds a closed shape to what the next `paint` fills; overlapping shapes of one sense unite. */
  shape(points: ArrayLike<number>): void {
    const count = points.length;
    for (let at = 0; at < count; at += 2) {
      const next = (at + 2) % count;
      this.#edge(points[at]!, points[at + 1]!, points[next]!, points[next + 1]!);
    }
  }

  /** A line of a width as quadrangles with round joins; each turns the same way round. */
  stroke(points: ArrayLike<number>, width: number, dash?: readonly [number, number]): void {
    for (const piece of dash === undefined ? [points] : dashed(points, dash)) this.#strokePiece(piece, width);
  }

  #strokePiece(points: ArrayLike<number>, width: number): void {
    const half = width / 2, round = width > ROUND_FROM, end = points.length - 2;
    let x1 = points[0]!, y1 = points[1]!, lastX = 0, lastY = 0;
    for (let at = 2; at <= end; at += 2) {
      const x2 = points[at]!, y2 = points[at + 1]!;
      const dx = x2 - x1, dy = y2 - y1, length = Math.sqrt(dx * dx + dy * dy);
      // Points that lie so near make no difference that can be seen.
      if (!(length > (at === end ? 0 : NEAR)) || length === Infinity) continue;
      const ux = dx / length, uy = dy / length, nx = -uy * half, ny = ux * half;
      // Where the line hardly turns the two quadrangles leave no gap that can be seen.
      if (round && ux * lastX + uy * lastY < STRAIGHT) this.disc(x1, y1, half);
      this.#quadrangle(x1 + nx, y1 + ny, x1 - nx, y1 - ny, x2 - nx, y2 - ny, x2 + nx, y2 + ny);
      [x1, y1, lastX, lastY] = [x2, y2, ux, uy];
    }
    if (round && (lastX !== 0 || lastY !== 0)) this.disc(x1, y1, half);
  }

  #quadrangle(
    x1: number,
    y1: number,
    x2: number,
    y2: number,
    x3: number,
    y3: number,
    x4: number,
    y4: number,
  ): void {
    this.#edge(x1, y1, x2, y2);
    this.#edge(x2, y2, x3, y3);
    this.#edge(x3, y3, x4, y4);
    this.#edge(x4, y4, x1, y1);
  }

  disc(x: number, y: number, radius: number): void {
    const sides = Math.max(8, Math.ceil(4 * Math.sqrt(radius) + 6)), points = new Float64Array(sides * 2);
    for (let side = 0; side < sides; side++) {
      const angle = (2 * Math.PI * side) / sides;
      points[2 * side] = x + radius * Math.cos(angle);
      points[2 * side + 1] = y + radius * Math.sin(angle);
    }
    this.shape(points);
  }

  /** Paints what was added since the last time, and forgets it. */
  paint(color: string, opacity: number, clip?: Clip): void {
    const [r, g, b] = rgbOf(color), { width, pixels } = this, cover = this.#cover;
    // Left of the first cell that was touched and right of the last one nothing is covered.
    const from = Math.max(0, this.#left), to = Math.min(width, this.#right + 1);
    const left = Math.max(0, Math.floor(clip?.x ?? 0));
    const right = Math.min(width, Math.ceil(clip === undefined ? width : clip.x + clip.width));
    const low = clip?.y ?? 0, high = clip === undefined ? this.height : clip.y + clip.height;
    for (let row = Math.max(0, this.#top); row <= Math.min(this.height - 1, this.#bottom); row++) {
      const inside = row + 1 > low && row < high;
      let sum = 0;
      for (let column = from, at = row * (width + 2) + from; column < to; column++, at++) {
        sum += cover[at]!;
        const share = Math.min(1, Math.abs(sum)) * opacity;
        if (share < 1 / 512 || !inside || column < left || column >= right) continue;
        const pixel = (row * width + column) * 4;
        pixels[pixel] = pixels[pixel]! + (r - pixels[pixel]!) * share;
        pixels[pixel + 1] = pixels[pixel + 1]! + (g - pixels[pixel + 1]!) * share;
        pixels[pixel + 2] = pixels[pixel + 2]! + (b - pixels[pixel + 2]!) * share;
      }
      cover.fill(0, row * (width + 2) + from, row * (width + 2) + Math.min(width + 2, to + 2));
    }
    this.#top = this.#left = Infinity;
    this.#bottom = this.#right = -Infinity;
  }

  /** Adds an edge's signed area and height to the cells that it passes. */
  #edge(x1: number, y1: number, x2: number, y2: number): void {
    if (y1 === y2 || !Number.isFinite(x1 + y1 + x2 + y2)) return;
    const sign = y1 < y2 ? 1 : -1;
    if (sign < 0) {
      const x = x1, y = y1;
      x1 = x2;
      y1 = y2;
      x2 = x;
      y2 = y;
    }
    const slope = (x2 - x1) / (y2 - y1);
    const from = Math.max(0, Math.floor(y1)), to = Math.min(this.height - 1, Math.ceil(y2) - 1);
    for (let row = from; row <= to; row++) {
      const top = Math.max(row, y1), bottom = Math.min(row + 1, y2);
      if (bottom <= top) continue;
      this.#edgeInRow(row, x1 + (top - y1) * slope, x1 + (bottom - y1) * slope, sign * (bottom - top));
    }
    this.#top = Math.min(this.#top, from);
    this.#bottom = Math.max(this.#bottom, to);
  }

  #edgeInRow(row: number, xa: number, xb: number, height: number): void {
    const base = row * (this.width + 2), limit = this.width;
    const a = Math.min(limit, Math.max(0, Math.min(xa, xb))),
      b = Math.min(limit, Math.max(0, Math.max(xa, xb)));
    const first = Math.floor(a), last = Math.floor(b);
    if (first < this.#left) this.#left = first;
    if (last + 1 > this.#right) this.#right = last + 1;
    if (first === last) {
      const share = 1 - ((a + b) / 2 - first);
      this.#cover[base + first]! += height * share;
      this.#cover[base + first + 1]! += height * (1 - share);
      return;
    }
    // The edge crosses cells: what it covers of each follows from where it enters and leaves.
    const perCell = height / (b - a);
    let before = 0;
    for (let cell = first; cell <= last; cell++) {
      const enter = Math.max(a, cell), leave = Math.min(b, cell + 1);
      const part = (leave - enter) * perCell, share = 1 - ((enter + leave) / 2 - cell);
      this.#cover[base + cell]! += part * share + before;
      before = part * (1 - share);
    }
    this.#cover[base + last + 1]! += before;
  }
}

function dashed(points: ArrayLike<number>, [dash, gap]: readonly [number, number]): number[][] {
  const pieces: number[][] = [];
  let left = dash, on = true, piece: number[] = [points[0]!, points[1]!];
  for (let at = 0; at + 3 < points.length; at += 2) {
    let [x, y] = [points[at]!, points[at + 1]!];
    const [x2, y2] = [points[at + 2]!, points[at + 3]!];
    for (let length = Math.hypot(x2 - x, y2 - y); length > 0;) {
      const step = Math.min(left, length);
      x += ((x2 - x) * step) / length;
      y += ((y2 - y) * step) / length;
      length -= step;
      left -= step;
      if (on) piece.push(x, y);
      if (left > 1e-9) continue;
      if (on) pieces.push(piece);
      on = !on;
      piece = on ? [x, y] : [];
      left = on ? dash : gap;
    }
  }
  if (on && piece.length > 2) pieces.push(piece);
  return pieces;
}

/** Of `#rrggbb`. */
function rgbOf(color: string): [number, number, number] {
  const value = Number.parseInt(color.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}
