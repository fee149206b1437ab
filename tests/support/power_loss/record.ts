/** Real sessions of the program, recorded with all that they did to files and all that they acknowledged. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBase64 } from "../../../src/core/bytes.ts";
import { isFinal, type Job, type JobState } from "../../../src/core/job.ts";
import type { Told } from "../../../src/verify/history.ts";
import { newSandbox, type Program, type Sandbox } from "../glassbox.ts";
import type { ShownJob } from "../jobs.ts";
import { allEnded, eventually } from "../processes.ts";
import { type Entry, readLog, tell } from "../system_calls/log.ts";
import type { Shim } from "../system_calls/shim.ts";

/** What the outside has been told, in the order in which it was. */
export type Word =
  | Told
  /** The first `count` events of a job were shown. */
  | { readonly kind: "events"; readonly job: string; readonly count: number }
  /** A command that writes this file has said that it is done. */
  | { readonly kind: "file"; readonly path: string; readonly sha256: string };

export interface Recording {
  readonly name: string;
  /** What was there before is in no entry, and empty. */
  readonly directory: string;
  readonly database: string;
  /** The engine of the binary writes some of its own files without the C library: then only databases are judged. */
  readonly sees: "everything" | "databases";
  readonly entries: readonly Entry<Word>[];
}

/** What recordings and images may take at the same time, and as much again. */
const ROOM_BYTES = 64 * 1024 * 1024;

/** A place for recordings and images: in memory where there is room. */
export async function memoryDirectory(): Promise<string> {
  const shared = "/dev/shm";
  const { bavail, bsize } = await statfs(shared).catch(() => ({ bavail: 0, bsize: 0 }));
  const place = bavail * bsize >= ROOM_BYTES ? shared : tmpdir();
  return await realpath(await mkdtemp(join(place, "glassbox-power-")));
}

type Session = (session: SessionContext) => Promise<void>;

interface SessionContext {
  readonly sandbox: Sandbox;
  readonly env: Readonly<Record<string, string>>;
  tell(word: Word): void;
}

const SESSIONS: Readonly<Record<string, Session>> = {
  "command lines": commandLines,
  "files": files,
  "a server": server,
  "a worker and command lines": together,
};

/** Runs every session once with this form of the program. */
export async function recordSessions(program: Program, shim: Shim): Promise<Recording[]> {
  return await allEnded(
    Object.entries(SESSIONS).map(async ([name, session]): Promise<Recording> => {
      const directory = await memoryDirectory();
      const log = `${directory}.log`;
      try {
        await using sandbox = await newSandbox(program);
        for (const one of ["state", "out"]) await mkdir(join(directory, one));
        const env = {
          ...shim.environment({ directory, log }),
          XDG_STATE_HOME: join(directory, "state/not/there/yet"),
        };
        await session({ sandbox, env, tell: (word) => tell(log, word) });
        const database = join(directory, "state/not/there/yet/glassbox/glassbox.db");
        const sees = program.name === "source" ? "everything" : "databases";
        return { name: `${name}, ${program.name}`, directory, database, sees, entries: readLog<Word>(log) };
      } finally {
        await rm(directory, { recursive: true, force: true });
        await rm(log, { force: true });
      }
    }),
  );
}

