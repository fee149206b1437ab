import { Dop853 } from "./dop853.ts";
import { Radau } from "./radau.ts";
import { Rk4 } from "./rk4.ts";
import { Rk45 } from "./rk45.ts";
import { Rodas5p } from "./rodas5p.ts";
import type { Stepper, Tolerance, VectorField } from "./stepper.ts";
import type { WorkSpace } from "./work_space.ts";

/** The methods by the names that users give. `auto` walks with an explicit one and changes to Rodas5P where it is stiff. */
export const METHODS = ["auto", "RK45", "DOP853", "Rodas5P", "Radau", "RK4"] as const;

export type Method = (typeof METHODS)[number];

/** Below this relative tolerance `auto` takes the method of order 8. */
const HIGH_ORDER_BELOW = 1e-8;

/** The method that a trajectory starts with. */
export function startingMethod(method: Method, tolerance: Tolerance): Exclude<Method, "auto"> {
  if (method !== "auto") return method;
  return tolerance.rtol < HIGH_ORDER_BELOW ? "DOP853" : "RK45";
}

/** A stepper that works in the space given, until that is released. */
export function newStepper(
  method: Exclude<Method, "auto">,
  field: VectorField,
  tolerance: Tolerance,
  space: WorkSpace,
): Stepper {
  switch (method) {
    case "RK45":
      return new Rk45(field, tolerance, space);
    case "DOP853":
      return new Dop853(field, tolerance, space);
    case "Rodas5P":
      return new Rodas5p(field, tolerance, space);
    case "Radau":
      return new Radau(field, tolerance, space);
    case "RK4":
      return new Rk4(field, space);
  }
}

/** True for the methods whose steps stability limits. */
export function isExplicit(method: Method): boolean {
  return method === "RK45" || method === "DOP853" || method === "RK4";
}
