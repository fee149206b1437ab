import { type Glyphs, textOutlines } from "./glyphs.ts";
import { Raster } from "./raster.ts";
import type { Mark, Scene } from "./scene.ts";

/** The scene as a PNG file, `scale` pixels to each of the scene's (2 for sharp screens). */
export async function pngOf(scene: Scene, glyphs: Glyphs, scale = 2): Promise<Uint8Array> {
  const raster = new Raster(
    Math.round(scene.width * scale),
    Math.round(scene.height * scale),
    scene.background,
  );
  for (const mark of scene.marks) drawMark(raster, mark, glyphs, scale);
  return await encode(raster);
}

function drawMark(raster: Raster, mark: Mark, glyphs: Glyphs, scale: number): void {
  const clip = mark.clip && {
    x: mark.clip.x * scale,
    y: mark.clip.y * scale,
    width: mark.clip.width * scale,
    height: mark.clip.height * scale,
  };
  const paint = (color: string) => raster.paint(color, mark.opacity ?? 1, clip);
  const scaled = (points: Float64Array) => points.map((value) => value * scale);
  switch (mark.kind) {
    case "line": {
      const dash = mark.dash && ([mark.dash[0] * scale, mark.dash[1] * scale] as const);
      raster.stroke(scaled(mark.points), mark.width * scale, dash);
      return paint(mark.color);
    }
    case "segments":
      for (let at = 0; at < mark.points.length; at += 4) {
        raster.stroke(scaled(mark.points.subarray(at, at + 4)), mark.width * scale);
      }
      return paint(mark.color);
    case "polygon":
      raster.shape(scaled(mark.points));
      return paint(mark.fill);
    case "circle":
      raster.disc(mark.x * scale, mark.y * scale, (mark.radius + (mark.strokeWidth ?? 0) / 2) * scale);
      paint(mark.stroke ?? mark.fill);
      if (mark.stroke === undefined) return;
      raster.disc(mark.x * scale, mark.y * scale, (mark.radius - (mark.strokeWidth ?? 0) / 2) * scale);
      return paint(mark.fill);
    case "text":
      for (const outline of textOutlines(mark, glyphs)) raster.shape(outline.map((value) => value * scale));
      return paint(mark.color);
  }
}

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

/** Portable Network Graphics (W3C, third edition): 8-bit RGB, one filter for all rows. */
async function encode({ width, height, pixels }: Raster): Promise<Uint8Array> {
  const stride = width * 3 + 1, rows = new Uint8Array(stride * height);
  for (let row = 0, from = 0, to = 0; row < height; row++) {
    to++;
    for (let column = 0; column < width; column++, from += 4, to += 3) {
      rows[to] = pixels[from]!;
      rows[to + 1] = pixels[from + 1]!;
      rows[to + 2] = pixels[from + 2]!;
    }
  }
  const header = new Uint8Array(13), view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 2, 0, 0, 0], 8);
  const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const data = new Uint8Array(await new Response(stream).arrayBuffer());
  const chunks = [chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", new Uint8Array())];
  return new Uint8Array(await new Blob([new Uint8Array(SIGNATURE), ...chunks]).arrayBuffer());
}

function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(12 + data.length), view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  for (let at = 0; at < 4; at++) out[4 + at] = type.charCodeAt(at);
  out.set(data, 8);
  view.setUint32(8 + data.length, crc(out.subarray(4, 8 + data.length)));
  return out;
}

let table: Uint32Array | null = null;

function crc(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, n) => {
    let value = n;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    return value;
  });
  let value = 0xffffffff;
  for (const byte of bytes) value = table[(value ^ byte) & 255]! ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
