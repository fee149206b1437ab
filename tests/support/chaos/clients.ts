/** Those who use glassbox while everything goes wrong, and write down what they were told. */
import { createHash } from "node:crypto";
import { isFinal, type JobState } from "../../../src/core/job.ts";
import type { Told } from "../../../src/verify/history.ts";
import type { Running } from "../glassbox.ts";
import type { SeededRandom } from "../random.ts";
import { NOTE, type Note } from "../moments.ts";
import { effectsPath, pause, peacePath, pulsesPath } from "./nemesis.ts";
import type { World } from "./world.ts";

/** Programs of every kind that makes trouble. The effect is an appended line, which the kernel writes whole. */
const KINDS: Readonly<Record<string, string>> = {
  fast: "echo hello; echo bye >&2",
  slow: "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo step $i; sleep 0.25; done",
  flood: "seq 1 20000",
  fails: "echo failing >&2; exit 3",
  deaf: 'trap "" TERM; echo deaf; sleep 1; sleep 1; sleep 1; sleep 1',
  apart: "setsid sleep 1000 & echo apart; sleep 2",
};

/** What one request asks for; the same number always asks for the same. */
function requestOf(world: World, random: SeededRandom) {
  const kind = random.pick(Object.keys(KINDS));
  const attempts = random.pick([1, 1, 2, 3]);
  const script = `echo "$GLASSBOX_JOB_ID $GLASSBOX_EPOCH" >> "$0"; ${KINDS[kind]}`;
  const args = ["-c", script, effectsPath(world)];
  return { program: "sh", args, attempts, graceMs: 300, backoffMs: random.pick([0, 200]), timeoutMs: 8_000 };
}

type Request = ReturnType<typeof requestOf>;

/** All that clients know together. */
export class Memory {
  readonly told: Told[] = [];
  readonly jobs: string[] = [];
  /** Requests by key: those with an answer, and those without, which are asked again. */
  readonly requests = new Map<string, Request>();
  readonly anomalies: string[] = [];
  answers = 0;

  submitted(job: string, key: string | null): void {
    this.told.push({ kind: "submitted", job, ...(key === null ? {} : { key }) });
    this.jobs.push(job);
  }

  seen(job: string, state: JobState): void {
    if (isFinal(state)) this.told.push({ kind: "ended", job, state });
  }
}

/** Submits, asks again, cancels, retries and reads over HTTP, until `until`. */
export async function httpClient(
  name: string,
  world: World,
  memory: Memory,
  random: SeededRandom,
  until: AbortSignal,
): Promise<void> {
  for (let count = 0; !until.aborted; count++) {
    await pause(random.int(20, 200), until);
    const urls = world.actors.flatMap(({ url }) => url ?? []);
    if (urls.length === 0) continue;
    const url = random.pick(urls);
    try {
      await act(url, `${name}-${count}`, world, memory, random);
    } catch (error) {
      // Nobody answered, or too late: what became of it is asked again, or found at the end.
      if (!(error instanceof TypeError || error instanceof DOMException || error instanceof SyntaxError)) {
        throw error;
      }
    }
  }
}

async function act(
  url: string,
  key: string,
  world: World,
  memory: Memory,
  random: SeededRandom,
): Promise<void> {
  const chance = random.next();
  const job = memory.jobs.length === 0 ? null : random.pick(memory.jobs);
  if (job === null || chance < 0.27) return await submit(url, key, requestOf(world, random), memory);
  if (chance < 0.35) {
    const [older, request] = random.pick([...memory.requests]);
    return await submit(url, older, request, memory);
  }
  if (chance < 0.5) return await cancel(url, job, memory);
  if (chance < 0.55) return await retry(url, job, memory);
  if (chance < 0.8) return await look(url, job, memory);
  await readLines(url, job, memory);
}

async function submit(url: string, key: string, request: Request, memory: Memory): Promise<void> {
  memory.requests.set(key, request);
  const { program, args, attempts, graceMs, backoffMs, timeoutMs } = request;
  const body = {
    task: "exec",
    input: { program, args },
    key,
    maxAttempts: attempts,
    graceMs,
    backoffMs,
    timeoutMs,
  };
  const { status, document } = await ask(memory, `${url}/api/v1/jobs`, body);
  if (status === 201 || status === 200) memory.submitted(document.id, key);
}

async function cancel(url: string, job: string, memory: Memory): Promise<void> {
  const { status, document } = await ask(memory, `${url}/api/v1/jobs/${job}/cancel`, { reason: "chaos" });
  if (status === 200) memory.seen(job, document.state);
}

async function retry(url: string, job: string, memory: Memory): Promise<void> {
  const { status, document } = await ask(memory, `${url}/api/v1/jobs/${job}/retry`, {});
  if (status === 201) memory.submitted(document.id, null);
}

async function look(url: string, job: string, memory: Memory): Promise<void> {
  const { status, document } = await ask(memory, `${url}/api/v1/jobs/${job}`);
  if (status === 200) memory.seen(job, document.state);
}

