import { EigenvalueDecomposition, Matrix } from "ml-matrix";

/** One eigenvalue; `vector` is the eigenvector of a real one, of length 1, and null for a complex one. */
export interface Eigenvalue {
  readonly re: number;
  readonly im: number;
  readonly vector: readonly number[] | null;
}

/** What the linearisation says of an equilibrium. `undecided` where real parts vanish. */
export type Stability = "stable" | "unstable" | "saddle" | "undecided";

/** An equilibrium's name as textbooks give it, and how it was found. */
export interface Classification {
  readonly type: string;
  readonly stability: Stability;
  /** How many eigenvalues have a positive real part. */
  readonly unstableDirections: number;
}

/** Real parts below this share of the largest eigenvalue count as zero. */
const ZERO_SHARE = 1e-8;
/** All eigenvalues below this share of the system's own speed count as zero. */
const DEGENERATE_SHARE = 1e-12;

/** The eigenvalues of an n × n matrix, rows one after the other; by descending real part, a pair's positive one first. */
export function eigenvalues(n: number, jacobian: Float64Array): Eigenvalue[] {
  const rows = Array.from({ length: n }, (_, i) => Array.from(jacobian.subarray(i * n, (i + 1) * n)));
  const decomposition = new EigenvalueDecomposition(new Matrix(rows));
  const { realEigenvalues, imaginaryEigenvalues, eigenvectorMatrix } = decomposition;
  return realEigenvalues.map((re, index): Eigenvalue => {
    const im = imaginaryEigenvalues[index]!;
    return { re, im, vector: im === 0 ? normed(eigenvectorMatrix.getColumn(index)) : null };
  }).sort((a, b) => b.re - a.re || b.im - a.im);
}

/** `speedScale` is the system's typical speed over the size of the view, in 1/time. */
export function classify(values: readonly Eigenvalue[], speedScale: number): Classification {
  const largest = Math.max(...values.map(({ re, im }) => Math.hypot(re, im)));
  if (largest <= DEGENERATE_SHARE * speedScale) {
    return {
      type: "degenerate: all eigenvalues are zero",
      stability: "undecided",
      unstableDirections: 0,
    };
  }
  const signs = values.map(({ re }) => Math.abs(re) < ZERO_SHARE * largest ? 0 : Math.sign(re));
  const unstable = signs.filter((sign) => sign > 0).length;
  if (signs.includes(0)) return undecided(values, signs, unstable);
  if (unstable > 0 && unstable < values.length) return saddle(values, unstable);
  const stability = unstable === 0 ? "stable" : "unstable";
  return {
    type: `${stability} ${nodeOrFocus(values, largest)}`,
    stability,
    unstableDirections: unstable,
  };
}

function undecided(
  values: readonly Eigenvalue[],
  signs: readonly number[],
  unstableDirections: number,
): Classification {
  const still = values.filter((_, index) => signs[index] === 0);
  const pair = still.length === 2 && still[0]!.im !== 0;
  const stability = "undecided";
  if (pair && values.length === 2) {
    return {
      type: "centre of the linearisation (not decided by linearisation)",
      stability,
      unstableDirections,
    };
  }
  const why = pair ? "an imaginary pair, Hopf candidate" : "a zero eigenvalue, line or fold candidate";
  return { type: `non-hyperbolic (${why})`, stability, unstableDirections };
}

function saddle(values: readonly Eigenvalue[], unstable: number): Classification {
  const common = { stability: "saddle", unstableDirections: unstable } as const;
  if (values.length === 2) return { type: "saddle", ...common };
  const kind = values.length === 3 && values.some(({ im }) => im !== 0) ? "saddle-focus" : "saddle";
  return { type: `${kind} with ${unstable} unstable direction${unstable === 1 ? "" : "s"}`, ...common };
}

function nodeOrFocus(values: readonly Eigenvalue[], largest: number): string {
  const complex = values.some(({ im }) => im !== 0);
  if (values.length > 2) return complex ? "focus-node" : "node";
  if (complex) return "focus";
  const [a, b] = values as [Eigenvalue, Eigenvalue | undefined];
  if (b === undefined || Math.abs(a.re - b.re) > ZERO_SHARE * largest) return "node";
  // Equal eigenvalues: two independent eigenvectors make a star, one alone a degenerate node.
  const [p, q] = [a.vector!, b.vector!];
  const cross = Math.abs(p[0]! * q[1]! - p[1]! * q[0]!);
  return cross > 1e-6 ? "star" : "degenerate node";
}

function normed(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector);
  const first = vector.find((value) => Math.abs(value) > 1e-12 * length) ?? 1;
  return vector.map((value) => (value / length) * Math.sign(first));
}
