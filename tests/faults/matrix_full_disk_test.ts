/** Row 10 of the fault matrix, to the last line: what a job wrote while its disk filled up. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { jobAt, needsMount, recovers, smallDisk, stopped, submit } from "../support/faults.ts";
import { newSandbox, programs } from "../support/glassbox.ts";
import { showJob } from "../support/jobs.ts";
import { eventually } from "../support/processes.ts";

const LINE_END = `${"x".repeat(90)}\n`;

/** Writes numbered lines until it is asked to end, and then how many, to a file of its own. */
const COUNTING_WRITER = `
import os, signal, sys
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
lines = size = 0
while not asked:
    line = b"%d " % lines + b"x" * 90 + b"\\n"
    while line:
        line = line[os.write(1, line):]
    size += len(b"%d " % lines) + 91
    lines += 1
open(sys.argv[1], "w").write("%d %d" % (lines, size))
`;

for (const program of programs()) {
  const name = `(${program.name})`;

  Deno.test({
    ...needsMount(
      `fault 10: each line of a job under which the disk fills up is stored or counted as dropped ${name}`,
    ),
    async fn() {
      await using sandbox = await newSandbox(program);
      await using disk = await smallDisk(join(sandbox.directory, "disk"), "size=8m");
      const env = { GLASSBOX_DB: join(disk.path, "jobs.db") };
      await using server = await sandbox.serve([], { env });
      await eventually("there is a reserve", () => existsSync(`${env.GLASSBOX_DB}.run/reserve`));
      const record = join(sandbox.directory, "written");
      const { status, body } = await submit(server, ["python3", "-c", COUNTING_WRITER, record]);
      assert.equal(status, 201);
      const job = await eventually("it is failed", async () => {
        const job = await jobAt(server, body.id);
        return job.state === "failed" && job;
      });
      assert.equal(job.failure.code, "storage_full");
      await disk.remount("size=64m");
      const { attempts } = await showJob(sandbox, body.id, { env });
      const { lineCount, outputBytes, droppedLines, droppedBytes } = attempts[0]!.evidence!;
      const [writtenLines, writtenBytes] = (await readFile(record, "utf8")).split(" ").map(Number);
      assert.deepEqual([lineCount + droppedLines, outputBytes + droppedBytes], [writtenLines, writtenBytes]);
      assert.ok(lineCount > 0 && droppedLines > 0, `${lineCount} were stored, ${droppedLines} dropped`);
      const stored = (await sandbox.run(["jobs", "logs", "-q", "--raw", body.id], { env })).stdout;
      assert.equal(stored.length, outputBytes);
      const { out } = await sandbox.run(["jobs", "logs", "-q", body.id], { env });
      assert.equal(out, Array.from({ length: lineCount }, (_, index) => `${index} ${LINE_END}`).join(""));
      assert.equal(await stopped(server), 0);
      await recovers(sandbox, { env });
    },
  });
}
