import { analyse, analyseBasins } from "../run/analyse.ts";
import { type Setup, setUp, startsOf } from "../run/setup.ts";
import { type BlockProgress, solveBlock, type SolvedBlock, type Stop } from "../run/solve_block.ts";
import type { WorkerOrder, WorkerWord } from "./protocol.ts";

/** Between two words of progress. */
const PROGRESS_MS = 50;

let prepared: { readonly key: string; readonly setup: Setup } | null = null;

/** Does one order and says what comes of it; never throws. */
export function serveOrder(
  order: WorkerOrder,
  say: (word: WorkerWord, transfer?: Transferable[]) => void,
): void {
  const { id } = order;
  try {
    const setup = setupOf(order), stop = stopOf(order);
    switch (order.kind) {
      case "solve": {
        const tell = throttled();
        const progress = (progress: BlockProgress) => tell(() => say({ id, kind: "progress", progress }));
        const blocks = solveBlocks(order, setup, stop, progress);
        // One message for all: whoever hears it shares the processors with those that still solve.
        return say({ id, kind: "solved", blocks }, blocks.map(({ values }) => values.buffer as ArrayBuffer));
      }
      case "analyse": {
        const analysis = analyse(setup, order.went, stop, (what) => say({ id, kind: "analysing", what }));
        return say({ id, kind: "analysed", analysis });
      }
      case "basins":
        return say({ id, kind: "coloured", basins: analyseBasins(setup, order.analysis, stop) });
    }
  } catch (error) {
    say({ id, kind: "failed", message: error instanceof Error ? error.message : String(error) });
  }
}

/** Takes one block after the other until there are none. */
function solveBlocks(
  { bounds, next }: Extract<WorkerOrder, { kind: "solve" }>,
  setup: Setup,
  stop: Stop,
  progress: (progress: BlockProgress) => void,
): SolvedBlock[] {
  const taken = new Int32Array(next), blocks: SolvedBlock[] = [];
  let doneBefore = 0, stepsBefore = 0;
  for (;;) {
    const [from, to] = bounds[Atomics.add(taken, 0, 1)] ?? [0, 0];
    if (from === to) return blocks;
    const block = solveBlock(
      setup,
      from,
      to,
      stop,
      ({ done, steps, t }) => progress({ done: doneBefore + done, steps: stepsBefore + steps, t }),
    );
    doneBefore += to - from;
    stepsBefore += block.counts.steps + block.counts.rejected;
    blocks.push(block);
  }
}

/** Orders about one system come one after the other, each with its own initial conditions: it is compiled once. */
function setupOf(order: WorkerOrder): Setup {
  const { initial_conditions: given, ...request } = order.request;
  const key = JSON.stringify(request);
  if (prepared?.key !== key) prepared = { key, setup: setUp(request) };
  const { setup } = prepared;
  if (order.kind === "solve") return { ...setup, starts: rowsOf(order.starts, setup.system.dimension) };
  return given === undefined ? setup : { ...setup, request: order.request, starts: startsOf(given) };
}

function rowsOf(numbers: Float64Array, n: number): Float64Array[] {
  return Array.from({ length: numbers.length / n }, (_, k) => numbers.subarray(k * n, (k + 1) * n));
}

function stopOf({ budgetMs, cancelFlag }: WorkerOrder): Stop {
  const until = performance.now() + budgetMs;
  const flag = cancelFlag === undefined ? null : new Int32Array(cancelFlag);
  return () => {
    if (flag !== null && Atomics.load(flag, 0) !== 0) return "cancelled";
    return performance.now() > until ? "timeout" : null;
  };
}

function throttled(): (tell: () => void) => void {
  let last = 0;
  return (tell) => {
    const now = performance.now();
    if (now - last < PROGRESS_MS) return;
    last = now;
    tell();
  };
}
