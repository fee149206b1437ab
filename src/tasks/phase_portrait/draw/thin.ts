/** In pixels: nobody sees a line that is nearer to where it was. */
const TOLERANCE = 0.12;

/**
 * A longer line is thinned piece by piece: where it goes round and round, pieces of the whole would split off a turn at
 * a time, and the time would grow with the square of its length.
 */
const PIECE_POINTS = 512;

/** The points that a line x, y, x, y … needs to look the same: the method of Douglas and Peucker (1973). */
export function thinned(points: Float64Array): Float64Array {
  const count = points.length / 2;
  if (count < 3 || !points.every(Number.isFinite)) return points;
  const isKept = new Uint8Array(count);
  isKept[0] = 1;
  const open: [number, number][] = [];
  for (let from = 0; from < count - 1; from += PIECE_POINTS) {
    const to = Math.min(count - 1, from + PIECE_POINTS);
    isKept[to] = 1;
    open.push([from, to]);
  }
  for (let piece = open.pop(); piece !== undefined; piece = open.pop()) {
    const [from, to] = piece, farthest = farthestFrom(points, from, to);
    if (farthest < 0) continue;
    isKept[farthest] = 1;
    open.push([from, farthest], [farthest, to]);
  }
  return points.filter((_, at) => isKept[at >> 1] === 1);
}

/** The point between two that is farthest from their chord; -1 when all lie near it. */
function farthestFrom(points: Float64Array, from: number, to: number): number {
  const x = points[2 * from]!, y = points[2 * from + 1]!;
  const dx = points[2 * to]! - x, dy = points[2 * to + 1]! - y, length = dx * dx + dy * dy;
  let best = -1, most = TOLERANCE ** 2;
  for (let k = from + 1; k < to; k++) {
    const px = points[2 * k]! - x, py = points[2 * k + 1]! - y;
    // Of a closed line the chord is a point.
    const share = length === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / length));
    const away = (px - share * dx) ** 2 + (py - share * dy) ** 2;
    if (away > most) [best, most] = [k, away];
  }
  return best;
}
