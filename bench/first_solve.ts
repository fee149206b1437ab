/** Solves a case ten times in this new process and prints how long the first and the last time took. */
import { LORENZ, LOTKA_VOLTERRA, solve, VAN_DER_POL } from "./portraits.ts";
import type { Method } from "../src/tasks/phase_portrait/solve/methods.ts";

const [name, method] = Deno.args as [string, Method];
const starts = Array.from(
  { length: 1000 },
  (_, k) => [1 + (9 * (k % 40)) / 39, 1 + (4 * Math.floor(k / 40)) / 24],
);

function once(): number {
  const nothing = () => {};
  if (name === "orbit") return solve(LORENZ, [[1, 1, 1]], { method, rtol: 1e-9, atol: 1e-12 }, nothing);
  if (name === "starts") return solve(LOTKA_VOLTERRA, starts, { method, rtol: 1e-6, atol: 1e-9 }, nothing);
  return solve(VAN_DER_POL, [[2, 0]], { method, rtol: 1e-6, atol: 1e-9 }, nothing);
}

const times = Array.from({ length: 10 }, once);
console.log(JSON.stringify({ firstMs: times[0], warmMs: times.slice(5).sort((a, b) => a - b)[2] }));
