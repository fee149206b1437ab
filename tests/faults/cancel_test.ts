/**
 * Cancel: trees of processes of many shapes are cancelled over HTTP, by `jobs cancel` from another process, and by
 * Ctrl-C. Each process of a tree notes when it is asked to end, and all of them hold one FIFO open, which ends in the
 * moment when the last of them is gone: no figure depends on how often somebody looked.
 *
 * A tree costs some 0.2 s. GLASSBOX_CANCEL_ROUNDS sets their number; GLASSBOX_SEED repeats a run.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Attempt, Job } from "../../src/core/job.ts";
import { newSandbox, type Program, programs, type Sandbox, type Server } from "../support/glassbox.ts";
import {
  NOTE,
  type Note,
  spreadOf,
  spreadText,
  toNote,
  uptimeMs,
  wallToUptimeMs,
} from "../support/moments.ts";
import { eventually, pidsWith } from "../support/processes.ts";
import { randomOf, type SeededRandom } from "../support/random.ts";
import { lateMax, measuredAlone, rigRun } from "../support/rig.ts";

const RUN = rigRun("cancel", { short: 100, long: 1000 });
const { seed: SEED, rounds: TREES } = RUN;

/** From the cancel until the program sees TERM. */
const SIGNAL_MS = 200;
/** From the end of the grace period until nothing of the tree is left. */
const GONE_MS = 1_000;
/** Each of the three where five floods share the processors with all that is measured: nothing is starved. */
const CROWDED_MS = 5_000;
/** See `lateMax`: a stall of the machine is felt by all trees that are felled side by side then. */
const LATE_SHARE = 1 / 5;
/** Trees that live side by side. */
const AT_ONCE = 5;

interface Shape {
  readonly name: string;
  /** Begins with FIFO as $1; `hold NAME` is a process that notes TERM and stays, `leave NAME` one that then ends. */
  readonly script: string;
  /** Processes that say "up" before anybody cancels. */
  readonly ups: number;
  /** Those in the program's own group, which must be asked to end; the root alone when left out. */
  readonly group?: readonly string[];
  /** The root lives until it is killed, so the grace period is used up. */
  readonly deaf: boolean;
  /** What of its output is stored at most. */
  readonly outputBytesMax?: number;
}

const PRELUDE = `exec 9>"$1"; fifo=$1; ${NOTE}
wait_here() { while :; do sleep 1000 & wait; done; }
hold() { trap 'note term '$1 TERM; note up $1; wait_here; }
leave() { trap 'note term '$1'; exit 0' TERM; note up $1; wait_here; }
`;

/** A process apart that runs the prelude and then `$body`. */
const away = (body: string, redirect = "") =>
  `setsid sh -c "$PRELUDE"'${body}' tree "$fifo" 9>&- ${redirect} &`;

const SHAPES: readonly Shape[] = [
  { name: "one that leaves", script: "leave root", ups: 1, deaf: false },
  { name: "one that ignores TERM", script: "hold root", ups: 1, deaf: true },
  {
    name: "a child that leaves",
    script: "(leave child) & leave root",
    group: ["root", "child"],
    ups: 2,
    deaf: false,
  },
  {
    name: "a child that ignores TERM",
    script: "(hold child) & leave root",
    group: ["root", "child"],
    ups: 2,
    deaf: false,
  },
  {
    name: "three levels that ignore TERM",
    script: "( (hold third) & hold child ) & hold root",
    group: ["root", "child", "third"],
    ups: 3,
    deaf: true,
  },
  { name: "a setsid grandchild", script: `${away("hold away")} leave root`, ups: 2, deaf: false },
  {
    name: "a setsid grandchild of one that ignores TERM",
    script: `${away("hold away")} hold root`,
    ups: 2,
    deaf: true,
  },
  {
    name: "a setsid grandchild that holds no pipe",
    script: `${away("hold away", "</dev/null >/dev/null 2>&1 3>&-")} leave root`,
    ups: 2,
    deaf: false,
  },
  {
    name: "a double fork",
    script: `( ${away("( hold daemon ) & hold away")} ) & hold root`,
    ups: 3,
    deaf: true,
  },
  {
    name: "one that breeds sessions",
    script: `${away("note up breeder; while :; do setsid sleep 1000 & sleep 0.02; done")} leave root`,
    ups: 2,
    deaf: false,
  },
  {
    name: "a flood",
    // As fast as it can, until nothing more of it is stored: the pipe is then emptied all the same.
    script: "trap 'note term root; exit 0' TERM; note up root; while :; do seq 1000; done",
    ups: 1,
    deaf: false,
    outputBytesMax: 64 * 1024 * 1024,
  },
];

