/** Dense linear systems of a few unknowns, factored in place. Rows lie one after the other. */

/** Factors the n × n matrix with partial pivoting; false when it is singular or holds what is not finite. */
export function factor(n: number, matrix: Float64Array, pivots: Int32Array): boolean {
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) {
      if (Math.abs(matrix[i * n + k]!) > Math.abs(matrix[pivot * n + k]!)) pivot = i;
    }
    pivots[k] = pivot;
    const size = Math.abs(matrix[pivot * n + k]!);
    if (!(size > 0 && size < Infinity)) return false;
    if (pivot !== k) swapRows(n, matrix, k, pivot);
    const inverse = 1 / matrix[k * n + k]!;
    for (let i = k + 1; i < n; i++) {
      const ratio = (matrix[i * n + k]! *= inverse);
      if (ratio === 0) continue;
      for (let j = k + 1; j < n; j++) matrix[i * n + j]! -= ratio * matrix[k * n + j]!;
    }
  }
  return true;
}

/** Solves with what `factor` made; `b` becomes the solution. */
export function solveFactored(n: number, matrix: Float64Array, pivots: Int32Array, b: Float64Array): void {
  // The plane is what most people look at, and loops cost more than the sums there.
  if (n === 2) return solveFactored2(matrix, pivots, b);
  // Rows were swapped whole while factoring, so all swaps of b come before the substitution.
  for (let k = 0; k < n; k++) {
    const pivot = pivots[k]!;
    if (pivot === k) continue;
    const held = b[k]!;
    b[k] = b[pivot]!;
    b[pivot] = held;
  }
  for (let i = 1; i < n; i++) {
    let sum = b[i]!;
    for (let j = 0; j < i; j++) sum -= matrix[i * n + j]! * b[j]!;
    b[i] = sum;
  }
  for (let i = n - 1; i >= 0; i--) {
    let sum = b[i]!;
    for (let j = i + 1; j < n; j++) sum -= matrix[i * n + j]! * b[j]!;
    b[i] = sum / matrix[i * n + i]!;
  }
}

function solveFactored2(matrix: Float64Array, pivots: Int32Array, b: Float64Array): void {
  const first = pivots[0] === 0 ? b[0]! : b[1]!, second = pivots[0] === 0 ? b[1]! : b[0]!;
  const y = (second - matrix[2]! * first) / matrix[3]!;
  b[0] = (first - matrix[1]! * y) / matrix[0]!;
  b[1] = y;
}

/** As `factor`, for a complex matrix whose real and imaginary parts are held apart. */
export function factorComplex(
  n: number,
  re: Float64Array,
  im: Float64Array,
  pivots: Int32Array,
): boolean {
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) {
      if (size1(re, im, i * n + k) > size1(re, im, pivot * n + k)) pivot = i;
    }
    pivots[k] = pivot;
    const size = size1(re, im, pivot * n + k);
    if (!(size > 0 && size < Infinity)) return false;
    if (pivot !== k) {
      swapRows(n, re, k, pivot);
      swapRows(n, im, k, pivot);
    }
    const a = re[k * n + k]!, b = im[k * n + k]!;
    const square = a * a + b * b;
    for (let i = k + 1; i < n; i++) {
      const at = i * n + k;
      const x = (re[at]! * a + im[at]! * b) / square;
      const y = (im[at]! * a - re[at]! * b) / square;
      re[at] = x;
      im[at] = y;
      for (let j = k + 1; j < n; j++) {
        const p = re[k * n + j]!, q = im[k * n + j]!;
        re[i * n + j]! -= x * p - y * q;
        im[i * n + j]! -= x * q + y * p;
      }
    }
  }
  return true;
}

/** Solves with what `factorComplex` made; (bRe, bIm) becomes the solution. */
export function solveFactoredComplex(
  n: number,
  re: Float64Array,
  im: Float64Array,
  pivots: Int32Array,
  bRe: Float64Array,
  bIm: Float64Array,
): void {
  for (let k = 0; k < n; k++) {
    const pivot = pivots[k]!;
    if (pivot === k) continue;
    const heldRe = bRe[k]!, heldIm = bIm[k]!;
    bRe[k] = bRe[pivot]!;
    bIm[k] = bIm[pivot]!;
    bRe[pivot] = heldRe;
    bIm[pivot] = heldIm;
  }
  for (let i = 1; i < n; i++) substitute(n, re, im, i, 0, i, bRe, bIm);
  for (let i = n - 1; i >= 0; i--) {
    substitute(n, re, im, i, i + 1, n, bRe, bIm);
    const a = re[i * n + i]!, b = im[i * n + i]!;
    const square = a * a + b * b;
    const x = bRe[i]!, y = bIm[i]!;
    bRe[i] = (x * a + y * b) / square;
    bIm[i] = (y * a - x * b) / square;
  }
}

function substitute(
  n: number,
  re: Float64Array,
  im: Float64Array,
  row: number,
  from: number,
  to: number,
  bRe: Float64Array,
  bIm: Float64Array,
): void {
  let x = bRe[row]!, y = bIm[row]!;
  for (let j = from; j < to; j++) {
    const p = re[row * n + j]!, q = im[row * n + j]!;
    x -= p * bRe[j]! - q * bIm[j]!;
    y -= p * bIm[j]! + q * bRe[j]!;
  }
  bRe[row] = x;
  bIm[row] = y;
}

function size1(re: Float64Array, im: Float64Array, at: number): number {
  return Math.abs(re[at]!) + Math.abs(im[at]!);
}

function swapRows(n: number, matrix: Float64Array, a: number, b: number): void {
  for (let j = 0; j < n; j++) {
    const held = matrix[a * n + j]!;
    matrix[a * n + j] = matrix[b * n + j]!;
    matrix[b * n + j] = held;
  }
}
