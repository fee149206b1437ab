/** Correctly rounded to `digits` decimals, exact ties to the even digit; exact for every number below 2^33. */
export function round(x: number, digits: number): number {
  const size = Math.abs(x);
  if (!Number.isFinite(x) || size >= 2 ** 33) return x;
  // Only an odd multiple of this power of two lies exactly between two decimals.
  const scaled = size * 2 ** (digits + 1);
  if (!Number.isInteger(scaled) || scaled % 2 === 0) return Number(x.toFixed(digits));
  const floor = Math.floor(size * 10 ** digits);
  const even = (floor % 2 === 0 ? floor : floor + 1) / 10 ** digits;
  return x < 0 ? -even : even;
}

export function round4(x: number): number {
  return round(x, 4);
}
