/** Launches jobs in every form on one database, and holds the records against each other. */
import { type Client, createClient } from "@libsql/client";
import { readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { inspect, isDeepStrictEqual } from "node:util";
import { allEvents, jobDocument } from "../../../src/cli/job_document.ts";
import { createHost } from "../../../src/platform/host.ts";
import { Store } from "../../../src/store/store.ts";
import { newSandbox, programs, type Sandbox } from "../glassbox.ts";
import { pidsWith } from "../processes.ts";
import { fileOptions } from "../store_fixture.ts";
import { type Break, BREAKS, type Form, type Ground, parityForms, type Shown } from "./forms.ts";
import type { ParityJob } from "./job.ts";
import {
  checkRecord,
  compareRecords,
  type Difference,
  type LaunchRecord,
  type ShownDocument,
} from "./record.ts";

export interface BrokenForm {
  readonly form: string;
  readonly how: Break;
}

export interface SuiteOptions {
  /** Which forms to launch in; all when left out. The first is what the others are held against. */
  readonly only?: readonly string[];
  readonly broken?: BrokenForm | null;
}

export interface SuiteOutcome {
  readonly forms: readonly string[];
  readonly launches: number;
  readonly differences: readonly Difference[];
}

/**
 * GLASSBOX_PARITY_BREAK=FORM=HOW breaks one form on purpose, to see the suite fail: FORM as the suite names it, HOW
 * one of `environment` (what takes its jobs has one variable more), `database` (it writes to another one) and
 * `priority` (it asks for something else). The program under test knows nothing of it.
 */
export function brokenForm(): BrokenForm | null {
  const text = Deno.env.get("GLASSBOX_PARITY_BREAK");
  if (!text) return null;
  const [form, how] = text.split("=");
  const known = BREAKS.find((one) => one === how);
  if (form !== undefined && known !== undefined) return { form, how: known };
  throw new Error(
    `GLASSBOX_PARITY_BREAK must be FORM=HOW with HOW one of ${BREAKS.join(", ")}: it is ${text}`,
  );
}

const JOBS_AT_ONCE = 4;
/** A launch that is not over by then hangs, however busy the machine is. */
const LAUNCH_MS_MAX = 120_000;

/** The names of all forms, in the order in which they are used. */
export async function formNames(): Promise<string[]> {
  await using sandbox = await newSandbox(programs()[0]!);
  const ground = {
    sandbox,
    jobOfKey: () => Promise.reject(new Error("There are no jobs")),
    breakOf: () => null,
  };
  return parityForms(ground).flat().map((form) => form.name);
}

export async function runSuite(
  jobs: readonly ParityJob[],
  options: SuiteOptions = {},
): Promise<SuiteOutcome> {
  await using suite = await Suite.create(jobs, options);
  return await suite.run();
}

class Suite implements Ground {
  readonly sandbox: Sandbox;
  readonly #jobs: readonly ParityJob[];
  readonly #options: SuiteOptions;
  readonly #client: Client;
  readonly #store: Store;
  readonly #references = new Map<ParityJob, LaunchRecord>();
  readonly #differences: Difference[] = [];
  #launches = 0;

  static async create(jobs: readonly ParityJob[], options: SuiteOptions): Promise<Suite> {
    // The last is the quickest to start.
    const sandbox = await newSandbox(programs().at(-1)!);
    // Makes the database.
    await sandbox.json(["jobs", "list"]);
    const client = createClient({ url: `file:${sandbox.database}`, timeout: 30_000 });
    await client.executeMultiple(cancelAtClaim(jobs));
    const store = await Store.open(fileOptions(sandbox.database), createHost());
    return new Suite(sandbox, client, store, jobs, options);
  }

  constructor(
    sandbox: Sandbox,
    client: Client,
    store: Store,
    jobs: readonly ParityJob[],
    options: SuiteOptions,
  ) {
    this.#store = store;
    this.sandbox = sandbox;
    this.#client = client;
    this.#jobs = jobs;
    this.#options = options;
  }

  async jobOfKey(key: string): Promise<string> {
    const { rows } = await this.#client.execute({ sql: "SELECT id FROM jobs WHERE key = ?", args: [key] });
    if (rows[0] === undefined) throw new Error(`There is no job with key ${key} in the common database`);
    return String(rows[0].id);
  }

  breakOf(form: string): Break | null {
    const { broken } = this.#options;
    return broken?.form === form ? broken.how : null;
  }

  async run(): Promise<SuiteOutcome> {
    const { only, broken } = this.#options;
    const all = parityForms(this);
    const names = all.flat().map((form) => form.name);
    if (broken && !names.includes(broken.form)) {
      throw new Error(`There is no form ${broken.form}: there are ${names.join(", ")}`);
    }
    const wanted = names.filter((name) => only?.includes(name) ?? true);
    for (const round of all) {
      const forms = round.filter((form) => wanted.includes(form.name));
      await this.#round(forms);
    }
    await this.#checkRows(wanted.length);
    await this.#checkProcesses();
    return { forms: wanted, launches: this.#launches, differences: this.#differences };
  }

  async #round(forms: readonly Form[]): Promise<void> {
    try {
      for (const form of forms) await form.open();
      await inParallel([...this.#jobs.entries()], JOBS_AT_ONCE, async ([index, job]) => {
        const fitting = forms.filter((form) => job.act !== "cancel queued" || form.launch !== "run");
        for (const form of fitting) await this.#launch(form, job, index);
      });
    } finally {
      for (const form of forms) await form.close();
    }
  }

  async #launch(form: Form, job: ParityJob, index: number): Promise<void> {
    this.#launches++;
    try {
      const record = await within(LAUNCH_MS_MAX, this.#record(form, job, index));
      const reference = this.#references.get(job);
      if (reference === undefined) this.#references.set(job, record);
      else this.#differences.push(...compareRecords(reference, record));
      this.#differences.push(...checkRecord(record));
    } catch (error) {
      this.#differ(job.name, form.name, "record", "one", String(error));
    }
  }

  /** Launches a job in a directory as it was before any other launch, and collects what there is to know of it. */
  async #record(form: Form, job: ParityJob, index: number): Promise<LaunchRecord> {
    const directory = join(this.sandbox.directory, "jobs", String(index));
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true });
    await job.prepare?.(directory);
    const order = { job, key: keyOf(job, form.name), cwd: join(directory, job.cwd ?? "") };
    const shown = await form.run(order);
    if (job.act === "repeat") {
      const again = await form.run(order);
      if (!isDeepStrictEqual(again, shown)) {
        this.#differ(job.name, form.name, "repeated launch", inspect(shown), inspect(again));
      }
    }
    const document = await this.#show(shown);
    const artifacts = new Map<string, Uint8Array>();
    for (const { name } of document.artifacts) artifacts.set(name, await form.artifact(shown.jobId, name));
    const actual = job.sharedKey ? null : await this.#launchOf(shown.jobId);
    const { cwd } = order;
    const place = { cwd, env: this.sandbox.env };
    return {
      job,
      form: form.name,
      shown: form.launch === "run" ? withoutRemark(shown, document) : shown,
      document,
      launch: { actual, expected: form.launch },
      artifacts,
      place,
    };
  }

  /** What `jobs show --json` shows, without a start for each; the digest that a form was shown has to agree. */
  async #show({ jobId, digest }: Shown): Promise<ShownDocument> {
    const document = await jobDocument(this.#store, jobId);
    if (document.digest === null || document.digestParts === null) {
      throw new Error(`Job ${jobId} is not final but ${document.job.state}`);
    }
    if (digest !== null && digest !== document.digest) {
      throw new Error(`The form shows the digest ${digest}, and jobs show ${document.digest}`);
    }
    const { digestParts } = document;
    return { ...document, digest: document.digest, digestParts, events: await allEvents(this.#store, jobId) };
  }

  async #launchOf(jobId: string): Promise<string | null> {
    const sql = "SELECT launch FROM jobs JOIN workers ON workers.id = jobs.owner WHERE jobs.id = ?";
    const { rows } = await this.#client.execute({ sql, args: [jobId] });
    return rows[0] === undefined ? null : String(rows[0].launch);
  }

  /** Two starts are one truth: one row for each launch, and one for all launches with one key. */
  async #checkRows(forms: number): Promise<void> {
    const { rows } = await this.#client.execute("SELECT count(*) AS jobs FROM jobs");
    const shared = this.#jobs.filter((job) => job.sharedKey).length;
    const expected = this.#launches - shared * (forms - 1);
    const actual = Number(rows[0]!.jobs);
    if (actual !== expected) this.#differ("all jobs", "all forms", "rows", String(expected), String(actual));
  }

  /** Every process of a job has its worker's environment, and the workers have ended by now. */
  async #checkProcesses(): Promise<void> {
    const giveUpAt = performance.now() + 30_000;
    const look = () => pidsWith(`XDG_STATE_HOME=${this.sandbox.env.XDG_STATE_HOME}`);
    // A killed process takes a moment to go.
    while (look().length > 0 && performance.now() < giveUpAt) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const left = look().map(commandLineOf);
    if (left.length > 0) this.#differ("all jobs", "all forms", "processes left", "none", left.join(", "));
  }

  #differ(job: string, form: string, field: string, expected: string, actual: string): void {
    this.#differences.push({ job, form, field, expected, actual });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    await this.#store.close();
    await this.sandbox[Symbol.asyncDispose]();
  }
}