/** A job that a command line has run and shown, told; then its events, as another shows them. */
async function tellJob(session: SessionContext, answer: string): Promise<string> {
  const { job } = JSON.parse(answer) as { job: Job };
  session.tell({ kind: "submitted", job: job.id, ...(job.key === null ? {} : { key: job.key }) });
  session.tell({ kind: "ended", job: job.id, state: job.state });
  const { events } = JSON.parse(await run(session, ["jobs", "show", job.id, "--json"])) as ShownJob;
  session.tell({ kind: "events", job: job.id, count: events.length });
  return job.id;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function tellLines({ tell }: SessionContext, job: string, lines: readonly LineDocument[]): void {
  for (const { seq, base64, text } of lines) {
    const bytes = base64 === undefined ? new TextEncoder().encode(text) : fromBase64(base64);
    tell({ kind: "line", job, seq, sha256: sha256(bytes) });
  }
}

interface LineDocument {
  readonly seq: number;
  readonly text: string;
  readonly base64?: string;
}

async function run(session: SessionContext, args: readonly string[]): Promise<string> {
  const { code, out, err } = await session.sandbox.run(args, { env: session.env });
  assert.ok(code === 0 || code === 3, `${args.join(" ")} ended with ${code}: ${err}`);
  return out;
}

async function commandLines(session: SessionContext): Promise<void> {
  const programs = [
    ["echo", "one"],
    ["sh", "-c", "for i in 1 2 3 4 5; do echo line $i; sleep 0.03; done"],
    ["sh", "-c", "echo fails >&2; exit 3"],
  ];
  for (const [index, program] of programs.entries()) {
    const args = ["run", "--json", "--key", `key-${index}`, "--", ...program];
    const id = await tellJob(session, await run(session, args));
    const lines = await run(session, ["jobs", "logs", id, "--json"]);
    tellLines(session, id, lines.trim().split("\n").map((line) => JSON.parse(line)));
  }
  const id = (await run(session, ["run", "--detach", "--", "true"])).trim();
  session.tell({ kind: "submitted", job: id });
}

/** Files that commands write for their users: a new one, one that replaces another, and databases. */
async function files(session: SessionContext): Promise<void> {
  const out = join(session.env["GLASSBOX_SHIM_DIRECTORY"]!, "out");
  const tellFile = (path: string) => session.tell({ kind: "file", path, sha256: sha256(readFileSync(path)) });
  for (const text of ["first", "second, which is longer"]) {
    const script = `yes '${text}' | head -n 400 > report.txt; echo wrote it`;
    const args = ["run", "--json", "--artifact", "report.txt", "--cwd", session.sandbox.cwd];
    const id = await tellJob(session, await run(session, [...args, "--", "sh", "-c", script]));
    await run(session, ["jobs", "artifacts", id, "report.txt", "--to", join(out, "report.txt")]);
    tellFile(join(out, "report.txt"));
    await run(session, ["backup", join(out, "copy.db"), ...(text === "first" ? [] : ["--force"])]);
    tellFile(join(out, "copy.db"));
    await run(session, ["jobs", "export", id, "--to", join(out, `${text.slice(0, 6)}.db`)]);
    tellFile(join(out, `${text.slice(0, 6)}.db`));
  }
}

/** Several processes on one database, of which one is killed and settled by another. */
async function together(session: SessionContext): Promise<void> {
  const worker = await session.sandbox.worker(["--concurrency", "2"], { env: session.env });
  const detached = async (...program: string[]) => {
    const id = (await run(session, ["run", "--detach", "--", ...program])).trim();
    session.tell({ kind: "submitted", job: id });
    return id;
  };
  const here = async (index: number) => {
    await tellJob(session, await run(session, ["run", "--json", "--", "echo", `here ${index}`]));
    const id = await detached("echo", `there ${index}`);
    await tellJob(session, await run(session, ["jobs", "wait", id, "--json"]));
  };
  await Promise.all([here(1), here(2)]);
  const lost = await detached("sh", "-c", "echo begun; exec sleep 60");
  await eventually(
    "the last job has written its line",
    async () => (await run(session, ["jobs", "logs", lost])).includes("begun"),
  );
  worker.signal("SIGKILL");
  await worker.ended;
  await run(session, ["jobs", "list"]);
  await tellJob(session, await run(session, ["jobs", "show", lost, "--json"]));
}

/** So many that the log of the database is taken back into its file, and begun anew, while they run. */
const SERVED_JOBS = 28;

/** Two servers, one after the other. */
async function server(session: SessionContext): Promise<void> {
  for (const life of ["first", "second"]) {
    const glassbox = await session.sandbox.serve(["--workers", "2"], { env: session.env });
    const jobs = Array.from(
      { length: SERVED_JOBS },
      (_, index) => submit(session, glassbox.url, life, index),
    );
    for (const job of jobs) await watch(session, glassbox.url, await job);
    glassbox.signal("SIGTERM");
    await glassbox.ended;
  }
}

async function submit(session: SessionContext, url: string, life: string, index: number): Promise<string> {
  const key = `${life}-${index}`;
  const script = `for i in 1 2 3 4; do echo ${key} $i; sleep 0.02; done; exit ${index % 2}`;
  const body = JSON.stringify({ task: "exec", input: { program: "sh", args: ["-c", script] }, key });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/api/v1/jobs`, { method: "POST", headers, body });
  const { id } = await response.json() as Job;
  assert.equal(response.status, 201);
  session.tell({ kind: "submitted", job: id, key });
  return id;
}

/** Asks again and again until the job has ended, and tells all that it is answered. */
async function watch(session: SessionContext, url: string, id: string): Promise<void> {
  const get = async <T>(path: string) => await (await fetch(`${url}/api/v1/jobs/${id}${path}`)).json() as T;
  for (let after = 0;;) {
    const { state } = await get<{ state: JobState }>("");
    const { events } = await get<{ events: unknown[] }>("/events");
    session.tell({ kind: "events", job: id, count: events.length });
    const page = await get<{ lines: LineDocument[] }>(`/logs?after=${after}&limit=50`);
    tellLines(session, id, page.lines);
    after = page.lines.at(-1)?.seq ?? after;
    if (!isFinal(state)) continue;
    return session.tell({ kind: "ended", job: id, state });
  }
}
