/** A point of space, or of the unit box that a picture's ranges are shown in: -1 to 1 each. */
export type Vector = readonly [number, number, number];

/** A look at the box from outside: turned about its upright axis, raised, near or far. */
export interface Camera {
  readonly turn: number;
  readonly rise: number;
  readonly distance: number;
}

export const CAMERA: Camera = { turn: 0.62, rise: 0.3, distance: 5.6 };

const NEAREST = 2.2, FARTHEST = 30;
/** Half the height of the view at distance 1. */
const TANGENT = 0.33;

/** Orbits by angles, and goes nearer by a factor. */
export function moved(camera: Camera, by: { turn?: number; rise?: number; nearer?: number }): Camera {
  const limit = Math.PI / 2;
  return {
    turn: camera.turn + (by.turn ?? 0),
    rise: Math.max(-limit, Math.min(limit, camera.rise + (by.rise ?? 0))),
    distance: Math.max(NEAREST, Math.min(FARTHEST, camera.distance / (by.nearer ?? 1))),
  };
}

/** Projects points of the box (z upwards) to pixels, with their depth from -1 (near) to 1 (far). */
export class Projection {
  /** Column after column, from the box to clip space, as WebGL takes it. */
  readonly matrix: Float32Array;
  readonly #width: number;
  readonly #height: number;
  readonly #camera: Camera;

  constructor(camera: Camera, width: number, height: number) {
    [this.#camera, this.#width, this.#height] = [camera, width, height];
    const { turn, rise, distance } = camera;
    const [ct, st, cr, sr] = [Math.cos(turn), Math.sin(turn), Math.cos(rise), Math.sin(rise)];
    // Rows of the view: right, up, towards the eye.
    const right = [ct, st, 0], up = [-st * sr, ct * sr, cr], back = [st * cr, -ct * cr, sr];
    // The smaller side of the picture holds the box.
    const fit = Math.min(width, height), fx = fit / width / TANGENT, fy = fit / height / TANGENT;
    const near = Math.max(0.1, distance - 3), far = distance + 3;
    const a = (far + near) / (far - near), b = (2 * far * near) / (far - near);
    const column = (i: number) => [fx * right[i]!, fy * up[i]!, -a * back[i]!, -back[i]!];
    this.matrix = Float32Array.of(...column(0), ...column(1), ...column(2), 0, 0, a * distance - b, distance);
  }

  /** x, y in pixels and the distance from the eye. */
  place([x, y, z]: Vector): { x: number; y: number; away: number } {
    const m = this.matrix;
    const w = m[3]! * x + m[7]! * y + m[11]! * z + m[15]!;
    const cx = (m[0]! * x + m[4]! * y + m[8]! * z) / w, cy = (m[1]! * x + m[5]! * y + m[9]! * z) / w;
    return { x: ((cx + 1) / 2) * this.#width, y: ((1 - cy) / 2) * this.#height, away: w };
  }

  /** 1 for what is nearest in the box, towards 0.35 for what is farthest. */
  shade(away: number): number {
    const share = (away - (this.#camera.distance - 1.7)) / 3.4;
    return 1 - 0.65 * Math.min(1, Math.max(0, share));
  }
}
