import assert from "node:assert/strict";
import { createMemoryHost } from "../../platform/memory.ts";
import { runLaunch } from "./module_runner.ts";

const LAUNCH = { program: "/bin/p", args: [], cwd: "/", env: {} };

Deno.test("runLaunch() kills a job that was told to stop while its process was being started", async () => {
  const { files, processes, clock } = createMemoryHost({
    programs: {
      "/bin/p": async ({ stdout }) => {
        await clock.sleep(60_000);
        await stdout("ended by itself");
        return 0;
      },
    },
  });
  const stop = new AbortController();
  const spawn: typeof processes.spawn = async (request) => {
    const child = await processes.spawn(request);
    stop.abort();
    return child;
  };
  const shown: string[] = [];
  const running = runLaunch({ files, processes: { ...processes, spawn } }, LAUNCH, "/output.json", {
    signal: stop.signal,
    show: (_stream, bytes) => Promise.resolve(void shown.push(new TextDecoder().decode(bytes))),
  });
  await clock.advance(60_000);
  const { exitCode } = await running;
  assert.deepEqual([exitCode, shown], [null, []]);
});
