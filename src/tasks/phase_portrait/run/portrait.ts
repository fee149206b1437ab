import type { Basins } from "../analyse/basins.ts";
import type { PortraitRequest } from "../request.ts";
import { type Report, SolverPool } from "../worker/pool.ts";
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
  /** Steps tried so far, of all trajectories. */
  readonly steps: number;
  /** Where the trajectory is that was heard of last. */
  readonly t: number;
  readonly message: string;
}

export interface PortraitOptions {
  readonly signal: AbortSignal;
  readonly budgetMs: number;
  readonly onProgress: (progress: PortraitProgress) => void;
  /** Default: as many as the machine has cores, at most 8. */
  readonly threads?: number;
}

/** A thread of its own is worth its start from so many initial conditions on. */
const STARTS_PER_THREAD = 16;
/** The fewest of a block: a thread that takes the last one keeps the others waiting for so long. */
const BLOCK_LEAST = 4;
/** The most, so that progress is told and a cancelled job's rows are not all in one place. */
const BLOCK_MOST = 250;
const THREADS_MAX = 8;
/** The analysis gets at least this long, also when the solving took nearly all of the time. */
const ANALYSIS_MS = 30_000;

/** Solves and analyses a request on threads of its own; the calling thread stays free. */
export async function makePortrait(request: PortraitRequest, options: PortraitOptions): Promise<Solved> {
  const setup = setUp(request), total = setup.starts.length;
  const threads = options.threads ?? Math.min(THREADS_MAX, navigator.hardwareConcurrency || 1);
  const pool = new SolverPool(Math.max(1, Math.min(threads, Math.ceil(total / STARTS_PER_THREAD))));
  const cancel = () => pool.cancel();
  options.signal.addEventListener("abort", cancel);
  if (options.signal.aborted) cancel();
  try {
    const began = performance.now();
    const solved = await solveAll(pool, request, setup.starts, options);
    const wallMs = performance.now() - began, left = Math.max(0, options.budgetMs - wallMs);
    const analysis = options.signal.aborted ? null : await analyseAll(
      pool,
      request,
      solved,
      Math.min(ANALYSIS_MS, left),
      request.timespan[1],
      options.onProgress,
    );
    return { setup, blocks: solved, analysis, wallMs };
  } finally {
    options.signal.removeEventListener("abort", cancel);
    pool.close();
  }
}

/** Solves all initial conditions in blocks, which the threads of the pool take one by one; the blocks come in their order. */
export async function solveAll(
  pool: SolverPool,
  { initial_conditions: _, ...request }: PortraitRequest,
  starts: readonly (readonly number[] | Float64Array)[],
  { budgetMs, onProgress }: Pick<PortraitOptions, "budgetMs" | "onProgress">,
): Promise<SolvedBlock[]> {
  const bounds = blockBounds(starts.length, pool.size);
  const order = { kind: "solve", request, budgetMs, starts: sharedRows(starts), bounds } as const;
  const next = new SharedArrayBuffer(4);
  const threads = Array.from(
    { length: Math.min(pool.size, bounds.length) },
    () => ({ done: 0, steps: 0, t: 0 }),
  );
  const sum = (name: "done" | "steps") => threads.reduce((sum, thread) => sum + thread[name], 0);
  const solving = threads.map(async (thread) => {
    const answer = await pool.run({ ...order, next }, (report) => {
      if (report.kind !== "progress") return;
      Object.assign(thread, report.progress);
      const { t } = thread, total = starts.length;
      onProgress({ done: sum("done"), steps: sum("steps"), t, total, message: "solving" });
    });
    if (answer.kind !== "solved") throw new Error("The solver answered another question");
    return answer.blocks;
  });
  return (await Promise.all(solving)).flat().sort((one, other) => one.from - other.from);
}

/** In memory that all threads read: a message with rows would be copied for each. */
function sharedRows(rows: readonly (readonly number[] | Float64Array)[]): Float64Array<SharedArrayBuffer> {
  const n = rows[0]!.length;
  const numbers = new Float64Array(new SharedArrayBuffer(rows.length * n * Float64Array.BYTES_PER_ELEMENT));
  rows.forEach((row, index) => numbers.set(row, index * n));
  return numbers;
}

/**
 * Where blocks begin and end: large ones first, then smaller and smaller ones, so that few messages are sent and
 * all threads still end together when some are slower (guided self-scheduling).
 */
function blockBounds(total: number, threads: number): [from: number, to: number][] {
  const bounds: [number, number][] = [];
  for (let from = 0; from < total;) {
    const share = Math.ceil((total - from) / (2 * threads));
    const to = Math.min(total, from + Math.min(BLOCK_MOST, Math.max(BLOCK_LEAST, share)));
    bounds.push([from, to]);
    from = to;
  }
  return bounds;
}

async function analyseAll(
  pool: SolverPool,
  request: PortraitRequest,
  blocks: readonly SolvedBlock[],
  budgetMs: number,
  t: number,
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
  const total = blocks.reduce((sum, block) => sum + block.starts.length, 0);
  const steps = blocks.reduce((sum, { counts }) => sum + counts.steps + counts.rejected, 0);
  const tell = (message: string) => onProgress({ done: total, total, steps, t, message });
  const hear = (report: Report) => void (report.kind === "analysing" && tell(report.what));
  const answer = await pool.run({ kind: "analyse", request, went: { low, high }, budgetMs }, hear);
  if (answer.kind !== "analysed") throw new Error("The solver answered another question");
  const { analysis } = answer;
  if (request.analysis.basins === undefined) return analysis;
  tell("basins");
  const coloured = await pool.run({ kind: "basins", request, analysis, budgetMs }, hear);
  return { ...analysis, basins: (coloured as { basins: Basins | null }).basins };
}
