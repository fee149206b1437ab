import { paintScene } from "../../../tasks/phase_portrait/draw/canvas.ts";
import type { Scene } from "../../../tasks/phase_portrait/draw/scene.ts";
import { svgOf } from "../../../tasks/phase_portrait/draw/svg.ts";

/** Offers a file for download. */
export function download(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // The browser has taken hold of it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function svgFile(scene: Scene): Blob {
  return new Blob([svgOf(scene)], { type: "image/svg+xml" });
}

/** The picture with two device pixels to each of its own. */
export async function pngFile(scene: Scene): Promise<Blob> {
  const canvas = new OffscreenCanvas(scene.width * 2, scene.height * 2);
  paintScene(canvas.getContext("2d")!, scene, 2);
  return await canvas.convertToBlob({ type: "image/png" });
}

export function jsonFile(document: unknown): Blob {
  return new Blob([`${JSON.stringify(document, null, 2)}\n`], { type: "application/json" });
}

/** A file name that says what is in it. */
export function fileName(name: string, ending: string): string {
  const plain = name.normalize("NFKD").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").toLowerCase();
  return `${plain.slice(0, 60) || "phase-portrait"}.${ending}`;
}
