import type { Clip, LineMark, Mark, Scene } from "./scene.ts";

/** The part of a browser's 2D context that pictures are painted with. */
export type Painter = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

const FONT = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";

/** Paints a scene; `scale` is how many device pixels one pixel of the scene has. */
export function paintScene(painter: Painter, scene: Scene, scale = 1): void {
  painter.setTransform(scale, 0, 0, scale, 0, 0);
  painter.fillStyle = scene.background;
  painter.fillRect(0, 0, scene.width, scene.height);
  paintMarks(painter, scene.marks);
}

/** Paints marks over what is there. Marks that share a clip are best given one after the other. */
export function paintMarks(painter: Painter, marks: readonly Mark[]): void {
  let clip: Clip | undefined;
  painter.save();
  for (const mark of marks) {
    if (!isSame(mark.clip, clip)) {
      painter.restore();
      painter.save();
      clip = mark.clip;
      if (clip !== undefined) setClip(painter, clip);
    }
    painter.globalAlpha = mark.opacity ?? 1;
    paint(painter, mark);
  }
  painter.restore();
}

function isSame(one: Clip | undefined, other: Clip | undefined): boolean {
  if (one === other) return true;
  if (one === undefined || other === undefined) return false;
  return one.x === other.x && one.y === other.y && one.width === other.width && one.height === other.height;
}

function setClip(painter: Painter, { x, y, width, height }: Clip): void {
  painter.beginPath();
  painter.rect(x, y, width, height);
  painter.clip();
}

function paint(painter: Painter, mark: Mark): void {
  switch (mark.kind) {
    case "line":
      return paintLine(painter, mark);
    case "segments":
      painter.setLineDash([]);
      return strokePath(painter, mark.color, mark.width, () => traceSegments(painter, mark.points));
    case "polygon":
      painter.beginPath();
      tracePath(painter, mark.points);
      painter.fillStyle = mark.fill;
      return painter.fill();
    case "circle":
      return paintCircle(painter, mark);
    case "text":
      return paintText(painter, mark);
  }
}

/** The time for one stroke grows with the square of its points where it crosses itself again and again. */
const STROKE_POINTS = 2_000;

function paintLine(painter: Painter, { points, color, width, dash }: LineMark): void {
  painter.setLineDash(dash === undefined ? [] : [...dash]);
  // Dashes would begin anew with each stroke.
  const each = dash === undefined ? STROKE_POINTS : points.length;
  for (let from = 0; from === 0 || from < points.length - 2; from += 2 * each) {
    strokePath(painter, color, width, () => tracePath(painter, points.subarray(from, from + 2 * each + 2)));
  }
}

function strokePath(painter: Painter, color: string, width: number, trace: () => void): void {
  painter.beginPath();
  trace();
  painter.strokeStyle = color;
  painter.lineWidth = width;
  // Round joins cost far more, and show only where lines are wide.
  painter.lineJoin = width > 2 ? "round" : "bevel";
  painter.stroke();
}

/** Canvas coordinates beyond this are drawn wrongly by some engines. */
const FAR = 1e5;

function tracePath(painter: Painter, points: Float64Array): void {
  let isDown = false;
  for (let at = 0; at + 1 < points.length; at += 2) {
    const x = points[at]!, y = points[at + 1]!;
    if (!(Math.abs(x) < FAR && Math.abs(y) < FAR)) {
      isDown = false;
    } else if (isDown) {
      painter.lineTo(x, y);
    } else {
      painter.moveTo(x, y);
      isDown = true;
    }
  }
}

function traceSegments(painter: Painter, points: Float64Array): void {
  for (let at = 0; at + 3 < points.length; at += 4) {
    painter.moveTo(points[at]!, points[at + 1]!);
    painter.lineTo(points[at + 2]!, points[at + 3]!);
  }
}

function paintCircle(painter: Painter, mark: Extract<Mark, { kind: "circle" }>): void {
  painter.beginPath();
  painter.arc(mark.x, mark.y, mark.radius, 0, 2 * Math.PI);
  painter.fillStyle = mark.fill;
  painter.fill();
  if (mark.stroke === undefined) return;
  painter.setLineDash([]);
  painter.strokeStyle = mark.stroke;
  painter.lineWidth = mark.strokeWidth ?? 1;
  painter.stroke();
}

function paintText(painter: Painter, mark: Extract<Mark, { kind: "text" }>): void {
  painter.font = `${mark.bold === true ? "600 " : ""}${mark.size}px ${FONT}`;
  painter.fillStyle = mark.color;
  painter.textAlign = mark.anchor === "middle" ? "center" : mark.anchor;
  painter.textBaseline = "alphabetic";
  if (mark.upright !== true) return painter.fillText(mark.text, mark.x, mark.y);
  painter.save();
  painter.translate(mark.x, mark.y);
  painter.rotate(-Math.PI / 2);
  painter.fillText(mark.text, 0, 0);
  painter.restore();
}
