import { analyse, analyseBasins } from "../run/analyse.ts";
import { type Setup, setUp, withStartsOf } from "../run/setup.ts";
import { solveBlock, type Stop } from "../run/solve_block.ts";
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
    const setup = setupOf(order), stop = stopOf(order), tell = throttled();
    const progress = (done: number, message?: string) =>
      tell(() => say({ id, kind: "progress", done, ...(message === undefined ? {} : { message }) }));
    switch (order.kind) {
      case "solve": {
        const block = solveBlock(setup, order.from, order.to, stop, progress);
        return say({ id, kind: "solved", block }, [block.values.buffer as ArrayBuffer]);
      }
      case "analyse": {
        const analysis = analyse(
          setup,
          order.went,
          stop,
          (what) => say({ id, kind: "progress", done: 0, message: what }),
        );
        return say({ id, kind: "analysed", analysis });
      }
      case "basins":
        return say({ id, kind: "coloured", basins: analyseBasins(setup, order.analysis, stop) });
    }
  } catch (error) {
    say({ id, kind: "failed", message: error instanceof Error ? error.message : String(error) });
  }
}

/** Blocks of one request come one after the other, each with its own initial conditions: it is compiled once. */
function setupOf({ request }: WorkerOrder): Setup {
  const key = JSON.stringify({ ...request, initial_conditions: request.initial_conditions === undefined });
  if (prepared?.key !== key) prepared = { key, setup: setUp(request) };
  return withStartsOf(prepared.setup, request);
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
