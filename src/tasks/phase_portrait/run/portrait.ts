import type { Basins } from "../analyse/basins.ts";
import type { PortraitRequest } from "../request.ts";
import { SolverPool } from "../worker/pool.ts";
import type { Analysis } from "./analyse.ts";
import { type Setup, setUp } from "./setup.ts";
import type { SolvedBlock } from "./solve_block.ts";

/** A solved request. */
export interface Solved {
  readonly setup: Setup;
  readonly blocks: readonly SolvedBlock[];
  /** Null when it was cancelled or out of time before. */
  readonly analysis: Analysis | null;
  /** Of the solving alone. */
  readonly wallMs: number;
}

/** How it goes on. */
export interface PortraitProgress {
  /** Initial conditions done, with the parts of those that are being solved. */
  readonly done: number;
  readonly total: number;
  readonly message: string;
}

export interface PortraitOptions {
  readonly signal: AbortSignal;
  readonly budgetMs: number;
  readonly onProgress: (progress: PortraitProgress) => void;
  /** Default: as many as the machine has cores, at most 8. */
  readonly threads?: number;
}

/** The fewest initial conditions that a thread is sent, as each message costs as much as solving a few. */
const BLOCK_LEAST = 16;
/** The most, so that progress is told and a cancelled job's rows are not all in one place. */
const BLOCK_MOST = 250;
const THREADS_MAX = 8;
/** The analysis gets at least this long, also when the solving took nearly all of the time. */
const ANALYSIS_MS = 30_000;

/** Solves and analyses a request on threads of its own; the calling thread stays free. */
export async function makePortrait(request: PortraitRequest, options: PortraitOptions): Promise<Solved> {
  const setup = setUp(request), total = setup.starts.length;
  const threads = options.threads ?? Math.min(THREADS_MAX, navigator.hardwareConcurrency || 1);
  const pool = new SolverPool(Math.max(1, Math.min(threads, Math.ceil(total / BLOCK_LEAST))));
  const cancel = () => pool.cancel();
  options.signal.addEventListener("abort", cancel);
  if (options.signal.aborted) cancel();
  try {
    const began = performance.now();
    const left = () => Math.max(0, options.budgetMs - (performance.now() - began));
    const solved = await solveAll(pool, request, total, left, options.onProgress);
    const wallMs = performance.now() - began;
    const analysis = options.signal.aborted
      ? null
      : await analyseAll(pool, request, solved, Math.min(ANALYSIS_MS, left()), total, options.onProgress);
    return { setup, blocks: solved, analysis, wallMs };
  } finally {
    options.signal.removeEventListener("abort", cancel);
    pool.close();
  }
}

/** Solves all initial conditions in blocks, on whichever threads of the pool are free; the blocks come in their order. */
export async function solveAll(
  pool: SolverPool,
  request: PortraitRequest,
  total: number,
  left: () => number,
  onProgress: PortraitOptions["onProgress"],
): Promise<SolvedBlock[]> {
  const bounds = blockBounds(total, pool.size), done = new Float64Array(bounds.length);
  const solving = bounds.map(async ([from, to], index) => {
    const report = (part: number) => {
      done[index] = part;
      onProgress({ done: done.reduce((sum, value) => sum + value, 0), total, message: "solving" });
    };
    const block = await solvedBlock(pool, request, from, to, left, report);
    report(to - from);
    return block;
  });
  return await Promise.all(solving);
}

/**
 * Where blocks begin and end: large ones first, then smaller and smaller ones, so that few messages are sent and
 * all threads still end together when some are slower (guided self-scheduling).
 */
export function blockBounds(total: number, threads: number): [from: number, to: number][] {
  const bounds: [number, number][] = [];
  for (let from = 0; from < total;) {
    const share = Math.ceil((total - from) / (2 * threads));
    const to = Math.min(total, from + Math.min(BLOCK_MOST, Math.max(BLOCK_LEAST, share)));
    bounds.push([from, to]);
    from = to;
  }
  return bounds;
}

/** A thread is sent its own initial conditions only. */
async function solvedBlock(
  pool: SolverPool,
  request: PortraitRequest,
  from: number,
  to: number,
  left: () => number,
  report: (done: number) => void,
): Promise<SolvedBlock> {
  const rows = request.initial_conditions?.slice(from, to);
  const part = rows === undefined ? request : { ...request, initial_conditions: rows };
  const order = { kind: "solve", request: part, from: 0, to: to - from } as const;
  const answer = await pool.run(() => ({ ...order, budgetMs: left() }), report);
  if (answer.kind !== "solved") throw new Error("The solver answered another question");
  return { ...answer.block, from };
}

async function analyseAll(
  pool: SolverPool,
  request: PortraitRequest,
  blocks: readonly SolvedBlock[],
  budgetMs: number,
  total: number,
  onProgress: PortraitOptions["onProgress"],
): Promise<Analysis> {
  const n = blocks[0]!.low.length;
  const low = new Float64Array(n).fill(Infinity), high = new Float64Array(n).fill(-Infinity);
  for (const block of blocks) {
    for (let i = 0; i < n; i++) {
      low[i] = Math.min(low[i]!, block.low[i]!);
      high[i] = Math.max(high[i]!, block.high[i]!);
    }
  }
  const report = (_done: number, message = "analysing") => onProgress({ done: total, total, message });
  const answer = await pool.run(() => ({ kind: "analyse", request, went: { low, high }, budgetMs }), report);
  if (answer.kind !== "analysed") throw new Error("The solver answered another question");
  const { analysis } = answer;
  if (request.analysis.basins === undefined) return analysis;
  report(0, "basins");
  const coloured = await pool.run(() => ({ kind: "basins", request, analysis, budgetMs }), report);
  return { ...analysis, basins: (coloured as { basins: Basins | null }).basins };
}
