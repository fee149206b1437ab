/** Row 28 of the fault matrix, cut by cut: the way from a libSQL server breaks within the answer to each kind of commit. */
import assert from "node:assert/strict";
import { isGlassboxError } from "../../src/core/errors.ts";
import type { Fence } from "../../src/store/transitions.ts";
import { startCuttingProxy } from "../support/cutting_proxy.ts";
import { rigRun } from "../support/rig.ts";
import { chunkOf, claimAny, COMPLETED, fenceOf, newJob, testDatabase } from "../support/store_fixture.ts";

/** Cuts of the answer to each of the five commits of a job. */
const { rounds: CUTS } = rigRun("matrix_answers", { short: 12, long: 200 });

/** What each commit's request holds. */
const STEPS = {
  submit: "INSERT INTO jobs",
  claim: "epoch = epoch + 1",
  start: "SET pid =",
  output: "INSERT INTO lines",
  end: "UPDATE jobs SET state = ?",
} as const;

/** An answer is some hundred bytes long: its status line, its fields, and a JSON text. */
const ANSWER_BYTES = 600;

/** The first bytes, where the status line ends, and then evenly up to the last, and beyond. */
function offsets(): number[] {
  const first = [0, 1, 9, 17];
  const count = CUTS - first.length;
  return [...first, ...Array.from({ length: count }, (_, index) => 20 + index * ANSWER_BYTES / count | 0)];
}

for (const [step, text] of Object.entries(STEPS)) {
  Deno.test(`fault 28: the answer to the ${step} of a job is cut at each of ${CUTS} bytes, and the job is had once`, async () => {
    await using db = await testDatabase("server");
    await using proxy = startCuttingProxy(db.options.url);
    const store = await db.open(undefined, { url: proxy.url });
    const direct = await db.open();
    for (const offset of offsets()) {
      proxy.cutAnswerAfter(text, offset);
      const job = newJob();
      const what = `${step} of ${job.id}, cut after ${offset} bytes`;
      assert.deepEqual(await store.jobs.submit(job), { id: job.id, created: true }, what);
      // As long as nobody says that the job is lost, its worker asks again.
      const fence = { ...await claimed(job.id), lost: new AbortController().signal };
      await store.jobs.recordStarted(fence, { pid: 1, startTicks: "1", program: "true" });
      await store.jobs.recordOutput(fence, {
        chunks: [chunkOf(1, ["one", "two"])],
        partials: { stdout: null },
      });
      await store.jobs.finish(fence, COMPLETED, { chunks: [chunkOf(3, ["three"])], partials: {} });
      const kinds = (await direct.jobs.events(job.id, 0, 10)).map(({ kind }) => kind);
      assert.deepEqual(kinds, ["submitted", "claimed", "started", "finished"], what);
      const { chunks, state } = await direct.lines.after(job.id, 0, 0, { chunks: 10, events: 0 });
      assert.equal(state, "completed", what);
      assert.deepEqual(chunks.map(({ firstSeq, lastSeq }) => [firstSeq, lastSeq]), [[1, 2], [3, 3]], what);
      assert.equal((await direct.jobs.get(job.id)).epoch, 1, what);
    }
    assert.ok(proxy.cuts >= CUTS / 2, `only ${proxy.cuts} of ${CUTS} answers were so long`);

    /** A worker whose claim was not answered looks at what it holds. */
    async function claimed(id: string): Promise<Fence> {
      try {
        return fenceOf((await store.jobs.claim("w", claimAny({ jobId: id })))!);
      } catch (error) {
        assert.ok(isGlassboxError(error, "storage_unreachable"), String(error));
        const held = await direct.jobs.get(id);
        if (held.owner === "w") return fenceOf(held);
        return fenceOf((await store.jobs.claim("w", claimAny({ jobId: id })))!);
      }
    }
  });
}