interface Tree {
  readonly shape: Shape;
  readonly graceMs: number;
  readonly program: string;
  readonly args: readonly string[];
  /** Resolves when all its processes are ready. */
  readonly ready: Promise<void>;
  /** Resolves, when nobody holds its FIFO any more, with that moment. */
  readonly gone: Promise<number>;
  readonly notes: readonly Note[];
}

async function plant(sandbox: Sandbox, shape: Shape, random: SeededRandom, number: number): Promise<Tree> {
  const fifo = join(sandbox.directory, `tree-${number}`);
  const { success } = await new Deno.Command("mkfifo", { args: [fifo] }).output();
  assert.ok(success);
  const ready = Promise.withResolvers<void>();
  const notes: Note[] = [];
  const read = async () => {
    let rest = "";
    using file = await Deno.open(fifo);
    for await (const text of file.readable.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      notes.push(...lines.map(toNote));
      if (notes.filter(({ words }) => words[0] === "up").length >= shape.ups) ready.resolve();
    }
    ready.reject(new Error(`${shape.name} ended before it was cancelled`));
    return uptimeMs();
  };
  const script = `PRELUDE='${PRELUDE.replaceAll("'", `'"'"'`)}'; export PRELUDE\n${PRELUDE}${shape.script}`;
  return {
    shape,
    // Long where it is used up, so that a tree that is given it twice is late.
    graceMs: shape.deaf ? random.int(12, 18) * 100 : random.int(2, 8) * 100,
    program: "sh",
    args: ["-c", script, "tree", fifo],
    ready: ready.promise,
    gone: read(),
    notes,
  };
}

type Way = "HTTP" | "jobs cancel" | "Ctrl-C";

/** How a tree came to its end. */
interface Felled {
  readonly tree: Tree;
  readonly job: string;
  readonly way: Way;
  readonly askedMs: number;
  readonly reason: string;
}

interface Shown {
  readonly job: Job;
  readonly attempts: readonly Attempt[];
}

async function overHttp(sandbox: Sandbox, server: Server, tree: Tree): Promise<Felled> {
  const job = await submit(server, sandbox, tree);
  await tree.ready;
  const reason = `felled ${job.slice(-6)}`;
  const askedMs = uptimeMs();
  const response = await fetch(`${server.url}/api/v1/jobs/${job}/cancel`, json({ reason }));
  assert.equal(response.status, 200, await response.text());
  return { tree, job, way: "HTTP", askedMs, reason };
}

async function byCommand(sandbox: Sandbox, server: Server, tree: Tree): Promise<Felled> {
  const job = await submit(server, sandbox, tree);
  await tree.ready;
  const { code, out, err } = await sandbox.run(["jobs", "cancel", job, "--reason", "by hand", "--json"]);
  assert.equal(code, 0, err);
  // That process took its time to start; what counts is when it asked.
  const askedMs = wallToUptimeMs((JSON.parse(out) as Job).cancel!.atMs);
  return { tree, job, way: "jobs cancel", askedMs, reason: "by hand" };
}

