import type { Clip, LineMark, SegmentsMark } from "../../../tasks/phase_portrait/draw/scene.ts";

/** Pixels nearer to the edge than this are left out, so that no bound has to be asked for at each step. */
const EDGE = 1;
/** Points of a line nearer than this are one. */
const NEAR = 2;

/**
 * Draws many thin lines into a picture of its own, several times as fast as a canvas without a graphics card strokes
 * them. Where lines cross, the one that covers more of a pixel is seen: for pictures that are gone in a moment.
 */
export class QuickLines {
  readonly #canvas = new OffscreenCanvas(1, 1);
  readonly #painter = this.#canvas.getContext("2d", { willReadFrequently: true })!;
  #image = new ImageData(1, 1);
  #pixels = new Uint32Array(this.#image.data.buffer);

  /** Lines that share this clip, one pixel of the page wide, over what the painter has. */
  paint(
    painter: CanvasRenderingContext2D,
    lines: readonly (LineMark | SegmentsMark)[],
    { x, y, width, height }: Clip,
  ): void {
    this.#clear(Math.ceil(width), Math.ceil(height));
    for (const { kind, points, color, opacity = 1 } of lines) {
      const [bytes, byte] = [bytesOf(color), Math.round(255 * opacity)];
      if (kind === "segments") this.#segments(points, x, y, bytes, byte);
      else this.#line(points, x, y, bytes, byte);
    }
    this.#painter.putImageData(this.#image, 0, 0);
    painter.drawImage(this.#canvas, x, y);
  }

  #clear(width: number, height: number): void {
    const { canvas } = this.#painter;
    if (canvas.width === width && canvas.height === height) return void this.#pixels.fill(0);
    [canvas.width, canvas.height] = [width, height];
    this.#image = new ImageData(width, height);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
  }

  #segments(points: Float64Array, left: number, top: number, color: number, opacity: number): void {
    for (let at = 0; at + 3 < points.length; at += 4) {
      const x = points[at]! - left, y = points[at + 1]! - top;
      this.#piece(x, y, points[at + 2]! - left, points[at + 3]! - top, color, opacity);
    }
  }

  #line(points: Float64Array, left: number, top: number, color: number, opacity: number): void {
    const end = points.length - 2;
    let x1 = points[0]! - left, y1 = points[1]! - top;
    for (let at = 2; at <= end; at += 2) {
      const x2 = points[at]! - left, y2 = points[at + 1]! - top;
      if (Math.abs(x2 - x1) + Math.abs(y2 - y1) < NEAR && at < end) continue;
      this.#piece(x1, y1, x2, y2, color, opacity);
      [x1, y1] = [x2, y2];
    }
  }

  /** By the two pixels that are nearest at each step along the longer way: Wu's method. */
  #piece(x1: number, y1: number, x2: number, y2: number, color: number, opacity: number): void {
    const { width, height } = this.#image, dx = x2 - x1, dy = y2 - y1;
    const isSteep = Math.abs(dy) > Math.abs(dx), along = isSteep ? dy : dx;
    // Also what is no number ends here.
    if (!(along !== 0)) return;
    const slope = (isSteep ? dx : dy) / along, forward = along > 0;
    const from = isSteep ? (forward ? y1 : y2) : (forward ? x1 : x2);
    const to = isSteep ? (forward ? y2 : y1) : (forward ? x2 : x1);
    const across = isSteep ? (forward ? x1 : x2) : (forward ? y1 : y2);
    const longLimit = (isSteep ? height : width) - EDGE, wideLimit = (isSteep ? width : height) - EDGE - 1;
    const first = Math.max(EDGE, Math.ceil(from - 0.5)), last = Math.min(longLimit, Math.ceil(to - 0.5));
    const pixels = this.#pixels, step = isSteep ? width : 1, side = isSteep ? 1 : width;
    // A pixel's middle lies half a pixel from its edge.
    let place = across - 0.5 + (first + 0.5 - from) * slope;
    for (let k = first; k < last; k++, place += slope) {
      if (!(place >= EDGE && place < wideLimit)) continue;
      const whole = place | 0, share = ((place - whole) * opacity) | 0, rest = opacity - share;
      const at = k * step + whole * side;
      if (rest > pixels[at]! >>> 24) pixels[at] = color | (rest << 24);
      if (share > pixels[at + side]! >>> 24) pixels[at + side] = color | (share << 24);
    }
  }
}

/** "#rrggbb" as red, green and blue lie in the memory of an ImageData; every machine with a browser has small ends first. */
function bytesOf(color: string): number {
  const value = parseInt(color.slice(1), 16);
  return ((value & 255) << 16) | (value & 0xff00) | (value >> 16);
}
