import type { Clip, Mark, Scene } from "./scene.ts";
import { thinned } from "./thin.ts";

/** The scene as an SVG document of real vectors; text stays text. */
export function svgOf({ width, height, background, marks }: Scene): string {
  const clips = new Map<string, string>();
  const body = marks.map((mark) => element(mark, clips)).join("\n");
  const defs = [...clips].map(([key, id]) => {
    const [x, y, w, h] = key.split(" ");
    return `<clipPath id="${id}"><rect x="${x}" y="${y}" width="${w}" height="${h}"/></clipPath>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, 'DejaVu Sans', sans-serif">
<defs>${defs.join("")}</defs>
<rect width="${width}" height="${height}" fill="${background}"/>
${body}
</svg>
`;
}

function element(mark: Mark, clips: Map<string, string>): string {
  const common = clipOf(mark.clip, clips) + (mark.opacity === undefined ? "" : ` opacity="${mark.opacity}"`);
  const inner = mark.title === undefined ? "" : `<title>${escaped(mark.title)}</title>`;
  switch (mark.kind) {
    case "line": {
      const dash = mark.dash === undefined ? "" : ` stroke-dasharray="${mark.dash.join(" ")}"`;
      return `<polyline points="${
        pairs(thinned(mark.points))
      }" fill="none" stroke="${mark.color}" stroke-width="${mark.width}" ` +
        `stroke-linejoin="round" stroke-linecap="round"${dash}${common}>${inner}</polyline>`;
    }
    case "segments":
      return `<path d="${
        segmentPath(mark.points)
      }" fill="none" stroke="${mark.color}" stroke-width="${mark.width}" ` +
        `stroke-linecap="round"${common}>${inner}</path>`;
    case "polygon":
      return `<polygon points="${pairs(mark.points)}" fill="${mark.fill}"${common}>${inner}</polygon>`;
    case "circle": {
      const stroke = mark.stroke === undefined
        ? ""
        : ` stroke="${mark.stroke}" stroke-width="${mark.strokeWidth ?? 1}"`;
      return `<circle cx="${round(mark.x)}" cy="${round(mark.y)}" r="${
        round(mark.radius)
      }" fill="${mark.fill}"${stroke}${common}>` +
        `${inner}</circle>`;
    }
    case "text": {
      const turn = mark.upright === true ? ` transform="rotate(-90 ${round(mark.x)} ${round(mark.y)})"` : "";
      const bold = mark.bold === true ? ' font-weight="600"' : "";
      return `<text x="${round(mark.x)}" y="${
        round(mark.y)
      }" font-size="${mark.size}" fill="${mark.color}" ` +
        `text-anchor="${mark.anchor}"${bold}${turn}${common}>${escaped(mark.text)}</text>`;
    }
  }
}

function clipOf(clip: Clip | undefined, clips: Map<string, string>): string {
  if (clip === undefined) return "";
  const key = [clip.x, clip.y, clip.width, clip.height].map(round).join(" ");
  const id = clips.get(key) ?? `clip${clips.size + 1}`;
  clips.set(key, id);
  return ` clip-path="url(#${id})"`;
}

function pairs(points: Float64Array): string {
  const parts: string[] = [];
  for (let at = 0; at < points.length; at += 2) parts.push(`${round(points[at]!)},${round(points[at + 1]!)}`);
  return parts.join(" ");
}

function segmentPath(points: Float64Array): string {
  const parts: string[] = [];
  for (let at = 0; at < points.length; at += 4) {
    const [x1, y1, x2, y2] = [0, 1, 2, 3].map((offset) => round(points[at + offset]!));
    parts.push(`M${x1} ${y1}L${x2} ${y2}`);
  }
  return parts.join("");
}

/** To a fiftieth of a pixel: more digits only make the file larger. */
function round(value: number): number {
  return Math.round(value * 50) / 50;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll(
    '"',
    "&quot;",
  );
}
