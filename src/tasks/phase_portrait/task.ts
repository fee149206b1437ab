import { z } from "zod";
import { defineTask, type TaskContext, TaskFailure } from "../../core/task.ts";
import { checkedPortraitRequest } from "./faults.ts";
import type { PortraitRequest } from "./request.ts";
import { binaryOf, csvOf } from "./run/artifacts.ts";
import { analysisDocument, metaOf, succeeded, trajectoriesOf } from "./run/document.ts";
import { SOLVING_SHARE } from "./limits.ts";
import { pictureOf } from "./run/picture.ts";
import { makePortrait, type PortraitProgress, type Solved } from "./run/portrait.ts";
import { allTimes, valueCount } from "./run/setup.ts";

/** Solving takes at most this long; a job's own deadline may be shorter. */
const BUDGET_MS = 300_000;
/** Above so many numbers the rows are left out of the result, which must fit into its row; artifacts hold them. */
const RESULT_VALUES_MAX = 250_000;
const JSON_VALUES_MAX = 5_000_000;
/** So many equilibria are told as lines of output; all are in the result. */
const TOLD_MAX = 20;

const finite = z.number();

/** A phase portrait: trajectories of typed equations, and what the plane looks like. */
export const phasePortrait = defineTask({
  name: "phase-portrait",
  summary: "Solve a system of differential equations and draw its phase portrait",
  isolation: "child",
  input: z.lazy(() => checkedPortraitRequest),
  output: z.lazy(() =>
    z.looseObject({
      times: z.array(finite),
      trajectories: z.array(z.array(z.array(finite))).nullable()
        .describe("[initial condition][row][state]; null when too long for a row: see results.json"),
      meta: z.looseObject({}),
      analysis: z.looseObject({}).nullable(),
    })
  ),
  async run(context, input) {
    const request = input as PortraitRequest;
    const solved = await makePortrait(request, {
      signal: context.signal,
      budgetMs: BUDGET_MS,
      onProgress: progressTo(context),
    });
    const result = resultOf(solved);
    await leaveArtifacts(context, solved, result);
    await tell(context, solved, result.meta);
    const starts = solved.blocks.flatMap((block) => block.starts);
    if (!starts.some(succeeded)) throw allStopped(result.meta);
    return result;
  },
});

/** Ten words a second, and after half a minute two, as a job keeps a bounded number of them. */
function progressTo(context: TaskContext): (progress: PortraitProgress) => void {
  const began = performance.now();
  let last = -Infinity, lastMessage = "";
  return ({ message, ...counts }) => {
    const now = performance.now(), pause = now - began < 30_000 ? 100 : 500;
    if (now - last < pause && message === lastMessage) return;
    [last, lastMessage] = [now, message];
    const { done, total } = counts;
    const fraction = message === "solving" ? (SOLVING_SHARE * done) / total : (1 + SOLVING_SHARE) / 2;
    void context.progress(Math.min(1, Math.max(0, fraction)), message, counts);
  };
}

function resultOf(solved: Solved) {
  const { setup, blocks, analysis } = solved;
  const fits = valueCount(setup) <= RESULT_VALUES_MAX;
  return {
    times: [...allTimes(setup)],
    trajectories: fits ? trajectoriesOf(setup, blocks) : null,
    meta: metaOf(setup, blocks, solved.wallMs),
    analysis: analysis === null ? null : analysisDocument(setup, analysis),
  };
}

type Result = ReturnType<typeof resultOf>;

async function leaveArtifacts(context: TaskContext, solved: Solved, result: Result): Promise<void> {
  const { setup, blocks, analysis } = solved;
  await context.artifact("request.json", `${JSON.stringify(setup.request, null, 2)}\n`);
  const fits = valueCount(setup) <= JSON_VALUES_MAX;
  const trajectories = result.trajectories ?? (fits ? trajectoriesOf(setup, blocks) : null);
  await context.artifact("results.json", `${JSON.stringify({ ...result, trajectories })}\n`);
  if (fits) await context.artifact("trajectories.csv", csvOf(setup, blocks));
  await context.artifact("trajectories.bin", binaryOf(setup, blocks));
  // Drawing cannot be interrupted, and nobody waits for the picture of a cancelled job.
  if (analysis === null || context.signal.aborted) return;
  const [{ svgOf }, { pngOf }, { loadGlyphs }] = await Promise.all([
    import("./draw/svg.ts"),
    import("./draw/png.ts"),
    import("./draw/glyphs.ts"),
  ]);
  const picture = pictureOf(setup, blocks, analysis);
  await context.artifact("portrait.svg", svgOf(picture));
  await context.artifact("portrait.png", await pngOf(picture, loadGlyphs()));
}

/** What a person wants to know, in a few lines. */
async function tell(
  context: TaskContext,
  { blocks, analysis, wallMs }: Solved,
  meta: Result["meta"],
): Promise<void> {
  const { steps, rejected, rhs_evals: evaluations } = meta.stats;
  const starts = blocks.flatMap((block) => block.starts), count = starts.length;
  await context.log(
    `Solved ${count} initial condition${count === 1 ? "" : "s"} with ${meta.method_used} in ${
      wallMs.toFixed(0)
    } ms: ` +
      `${steps} steps, ${rejected} rejected, ${evaluations} evaluations`,
  );
  for (const warning of meta.warnings) await context.log(warning, "stderr");
  if (analysis === null) return;
  const { equilibria } = analysis;
  for (const { point, type } of equilibria.slice(0, TOLD_MAX)) {
    await context.log(`Equilibrium (${[...point].map(short).join(", ")}): ${type}`);
  }
  if (equilibria.length > TOLD_MAX) {
    await context.log(`… and ${equilibria.length - TOLD_MAX} more equilibria`);
  }
  for (const { stability, period } of analysis.cycles) {
    await context.log(`Limit cycle, ${stability}, period ${short(period)}`);
  }
  for (const note of analysis.notes) await context.log(note);
}

function short(value: number): string {
  return String(Number(value.toPrecision(7)));
}

/** A trajectory that stops early would do so again, and where it does is what people want to know. */
function allStopped(meta: Result["meta"]): TaskFailure {
  const { ic_status: statuses, method_used: backend } = meta, [first] = statuses;
  const { status, t_stop: tStop, message } = first!;
  const rest = statuses.length === 1
    ? ""
    : `, and so did the other ${statuses.length - 1} initial conditions`;
  return new TaskFailure(
    `The trajectory stopped early: ${status} at t = ${tStop}${rest}. ${message}. What was solved is in results.json`,
    { solver_message: message, backend, status, t_stop: tStop, ic_status: statuses.slice(0, 100) },
  );
}
