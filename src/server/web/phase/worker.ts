import { findCycles } from "../../../tasks/phase_portrait/analyse/cycles.ts";
import { findEquilibria } from "../../../tasks/phase_portrait/analyse/equilibria.ts";
import { type Plane, zeroCurves } from "../../../tasks/phase_portrait/analyse/nullclines.ts";
import { findSeparatrices } from "../../../tasks/phase_portrait/analyse/separatrices.ts";
import type { View } from "../../../tasks/phase_portrait/analyse/view.ts";
import {
  type CompiledEquations,
  compileSystem,
  parseSystem,
} from "../../../tasks/phase_portrait/language/mod.ts";
import { csvOf } from "../../../tasks/phase_portrait/run/artifacts.ts";
import { metaOf, trajectoriesOf } from "../../../tasks/phase_portrait/run/document.ts";
import { allTimes, setUp } from "../../../tasks/phase_portrait/run/setup.ts";
import { solveBlock } from "../../../tasks/phase_portrait/run/solve_block.ts";
import type { Found, Order, Part, Problem, Word } from "./protocol.ts";
import { traceAll } from "./trace.ts";

/** The code of the page's solving workers. One order at a time; the page ends a worker whose answer it no longer wants. */

const scope = globalThis as unknown as {
  onmessage: ((event: { data: Order }) => void) | null;
  postMessage(word: Word, transfer?: Transferable[]): void;
};

/** A trajectory that takes longer is cut there and says so. */
const TRACE_MS = 4_000, FILE_MS = 60_000, CYCLES_MS = 6_000;
const DRAFT_CELLS = 100, CELLS = 200;

let prepared: { readonly key: string; readonly system: CompiledEquations } | null = null;

scope.onmessage = ({ data }) => {
  try {
    serve(data);
  } catch (error) {
    scope.postMessage({
      id: data.id,
      kind: "failed",
      message: error instanceof Error ? error.message : String(error),
    });
  }
};

function serve(order: Order): void {
  const { id } = order;
  switch (order.kind) {
    case "trace": {
      const { problem, pixels, draft, lengthMost } = order;
      const traced = traceAll(systemOf(problem), problem, {
        pixels,
        draft,
        lengthMost,
        stop: within(TRACE_MS),
      });
      const buffers = [traced.times.buffer, traced.states.buffer, traced.offsets.buffer];
      return scope.postMessage({ id, kind: "traced", traced }, buffers as ArrayBuffer[]);
    }
    case "look":
      return look(order);
    case "file":
      return scope.postMessage({ id, kind: "file", text: fileOf(order) });
  }
}

/** The rows of a request as a job of it leaves them. */
function fileOf({ request, format }: Extract<Order, { kind: "file" }>): string {
  const began = performance.now(), setup = setUp(request);
  const block = solveBlock(setup, 0, setup.starts.length, within(FILE_MS), () => {});
  if (format === "csv") return csvOf(setup, [block]);
  const meta = metaOf(setup, [block], performance.now() - began);
  const result = { times: [...allTimes(setup)], trajectories: trajectoriesOf(setup, [block]), meta };
  return JSON.stringify({ request, result });
}

function within(ms: number): () => "timeout" | null {
  const until = performance.now() + ms;
  return () => performance.now() > until ? "timeout" : null;
}

/** Sliders change parameters only: the equations are compiled once. */
function systemOf({ equations, parameters, independent }: Problem): CompiledEquations {
  const names = Object.keys(parameters), key = JSON.stringify([equations, names, independent]);
  if (prepared?.key !== key) {
    prepared = { key, system: compileSystem(parseSystem(equations, { parameters: names, independent })) };
  }
  const { system } = prepared;
  system.setParameters(Float64Array.from(system.parameters, (name) => parameters[name] ?? 0));
  return system;
}

function look({ id, problem, parts, draft }: Extract<Order, { kind: "look" }>): void {
  const system = systemOf(problem);
  let found: Partial<Found> = {};
  parts.forEach((part, index) => {
    const news = lookFor(part, system, problem, found, draft);
    found = { ...found, ...news };
    scope.postMessage({ id, kind: "found", found: news, isLast: index === parts.length - 1 });
  });
}

function lookFor(
  part: Part,
  system: CompiledEquations,
  problem: Problem,
  found: Partial<Found>,
  draft: boolean,
): Partial<Found> {
  const view: View = { low: Float64Array.from(problem.low), high: Float64Array.from(problem.high) };
  const t = problem.fieldTime, isPlanar = system.dimension === 2;
  switch (part) {
    case "nullclines":
      return { nullclines: isPlanar ? nullclinesOf(system, t, view, draft ? DRAFT_CELLS : CELLS) : [] };
    case "equilibria": {
      const { equilibria, more } = findEquilibria(system, t, view);
      return { equilibria, moreEquilibria: more };
    }
    case "separatrices":
      return {
        separatrices: isPlanar && system.autonomous
          ? findSeparatrices(system, t, view, found.equilibria ?? [])
          : [],
      };
    case "cycles":
      return { cycles: isPlanar && system.autonomous ? cyclesOf(system, problem, view) : [] };
  }
}

function nullclinesOf(system: CompiledEquations, t: number, view: View, cells: number): Found["nullclines"] {
  const plane: Pick<Plane, "low" | "high"> = {
    low: [view.low[0]!, view.low[1]!],
    high: [view.high[0]!, view.high[1]!],
  };
  const y = system.allocate(2), out = system.allocate(2);
  return [0, 1].map((index) => ({
    name: `${system.states[index]}'`,
    lines: zeroCurves(plane, (u, v) => {
      y[0] = u;
      y[1] = v;
      system.rhs(t, y, out);
      return out[index]!;
    }, cells),
  }));
}

function cyclesOf(
  system: CompiledEquations,
  { timespan: [t0, tEnd], starts }: Problem,
  view: View,
): Found["cycles"] {
  return findCycles(system, {
    view,
    span: Math.max(30, tEnd - t0),
    starts: starts.slice(0, 8).map((start) => Float64Array.from(start)),
    stop: within(CYCLES_MS),
  });
}
