/** The part of state space that is looked at: a low and a high bound for each state. */
export interface View {
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/** Beyond, the extent of a range would be no number. */
const BOUND_MAX = 8e307;

/**
 * A range with room on both sides, `share` of its extent; about what is one value, or nearly, so much that the ends
 * can be told apart.
 */
export function roomyRange(low: number, high: number, share: number): [number, number] {
  const size = Math.max(1, Math.abs(low), Math.abs(high)), extent = high - low;
  const room = extent > 1e-9 * size ? share * extent : Math.max(1, 1e-4 * size);
  return [Math.max(-BOUND_MAX, low - room), Math.min(BOUND_MAX, high + room)];
}

/** The length of the view's diagonal: what small and near are measured by. */
export function viewSize({ low, high }: View): number {
  let sum = 0;
  for (let i = 0; i < low.length; i++) sum += (high[i]! - low[i]!) ** 2;
  return Math.sqrt(sum);
}

/** True when a point lies in the view, or a millionth of its size outside. */
export function inView({ low, high }: View, y: ArrayLike<number>): boolean {
  for (let i = 0; i < low.length; i++) {
    const slack = 1e-6 * (high[i]! - low[i]!);
    if (!(y[i]! >= low[i]! - slack && y[i]! <= high[i]! + slack)) return false;
  }
  return true;
}

/** The same view, so many times as wide about its middle. */
export function widened({ low, high }: View, times: number): View {
  const middle = low.map((value, i) => (value + high[i]!) / 2);
  const half = low.map((value, i) => ((high[i]! - value) / 2) * times);
  return {
    low: middle.map((value, i) => value - half[i]!),
    high: middle.map((value, i) => value + half[i]!),
  };
}

/** Distance with each state measured by the view's extent in it. */
export function scaledDistance({ low, high }: View, a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < low.length; i++) sum += ((a[i]! - b[i]!) / (high[i]! - low[i]!)) ** 2;
  return Math.sqrt(sum);
}

/** Points of Halton's sequence in the view: spread evenly and always the same (Numer. Math. 2 (1960) 84). */
export function* scattered({ low, high }: View, count: number): Generator<Float64Array> {
  for (let index = 1; index <= count; index++) {
    yield low.map((value, i) =>
      value + (high[i]! - value) * radicalInverse(index, PRIMES[i % PRIMES.length]!)
    );
  }
}

/** The nodes of an even grid with `perSide` points to each state, its edges included. */
export function* gridPoints({ low, high }: View, perSide: number): Generator<Float64Array> {
  const n = low.length, total = perSide ** n;
  for (let index = 0; index < total; index++) {
    let rest = index;
    yield low.map((value, i) => {
      const at = rest % perSide;
      rest = Math.floor(rest / perSide);
      return value + ((high[i]! - value) * at) / (perSide - 1);
    });
  }
}

const PRIMES = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53];

function radicalInverse(index: number, base: number): number {
  let result = 0, share = 1 / base;
  for (let rest = index; rest > 0; rest = Math.floor(rest / base)) {
    result += (rest % base) * share;
    share /= base;
  }
  return result;
}
