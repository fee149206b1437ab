import type { VectorField } from "../solve/stepper.ts";

/**
 * The field together with its variational equation: the state y, then the matrix M row by row with M' = J(t, y) M, so
 * that M shows where small deviations from the start have gone. Its own Jacobian is by finite differences, which
 * is enough for a stiff method's steps.
 */
export function withVariation(field: VectorField): VectorField {
  const n = field.dimension, size = n + n * n;
  const y = new Float64Array(n), f = new Float64Array(n), jacobian = new Float64Array(n * n);
  const extended = {
    dimension: size,
    allocate: (length: number) => new Float64Array(length),
    rhs(t: number, state: Float64Array, out: Float64Array): void {
      for (let i = 0; i < n; i++) y[i] = state[i]!;
      field.rhs(t, y, f);
      field.jacobian(t, y, jacobian);
      for (let i = 0; i < n; i++) {
        out[i] = f[i]!;
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let k = 0; k < n; k++) sum += jacobian[i * n + k]! * state[n + k * n + j]!;
          out[n + i * n + j] = sum;
        }
      }
    },
  };
  return { ...extended, ...numericDerivatives(size, extended.rhs) };
}

/** Central differences for a field that has no derivatives of its own. */
export function numericDerivatives(
  n: number,
  rhs: VectorField["rhs"],
): Pick<VectorField, "jacobian" | "timeDerivative"> {
  const point = new Float64Array(n), ahead = new Float64Array(n), behind = new Float64Array(n);
  const step = (value: number) => Math.cbrt(Number.EPSILON) * Math.max(1e-3, Math.abs(value));
  return {
    jacobian(t, y, out) {
      for (let j = 0; j < n; j++) {
        point.set(y);
        const h = step(y[j]!);
        point[j] = y[j]! + h;
        rhs(t, point, ahead);
        point[j] = y[j]! - h;
        rhs(t, point, behind);
        for (let i = 0; i < n; i++) out[i * n + j] = (ahead[i]! - behind[i]!) / (2 * h);
      }
    },
    timeDerivative(t, y, out) {
      const h = step(t);
      rhs(t + h, y, ahead);
      rhs(t - h, y, behind);
      for (let i = 0; i < n; i++) out[i] = (ahead[i]! - behind[i]!) / (2 * h);
    },
  };
}

/** The start of the variational equation: y, and the identity. */
export function variationStart(y: ArrayLike<number>): Float64Array {
  const n = y.length, state = new Float64Array(n + n * n);
  state.set(Float64Array.from(y));
  for (let i = 0; i < n; i++) state[n + i * n + i] = 1;
  return state;
}
