import { plotArea } from "../../../tasks/phase_portrait/draw/axes.ts";
import { paintScene } from "../../../tasks/phase_portrait/draw/canvas.ts";
import type { PortraitLayers } from "../../../tasks/phase_portrait/draw/portrait.ts";
import type { LineMark, Mark, Scene, SegmentsMark } from "../../../tasks/phase_portrait/draw/scene.ts";
import { QuickLines } from "./quick_lines.ts";

/** Paints a moving picture: its many lines by their pixels, heads and starts of one colour in one go. */
export class QuickPortrait {
  #lines: QuickLines | null = null;

  paint(
    painter: CanvasRenderingContext2D,
    { axes, ground, trajectories }: PortraitLayers,
    scene: (marks: readonly Mark[]) => Scene,
    ratio: number,
  ): void {
    this.#lines ??= new QuickLines();
    const area = plotArea(axes);
    paintScene(painter, scene(ground.filter(({ kind }) => kind !== "segments")), ratio);
    this.#lines.paint(painter, [...ground.filter(isSegments), ...trajectories.filter(isLine)], area);
    painter.save();
    painter.beginPath();
    painter.rect(area.x, area.y, area.width, area.height);
    painter.clip();
    for (const [color, path] of shapesByColor(trajectories)) {
      painter.fillStyle = color;
      painter.fill(path);
    }
    painter.restore();
  }
}

function isLine(mark: Mark): mark is LineMark {
  return mark.kind === "line";
}

function isSegments(mark: Mark): mark is SegmentsMark {
  return mark.kind === "segments";
}

function shapesByColor(marks: readonly Mark[]): Map<string, Path2D> {
  const paths = new Map<string, Path2D>();
  for (const mark of marks) {
    if (mark.kind !== "polygon" && mark.kind !== "circle") continue;
    const path = paths.get(mark.fill) ?? new Path2D();
    paths.set(mark.fill, path);
    if (mark.kind === "circle") {
      // So small a disc looks the same as a square.
      path.rect(mark.x - mark.radius, mark.y - mark.radius, 2 * mark.radius, 2 * mark.radius);
      continue;
    }
    const [x1, y1, x2, y2, x3, y3] = mark.points as unknown as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    path.moveTo(x1, y1);
    path.lineTo(x2, y2);
    path.lineTo(x3, y3);
    path.closePath();
  }
  return paths;
}
