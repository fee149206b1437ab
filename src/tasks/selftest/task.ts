import { z } from "zod";
import { defineTask, type TaskContext } from "../../core/task.ts";

/**
 * Walks every part of the road a task can use, so that an installation can be tried out: lines on both streams,
 * progress, an event, an artifact, a result, and on request each way in which a task can fail.
 */
export const selftest = defineTask({
  name: "selftest",
  summary: "Try out this installation: lines, progress, events, an artifact and a result",
  isolation: "child",
  kbase: { method: "Glassbox.selftest", authentication: "optional", parameters: ["object"] },
  input: z.lazy(() =>
    z.strictObject({
      steps: z.int().min(1).max(1000).default(3).describe("Lines and progress reports to give"),
      pauseMs: z.int().min(0).max(60_000).default(0).describe("Time between two steps"),
      ending: z
        .enum(["result", "throw", "bad-result", "no-result"])
        .default("result")
        .describe("How to end: well, by throwing, by a result that the schema refuses, or without one"),
    })
  ),
  output: z.lazy(() => z.strictObject({ steps: z.int(), cancelled: z.boolean() })),
  async run(context, { steps, pauseMs, ending }) {
    await context.event("began", { steps });
    for (let step = 1; step <= steps && !context.signal.aborted; step++) {
      await context.log(`step ${step} of ${steps}`, step % 2 === 1 ? "stdout" : "stderr");
      await context.progress(step / steps, `step ${step}`);
      await pause(context, pauseMs);
    }
    await context.artifact("selftest.json", `${JSON.stringify({ steps })}\n`);
    return end(ending, { steps, cancelled: context.signal.aborted });
  },
});

type Result = { steps: number; cancelled: boolean };

function end(ending: string, result: Result): Result {
  if (ending === "throw") throw new Error("The selftest was asked to throw");
  if (ending === "bad-result") return { steps: "many", surplus: true } as unknown as Result;
  if (ending === "no-result") return undefined as unknown as Result;
  return result;
}

function pause(context: TaskContext, ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (ms === 0 || context.signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      context.signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    context.signal.addEventListener("abort", done);
  });
}