async function byInterrupt(sandbox: Sandbox, tree: Tree): Promise<Felled> {
  const { outputBytesMax } = tree.shape;
  const bound = outputBytesMax === undefined ? [] : ["--output-max", String(outputBytesMax)];
  const bounds = ["--grace", `${tree.graceMs}ms`, ...bound];
  const running = sandbox.start(["run", "--json", ...bounds, "--", tree.program, ...tree.args]);
  await tree.ready;
  const askedMs = uptimeMs();
  running.signal("SIGINT");
  const { code, out, err } = await running.ended;
  assert.equal(code, 130, err);
  return { tree, job: JSON.parse(out).job.id, way: "Ctrl-C", askedMs, reason: "SIGINT" };
}

function json(body: unknown): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

async function submit(server: Server, sandbox: Sandbox, tree: Tree): Promise<string> {
  const { program, args, graceMs, shape: { outputBytesMax } } = tree;
  const input = { program, args, cwd: sandbox.cwd };
  const request = {
    task: "exec",
    input,
    graceMs,
    ...(outputBytesMax === undefined ? {} : { outputBytesMax }),
  };
  const response = await fetch(`${server.url}/api/v1/jobs`, json(request));
  const document = await response.json();
  assert.equal(response.status, 201, JSON.stringify(document));
  return document.id;
}

/** Whatever outlives its job by so much is there to stay, on however busy a machine. */
const GIVE_UP_MS = 30_000;

async function inTime({ shape, gone, graceMs }: Tree): Promise<number> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const why = new Error(`${shape.name} is not gone ${GIVE_UP_MS} ms after its grace period, seed ${SEED}`);
    timer = setTimeout(() => reject(why), graceMs + GIVE_UP_MS);
  });
  return await Promise.race([gone, late]).finally(() => clearTimeout(timer));
}

/** The record says who asked and why, and the tree's own notes how long it took. */
async function measure(server: Server, felled: Felled) {
  const { tree, job, askedMs } = felled;
  const goneMs = await inTime(tree) - askedMs;
  // One that is kept from running until its grace period is over is killed before it could note that it was asked.
  const signals = (tree.shape.group ?? ["root"]).map((who) => {
    const term = tree.notes.find(({ words }) => words[0] === "term" && words[1] === who);
    return { who, ms: term === undefined ? Infinity : term.atMs - askedMs };
  });
  const unasked = signals.filter(({ ms }) => ms === Infinity).map(({ who }) =>
    `, ${who} was never asked to end`
  );
  const closed = await ended(server, job);
  assert.equal(closed.job.state, "cancelled", tree.shape.name);
  assert.equal(closed.job.cancel?.reason, felled.reason);
  assert.ok(closed.job.cancel!.actor.length > 0);
  assert.equal(closed.attempts.at(-1)?.outcome, "cancelled");
  const recordedMs = wallToUptimeMs(closed.job.finishedAtMs!) - askedMs;
  const graceMs = tree.shape.deaf || tree.shape.ups > 1 ? tree.graceMs : 0;
  return {
    what: `${tree.shape.name} by ${felled.way}, grace ${tree.graceMs} ms${unasked.join("")}`,
    shape: tree.shape,
    way: felled.way,
    signalMs: Math.max(...signals.map(({ ms }) => ms)),
    afterGraceMs: goneMs - graceMs,
    recordedMs: recordedMs - graceMs,
  };
}

/** Waits by watching, until the job is final. */
async function ended(server: Server, job: string): Promise<Shown> {
  const stream = await fetch(`${server.url}/api/v1/jobs/${job}/stream?after=L0.E0`);
  await stream.body?.pipeTo(new WritableStream());
  const response = await fetch(`${server.url}/api/v1/jobs/${job}`);
  const { attempts, ...rest } = await response.json();
  return { job: rest.job ?? rest, attempts };
}

type Figure = Awaited<ReturnType<typeof measure>>;

const WAYS: Readonly<Record<Way, (sandbox: Sandbox, server: Server, tree: Tree) => Promise<Felled>>> = {
  "HTTP": overHttp,
  "jobs cancel": byCommand,
  "Ctrl-C": (sandbox, _, tree) => byInterrupt(sandbox, tree),
};

const textOf = (figures: readonly Figure[]) =>
  JSON.stringify(figures.map(({ shape: _, way: __, ...figure }) => figure), null, 1);