interface ShownLine {
  readonly seq: number;
  readonly text: string;
  readonly base64?: string;
}

async function readLines(url: string, job: string, memory: Memory): Promise<void> {
  const { status, document } = await ask(memory, `${url}/api/v1/jobs/${job}/logs?limit=20`);
  if (status !== 200) return;
  for (const { seq, text } of document.lines as ShownLine[]) {
    memory.told.push({ kind: "line", job, seq, sha256: sha256(new TextEncoder().encode(text)) });
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A 404 for a job that was acknowledged, and a 500 with a bug behind it, are anomalies whatever goes wrong around. */
async function ask(memory: Memory, url: string, body?: unknown) {
  const signal = AbortSignal.timeout(3_000);
  const headers = { "content-type": "application/json" };
  const response = body === undefined
    ? await fetch(url, { signal })
    : await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal });
  // deno-lint-ignore no-explicit-any
  const document = await response.json() as any;
  memory.answers++;
  if (response.status === 404 || document.code === "internal") {
    memory.anomalies.push(`${url} answered ${response.status}: ${JSON.stringify(document)}`);
  }
  return { status: response.status, document };
}

/**
 * Says that it is alive five times a second, and who runs it, until all works again: longer than a lease, and without
 * a word to glassbox, so that nothing but its owner's own conscience ends it where the network is gone.
 */
const SENTINEL = `exec 9>>"$1"; ${NOTE}
i=0; while [ $i -lt 100 ] && [ ! -e "$2" ]; do note $GLASSBOX_JOB_ID $GLASSBOX_EPOCH $PPID; sleep 0.2; i=$((i + 1)); done`;

/** Keeps some sentinels running. */
export async function postSentinels(
  world: World,
  memory: Memory,
  random: SeededRandom,
  until: AbortSignal,
): Promise<void> {
  for (let count = 0; !until.aborted; count++) {
    const urls = world.actors.flatMap(({ url }) => url ?? []);
    const args = ["-c", SENTINEL, "sentinel", pulsesPath(world), peacePath(world)];
    const limits = { attempts: 5, graceMs: 300, backoffMs: 0, timeoutMs: 60_000 };
    const request = { program: "sh", args, ...limits };
    // One who gets no answer is simply not told of.
    if (urls.length > 0) {
      await submit(random.pick(urls), `sentinel-${count}`, request, memory).catch(() => undefined);
    }
    await pause(4_000, until);
  }
}

/** Pulses of one attempt that came after the next attempt had begun, where nothing excuses it. */
export function overlaps(notes: readonly Note[], excused: ReadonlySet<number>): string[] {
  const attempts = new Map<string, { first: number; last: number; owner: number }>();
  for (const { atMs, words: [job, epoch, owner] } of notes) {
    const before = attempts.get(`${job} ${epoch}`);
    attempts.set(`${job} ${epoch}`, { first: before?.first ?? atMs, last: atMs, owner: Number(owner) });
  }
  return [...attempts].flatMap(([id, { last, owner }]) => {
    const [job, epoch] = id.split(" ");
    const next = attempts.get(`${job} ${Number(epoch) + 1}`);
    if (next === undefined || last <= next.first || excused.has(owner)) return [];
    return `attempt ${epoch} of job ${job} ran ${last - next.first} ms beside the next`;
  });
}

/** Starts one command line after the other, some of which are killed. */
export async function commandClient(
  world: World,
  memory: Memory,
  random: SeededRandom,
  until: AbortSignal,
): Promise<void> {
  for (let count = 0; !until.aborted; count++) {
    const { program, args, attempts, graceMs, backoffMs, timeoutMs } = requestOf(world, random);
    const key = `command-${count}`;
    const limits = ["--attempts", `${attempts}`, "--grace", `${graceMs}ms`, "--backoff", `${backoffMs}ms`];
    const words = [
      "run",
      "--json",
      "--key",
      key,
      ...limits,
      "--timeout",
      `${timeoutMs}ms`,
      "--",
      program,
      ...args,
    ];
    const machine = random.pick(world.machines);
    const running = world.sandbox.with(world.anyProgram(random)).start(words, { env: machine.env });
    const doom = random.pick(["none", "none", "SIGKILL", "SIGINT"] as const);
    const over = new AbortController();
    const ended = running.ended.finally(() => over.abort());
    if (doom !== "none") {
      await pause(random.int(50, 3_000), over.signal);
      if (!over.signal.aborted) signalIfAlive(running, doom);
    }
    const { code, signal, out, err } = await ended;
    if (code === 70) memory.anomalies.push(`a command line ended with 70: ${err.slice(-600)}`);
    if (signal === null && out.trim() !== "") tellCommand(memory, out, key);
    await pause(random.int(100, 800), until);
  }
}

/** It may have ended by itself a moment ago. */
function signalIfAlive(running: Running, name: Deno.Signal): void {
  try {
    running.signal(name);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

function tellCommand(memory: Memory, out: string, key: string): void {
  const { job } = JSON.parse(out);
  memory.submitted(job.id, key);
  memory.seen(job.id, job.state);
}
