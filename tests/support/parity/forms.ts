/** The ways to launch a job that must all come to the same record. */
import { existsSync } from "node:fs";
import { copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import {
  type Program,
  programs,
  type Running,
  type Sandbox,
  type Server,
  type StartOptions,
} from "../glassbox.ts";
import { type Line, watchJob } from "../watch_job.ts";
import { type ParityJob, REASON } from "./job.ts";
import { commandLine, type Order, requestOf } from "./request.ts";

/** What whoever launched a job was shown of it. */
export interface Shown {
  readonly jobId: string;
  /** Of the command line that showed it; null over HTTP. */
  readonly exit: number | null;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** The digest it was shown, if any. */
  readonly digest: string | null;
}

/** How a form is broken on purpose, to see that the suite notices. */
export const BREAKS = ["environment", "database", "priority"] as const;
export type Break = (typeof BREAKS)[number];

export interface Form {
  readonly name: string;
  /** What kind of worker has to run its jobs. */
  readonly launch: "run" | "serve" | "worker";
  /** Starts what takes the jobs, when that is not the launching command line itself. */
  open(): Promise<void>;
  close(): Promise<void>;
  run(order: Order): Promise<Shown>;
  artifact(jobId: string, name: string): Promise<Uint8Array>;
}

/** What forms share: one database, and the id of a job by its key. */
export interface Ground {
  /** For looking at jobs and steering them. */
  readonly sandbox: Sandbox;
  jobOfKey(key: string): Promise<string>;
  /** How the form of that name is to be broken, if it is. */
  breakOf(form: string): Break | null;
}

/**
 * All forms of the programs under test, in rounds. The forms of a round may be open at the same time: at most one
 * of them has a worker that takes any job.
 */
export function parityForms(ground: Ground): Form[][] {
  const runs: Form[] = [];
  const takers: Form[] = [];
  for (const program of programs()) {
    const from = program.name === "source" ? "from source" : "of the binary";
    runs.push(new RunForm(ground, `run ${from}`, program, null));
    takers.push(new ServeForm(ground, `serve ${from}`, program));
    takers.push(new WorkerForm(ground, `detached, worker ${from}`, program));
  }
  const last = programs().at(-1)!;
  runs.push(new RunForm(ground, "run from another directory", last, "else/where"));
  if (last.name === "binary") runs.push(new InstalledForm(ground, "run of an installed copy", last));
  return takers.map((taker, round) => [...runs.filter((_, index) => index % takers.length === round), taker]);
}

/** What all forms have in common: a program, its sandbox, and how it is broken. */
abstract class BaseForm implements Form {
  abstract readonly launch: Form["launch"];

  constructor(readonly ground: Ground, readonly name: string, readonly program: Program) {}

  get sandbox(): Sandbox {
    return this.ground.sandbox.with(this.program);
  }

  open(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  abstract run(order: Order): Promise<Shown>;

  async artifact(jobId: string, name: string): Promise<Uint8Array> {
    return (await this.ground.sandbox.run(["--quiet", "jobs", "artifacts", jobId, name])).stdout;
  }

  /** The order as this form launches it: another one where it is broken so. */
  broken(order: Order): Order {
    return this.isBroken("priority") ? { ...order, job: { ...order.job, priority: 99 } } : order;
  }

  /** What a shell that stands in `cwd` sets for what it starts; none of it may reach the job. */
  options(cwd: string): StartOptions {
    const shell = { PWD: cwd, OLDPWD: this.sandbox.directory, _: this.sandbox.program.command[0] };
    const broken = this.isBroken("environment") ? { PARITY_BROKEN: this.name } : {};
    const elsewhere = this.isBroken("database")
      ? { GLASSBOX_DB: join(this.sandbox.directory, "second.db") }
      : {};
    return { cwd, env: { ...shell, ...broken, ...elsewhere } };
  }

  isBroken(how: Break): boolean {
    return this.ground.breakOf(this.name) === how;
  }

  cancel(jobId: string, reason: string): Promise<unknown> {
    return this.ground.sandbox.run(["--quiet", "jobs", "cancel", jobId, "--reason", reason]);
  }
}

/** `glassbox run`, which shows the job as it runs. */
class RunForm extends BaseForm {
  readonly launch = "run";

  /** Stands in the job's own directory; or in `place`, under the sandbox's, and names the job's relative to that. */
  constructor(ground: Ground, name: string, program: Program, readonly place: string | null) {
    super(ground, name, program);
  }

  override async open(): Promise<void> {
    if (this.place !== null) await mkdir(join(this.sandbox.directory, this.place), { recursive: true });
  }

  async run(asked: Order): Promise<Shown> {
    const order = this.broken(asked);
    const { job, key, cwd } = order;
    const isHere = this.place === null && existsSync(cwd);
    const stand = isHere
      ? cwd
      : this.place === null
      ? this.sandbox.cwd
      : join(this.sandbox.directory, this.place);
    const words = commandLine(order, isHere ? null : relative(stand, cwd), "-");
    const { env } = this.options(stand);
    const running = this.sandbox.start(["--quiet", "run", ...words.args], {
      cwd: stand,
      ...(env === undefined ? {} : { env }),
      ...(words.stdin === null ? {} : { stdin: words.stdin }),
    });
    if (job.act === "cancel" || job.act === "interrupt") {
      await running.said(/^ready$/m, "stdout");
      if (job.act === "interrupt") running.signal("SIGINT");
      else await this.cancel(await this.ground.jobOfKey(key), REASON);
    }
    const { code, stdout, stderr } = await running.ended;
    return { jobId: await this.ground.jobOfKey(key), exit: code, stdout, stderr, digest: null };
  }
}

/** `run` of a copy in another place, called through a link by another name, as package managers do it. */
class InstalledForm extends RunForm {
  readonly #original: string;

  constructor(ground: Ground, name: string, { command: [binary] }: Program) {
    const link = join(ground.sandbox.directory, "home/.local/bin/gb");
    super(ground, name, { name: "binary", command: [link] }, "home/work");
    this.#original = binary;
  }

  override async open(): Promise<void> {
    await super.open();
    const copy = join(this.sandbox.directory, "opt/glassbox-0/libexec/glassbox");
    const [link] = this.program.command;
    for (const file of [copy, link]) await mkdir(dirname(file), { recursive: true });
    await copyFile(this.#original, copy);
    await symlink(copy, link);
  }
}

/** `glassbox run --detach`, taken by a `glassbox worker` and watched by `jobs logs` and `jobs wait`. */
class WorkerForm extends BaseForm {
  readonly launch = "worker";
  #worker: Running | null = null;

  override async open(): Promise<void> {
    this.#worker = await this.sandbox.worker(["--concurrency", "4"], this.options("/"));
  }

  override async close(): Promise<void> {
    await this.#worker?.[Symbol.asyncDispose]();
  }

  async run(asked: Order): Promise<Shown> {
    const order = this.broken(asked);
    const { job } = order;
    const jobId = await this.#detach(order);
    if (job.act === "cancel queued") await this.cancel(jobId, REASON);
    const logs = ["--quiet", "jobs", "logs", jobId, "--raw", "--follow", "--stream"];
    const stdout = this.ground.sandbox.start([...logs, "stdout"]);
    const stderr = this.ground.sandbox.start([...logs, "stderr"]);
    if (job.act === "cancel" || job.act === "interrupt") {
      await stdout.said(/^ready$/m, "stdout");
      await this.cancel(jobId, reasonOf(job));
    }
    const wait = await this.ground.sandbox.run(["--quiet", "jobs", "wait", jobId, "--json"]);
    const { digest } = JSON.parse(wait.out) as { digest: string };
    return {
      jobId,
      exit: wait.code,
      digest,
      stdout: (await stdout.ended).stdout,
      stderr: (await stderr.ended).stdout,
    };
  }

  async #detach(order: Order): Promise<string> {
    const file = join(this.sandbox.directory, `stdin-${crypto.randomUUID()}`);
    const words = commandLine(order, order.cwd, file);
    if (words.stdin !== null) await writeFile(file, words.stdin);
    const args = ["--quiet", "run", "--detach", ...words.args];
    const { code, out, err } = await this.sandbox.run(args, this.options(this.sandbox.cwd));
    const id = /^([0-9a-z]{26})\n$/.exec(out)?.[1];
    if (code !== 0 || id === undefined) throw new Error(`run --detach ended with ${code}: ${out}${err}`);
    return id;
  }
}

/** `glassbox serve`: submitted, watched and cancelled over HTTP. */
class ServeForm extends BaseForm {
  readonly launch = "serve";
  #server: Server | null = null;

  override async open(): Promise<void> {
    this.#server = await this.sandbox.serve(["--workers", "4"], this.options("/"));
  }

  override async close(): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
  }

  async run(asked: Order): Promise<Shown> {
    const order = this.broken(asked);
    const { job } = order;
    const submitted = await this.#fetch("/api/v1/jobs", requestOf(order), { "idempotency-key": order.key });
    const { id } = await submitted.json() as { id: string };
    if (job.act === "cancel queued") await this.cancel(id, REASON);
    const lines: Line[] = [];
    for await (const line of watchJob(this.#server!.url, id)) {
      lines.push(line);
      const isTime = (job.act === "cancel" || job.act === "interrupt") && line.text === "ready";
      if (isTime) await this.cancel(id, reasonOf(job));
    }
    const { digest } = await (await this.#fetch(`/api/v1/jobs/${id}/digest`)).json() as { digest: string };
    return {
      jobId: id,
      exit: null,
      stdout: bytesOf(lines, "stdout"),
      stderr: bytesOf(lines, "stderr"),
      digest,
    };
  }

  override cancel(jobId: string, reason: string): Promise<unknown> {
    return this.#fetch(`/api/v1/jobs/${jobId}/cancel`, { reason });
  }

  override async artifact(jobId: string, name: string): Promise<Uint8Array> {
    const path = name.split("/").map(encodeURIComponent).join("/");
    return new Uint8Array(await (await this.#fetch(`/api/v1/jobs/${jobId}/artifacts/${path}`)).arrayBuffer());
  }

  async #fetch(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const post = {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
    };
    const response = await fetch(`${this.#server!.url}${path}`, body === undefined ? {} : post);
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return response;
  }
}

/** SIGINT is the reason that an interrupted command line gives. */
function reasonOf(job: ParityJob): string {
  return job.act === "interrupt" ? "SIGINT" : REASON;
}

function bytesOf(lines: readonly Line[], stream: Line["stream"]): Uint8Array {
  const pieces = lines.filter((line) => line.stream === stream).flatMap(({ bytes, end }) =>
    end === "newline" ? [bytes, Uint8Array.of(10)] : [bytes]
  );
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  pieces.reduce((at, piece) => (whole.set(piece, at), at + piece.length), 0);
  return whole;
}