/** Fells so many trees, some side by side, and fails for each that took too long. */
async function fell(
  program: Program,
  shapes: readonly Shape[],
  trees: number,
  { atOnce, signalMs, goneMs }: {
    readonly atOnce: number;
    readonly signalMs: number;
    readonly goneMs: number;
  },
): Promise<void> {
  await using sandbox = await newSandbox(program);
  const random = randomOf(SEED);
  await using server = await sandbox.serve(["--workers", "2"]);
  // Most trees are felled through the server while another process runs them.
  await using _worker = await sandbox.worker(["--concurrency", String(AT_ONCE)]);
  const figures: Figure[] = [];
  let planted = 0;
  const fellOne = async (shape: Shape, way: Way): Promise<Figure> => {
    const tree = await plant(sandbox, shape, random, planted++);
    return await measure(server, await WAYS[way](sandbox, server, tree));
  };
  const lane = async () => {
    while (planted < trees) {
      const shape = shapes[planted % shapes.length]!;
      const dice = random.int(1, 10);
      figures.push(await fellOne(shape, dice <= 6 ? "HTTP" : dice <= 8 ? "jobs cancel" : "Ctrl-C"));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));

  const signal = spreadText("cancel to TERM", spreadOf(figures.map(({ signalMs }) => signalMs)));
  const gone = spreadText("end of grace to tree gone", spreadOf(figures.map((one) => one.afterGraceMs)));
  const record = spreadText("end of grace to record", spreadOf(figures.map((one) => one.recordedMs)));
  console.log([signal, gone, record].map((line) => `  ${program.name}: ${line}`).join("\n"));
  const isLate = (one: Figure) =>
    one.signalMs > signalMs || one.afterGraceMs > goneMs || one.recordedMs > goneMs;
  const late = figures.filter(isLate);
  console.log(`  ${program.name}: ${late.length} of ${trees} late`);
  assert.ok(
    late.length <= lateMax(RUN, trees, LATE_SHARE),
    `cancel took too long, seed ${SEED}; ${signal}; ${gone}: ${textOf(late)}`,
  );
  const kinds = new Map(late.map((one) => [`${one.shape.name} ${one.way}`, one]));
  for (const { shape, way } of kinds.values()) {
    const again = await measuredAlone(() => fellOne(shape, way), isLate);
    assert.ok(!isLate(again), `cancel took too long again, also alone, seed ${SEED}: ${textOf([again])}`);
  }
  // Those that glassbox starts for itself beside a job may end a moment after it.
  await eventually(
    "nothing is left running but the server and the worker",
    () => pidsWith(`XDG_STATE_HOME=${sandbox.env.XDG_STATE_HOME}`).length === 2,
  );
  const verdict = await sandbox.run(["verify", "--quiet"]);
  assert.equal(verdict.code, 0, `verify found, seed ${SEED}: ${verdict.out}`);
}

const QUIET = SHAPES.filter(({ outputBytesMax }) => outputBytesMax === undefined);
const FLOODS = SHAPES.filter(({ outputBytesMax }) => outputBytesMax !== undefined);

for (const program of programs()) {
  Deno.test(`${TREES} trees of processes are cancelled in time (${program.name}, seed ${SEED})`, async () => {
    await fell(program, QUIET, TREES, { atOnce: AT_ONCE, signalMs: SIGNAL_MS, goneMs: GONE_MS });
  });

  const floods = Math.ceil(TREES / 4);
  Deno.test(`${floods} floods are cancelled in time, one by one (${program.name}, seed ${SEED})`, async () => {
    await fell(program, FLOODS, floods, { atOnce: 1, signalMs: SIGNAL_MS, goneMs: GONE_MS });
  });

  Deno.test(`${floods} floods side by side are cancelled in time (${program.name}, seed ${SEED})`, async () => {
    await fell(program, FLOODS, floods, { atOnce: AT_ONCE, signalMs: CROWDED_MS, goneMs: CROWDED_MS });
  });
}