function keyOf(job: ParityJob, form: string): string {
  return job.sharedKey ? job.name : `${job.name} via ${form}`;
}

/** What `jobs cancel` does, in the same commit as the claim: no attempt of ours to be quick would be as sure. */
function cancelAtClaim(jobs: readonly ParityJob[]): string {
  const names = jobs.filter((job) => job.act === "cancel at claim").map((job) =>
    `key LIKE '${job.name} via %'`
  );
  return `CREATE TRIGGER parity_cancel_at_claim AFTER INSERT ON attempts
    WHEN EXISTS (SELECT 1 FROM jobs WHERE id = NEW.job_id AND (${["FALSE", ...names].join(" OR ")}))
    BEGIN
      UPDATE jobs SET cancel_at_ms = NEW.started_at_ms, cancel_actor = 'parity', cancel_reason = '' WHERE id = NEW.job_id;
      INSERT INTO events (job_id, seq, epoch, kind, data, at_ms)
        SELECT NEW.job_id, max(seq) + 1, 0, 'cancel_requested', '{"actor":"parity","reason":""}', NEW.started_at_ms
        FROM events WHERE job_id = NEW.job_id;
    END;`;
}

/** A command line that ran a job says at its end, on stderr, why it failed; what stands before it is the job's. */
function withoutRemark(shown: Shown, { job: { failure } }: ShownDocument): Shown {
  if (failure === null || failure.code === "program_failed") return shown;
  const remark = new TextEncoder().encode(`glassbox: ${failure.message}\n`);
  const cut = shown.stderr.length - remark.length;
  if (cut >= 0 && isDeepStrictEqual(shown.stderr.subarray(cut), remark)) {
    return { ...shown, stderr: shown.stderr.slice(0, cut) };
  }
  throw new Error(`stderr does not end with why the job failed: ${new TextDecoder().decode(shown.stderr)}`);
}

export async function inParallel<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const lane = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: limit }, lane));
}

/** What a hanging launch leaves behind ends with the sandbox. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It was not over after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function commandLineOf(pid: number): string {
  try {
    return `${pid} (${readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").trim()})`;
  } catch {
    return `${pid} (ended)`;
  }
}
