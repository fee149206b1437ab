/** Row 32 of the fault matrix at random moments: a signal, or two, to a server at work and to a command line. */
import assert from "node:assert/strict";
import { seededRandom } from "../../src/platform/memory_clock.ts";
import { newSandbox, type Running, type Sandbox, type Server } from "../support/glassbox.ts";
import { listJobs } from "../support/jobs.ts";
import { demandRecovery, oneProgram } from "../support/matrix.ts";
import { makeGate } from "../support/processes.ts";
import { rigRun } from "../support/rig.ts";

const { seed: SEED, rounds: ROUNDS } = rigRun("matrix_stop", { short: 8, long: 50 });

const EXITS = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 } as const;
const SIGNALS = Object.keys(EXITS) as (keyof typeof EXITS)[];

/** More than a server can end before it is told to stop. */
const JOBS = 40;

const SHORT = "echo begun; sleep 0.3; echo done";

async function submit(
  server: Server,
  script = SHORT,
): Promise<{ status: number; id?: string; code?: string }> {
  const input = { program: "sh", args: ["-c", script] };
  const response = await fetch(`${server.url}/api/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ task: "exec", input }),
  });
  return { status: response.status, ...await response.json() };
}

/** How a watcher of a job that is still queued is told that the server stops. */
function watchUntilClosed(server: Server, id: string) {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws/${id}?afterLine=0&afterEvent=0`);
  let last: { type?: string; reason?: string } = {};
  socket.onmessage = ({ data }) => last = JSON.parse(data);
  const opened = new Promise<void>((resolve) => socket.onopen = () => resolve());
  const closed = new Promise<{ code: number; last: typeof last }>((resolve) => {
    socket.onclose = ({ code }) => resolve({ code, last });
  });
  return { opened, closed };
}

/** Submits until the server has ended; every refusal but a closed door must say why. Calls `onRefused` at the first. */
async function submitUntilClosed(
  server: Server,
  taken: string[],
  onRefused: () => Promise<void>,
): Promise<number> {
  let hasEnded = false;
  void server.ended.then(() => hasEnded = true);
  let refused = 0;
  while (!hasEnded) {
    // A connection that was kept for the next request may be closed just when that is sent.
    const answer = await submit(server).catch(() => pause(1));
    if (answer === undefined) continue;
    if (answer.status === 201) taken.push(answer.id!);
    else {
      assert.deepEqual([answer.status, answer.code], [503, "shutting_down"]);
      if (refused++ === 0) await onRefused();
    }
  }
  return refused;
}

/** At a random moment the process may have ended just before. */
function signalIfAlive(running: Pick<Running, "signal">, name: keyof typeof EXITS): void {
  try {
    running.signal(name);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

/** Each test draws from the start of the seed, so that it can be repeated alone. */
function picker(): (max: number) => number {
  const random = seededRandom(SEED);
  return (max) => Math.floor(random.bytes(1)[0]! / 256 * max);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

for (const program of oneProgram()) {
  const name = `(${program.name})`;

  for (const isTwice of [false, true]) {
    const signals = isTwice ? "two signals" : "one signal";
    Deno.test(`fault 32: ${signals} to serve ${name} at ${ROUNDS} random moments, each with the end that is promised (seed ${SEED})`, async () => {
      const pick = picker();
      let hurried = 0;
      for (let round = 0; round < ROUNDS; round++) {
        await using sandbox = await newSandbox(program);
        await using server = await sandbox.serve(["--workers", "2"]);
        const taken: string[] = [];
        // A server whose jobs all end just then is gone before anybody could be refused.
        const gate = isTwice ? null : await makeGate(sandbox.directory);
        if (gate !== null) taken.push((await submit(server, `read x < ${gate.path}`)).id!);
        while (taken.length < JOBS) taken.push((await submit(server)).id!);
        const watcher = watchUntilClosed(server, taken.at(-1)!);
        await watcher.opened;
        const submitting = submitUntilClosed(server, taken, async () => await gate?.open());
        const [first, second] = [SIGNALS[pick(3)]!, SIGNALS[pick(3)]!];
        await pause(pick(400));
        server.signal(first);
        if (isTwice) {
          await server.said(/no new jobs/);
          await pause(pick(60));
          signalIfAlive(server, second);
        }
        const what = `round ${round}: ${first}${isTwice ? ` and ${second}` : ""}, seed ${SEED}`;
        const ended = await server.ended;
        // A second one that comes when all that ran has ended finds nothing to hurry.
        const isHurried = isTwice && ended.code !== 0;
        assert.equal(ended.code, isHurried ? EXITS[second] : 0, `${what}\n${ended.err}`);
        if (isHurried) hurried++;
        const { code, last } = await watcher.closed;
        assert.deepEqual([code, last.type, last.reason], [1001, "end", "shutdown"], what);
        const refused = await submitting;
        if (!isTwice) assert.ok(refused > 0, `${what}: nobody was refused while jobs ended`);
        await demandStates(sandbox, taken, isHurried ? ["completed", "cancelled"] : ["completed"], what);
        await demandRecovery(sandbox);
      }
      assert.equal(hurried > 0, isTwice, `${hurried} rounds ended early, seed ${SEED}`);
    });
  }

  Deno.test(`fault 32: a signal to run ${name} at ${ROUNDS} random moments from its start on leaves nothing undecided (seed ${SEED})`, async () => {
    const pick = picker();
    for (let round = 0; round < ROUNDS; round++) {
      await using sandbox = await newSandbox(program);
      const running: Running = sandbox.start(["run", "--", "sh", "-c", "echo up; sleep 0.3; echo done"]);
      const signal = SIGNALS[pick(3)]!;
      await pause(pick(500));
      signalIfAlive(running, signal);
      const { code, err } = await running.ended;
      const what = `round ${round}: ${signal}, seed ${SEED}\n${err}`;
      assert.ok(code === EXITS[signal] || code === 0, `exit ${code}, ${what}`);
      const jobs = await listJobs(sandbox);
      assert.ok(jobs.length <= 1, what);
      // Before it listens to signals it submits nothing; one whose job has ended shows that.
      const ends = code === 0 ? ["completed"] : ["cancelled", "completed"];
      for (const { state } of jobs) assert.ok(ends.includes(state), `${state}, ${what}`);
      await demandRecovery(sandbox);
    }
  });
}

/** Every job that was acknowledged is there; what ran has ended, the others wait, and those are more. */
async function demandStates(sandbox: Sandbox, taken: string[], ends: string[], what: string): Promise<void> {
  const { stdout } = await sandbox.run(["jobs", "list", "--json", "--limit", "1000"]);
  const states = new Map<string, string>();
  for (const { id, state } of JSON.parse(new TextDecoder().decode(stdout))) states.set(id, state);
  for (const id of taken) {
    const state = states.get(id);
    assert.ok(state === "queued" || ends.includes(state!), `${what}: job ${id} is ${state}`);
  }
  assert.ok([...states.values()].filter((state) => state === "queued").length > JOBS / 4, what);
}
