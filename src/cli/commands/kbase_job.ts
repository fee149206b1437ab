import { asGlassboxError, EXIT, GlassboxError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { KbaseSurroundings } from "../../core/task.ts";
import { Confidential } from "../../executor/confidential.ts";
import { CallInProgress } from "../../executor/kbase_call.ts";
import { idMaker } from "../../executor/submit.ts";
import { Worker } from "../../executor/worker.ts";
import type { DeployConfig } from "../../kbase/deploy_config.ts";
import { errorDocument, successDocument } from "../../kbase/envelope.ts";
import { type Methods, moduleOf } from "../../kbase/methods.ts";
import { asRpcError, RPC, RpcError } from "../../kbase/rpc_error.ts";
import { TokenChecker, TokenError } from "../../kbase/token_checker.ts";
import {
  idOfRefused,
  jobMethod,
  jobParams,
  OutputFile,
  readInput,
  type WaitingJob,
} from "../../kbase/work_directory.ts";
import type { Secrets } from "../../logs/secrets.ts";
import type { NewJob } from "../../store/transitions.ts";
import { followJob, sayOutcome } from "../follow_job.ts";
import { KbaseOutput } from "../kbase_output.ts";
import {
  configOf,
  type KbasePlace,
  methodsOf,
  placeOf,
  scratchOf,
  secretsOf,
  tokenOf,
  withSafeOutput,
} from "../kbase_place.ts";
import type { KbaseAction, KbasePlan, RefusePlan } from "../launch_plan.ts";
import { StopSignal } from "../stop_signal.ts";
import { type Cli, type GlobalFlags, type Session, withSession } from "../session.ts";

type JobAction = Extract<KbaseAction, { kind: "job" | "one-shot" }>;

/** A job that was asked to stop answers within this, whatever its program does. */
const ANSWER_WITHIN_MS = 7_000;

/**
 * Runs the job that waits in a work directory, or that two files on the command line name, and writes its
 * output.json: always, unless that very file cannot be written. Gives the exit code and never throws.
 */
export async function kbaseJob(
  cli: Cli,
  flags: GlobalFlags,
  plan: KbasePlan & { readonly action: JobAction },
): Promise<number> {
  const stop = new StopSignal(cli.host);
  const output = new OutputFile(cli.host.files, plan.action.output);
  const found = await lookAround(cli, plan);
  const host = withSafeOutput(cli.host, found.secrets);
  const launch = new JobLaunch({ ...cli, host }, flags, plan.action, found, output, stop);
  try {
    return await Promise.race([launch.run(), stop.overdue(ANSWER_WITHIN_MS), stop.uncaught]);
  } catch (error) {
    return await launch.answerError(error);
  } finally {
    stop.close();
  }
}

/** A work directory without its token, say: the reason goes to standard error and, where there is a job, to its answer. */
export async function refuseKbaseJob(cli: Cli, plan: RefusePlan): Promise<number> {
  const error = new GlassboxError(plan.code, `${plan.message} (${plan.why})`);
  await cli.voice.talk.error(error);
  if (plan.output === null) return plan.exitCode;
  const input = `${plan.output.slice(0, plan.output.lastIndexOf("/"))}/input.json`;
  const id = await idOfRefused(cli.host.files, input);
  const output = new OutputFile(cli.host.files, plan.output);
  try {
    await output.check();
    await output.write(errorDocument({ version: "1.1", id }, new RpcError(RPC.server, plan.message)));
  } catch (failed) {
    await cli.voice.talk.error(asGlassboxError(failed));
  }
  return plan.exitCode;
}

/** A fact that may not be had; what kept it is told when it is asked for, once there is a voice to tell it. */
class Maybe<T> {
  readonly #value: T | undefined;
  readonly #error: unknown;

  private constructor(value: T | undefined, error: unknown) {
    this.#value = value;
    this.#error = error;
  }

  static of<T>(work: Promise<T>): Promise<Maybe<T>> {
    return work.then((value) => new Maybe<T>(value, null), (error) => new Maybe<T>(undefined, error));
  }

  get(): T {
    if (this.#error !== null) throw this.#error;
    return this.#value as T;
  }

  get orNull(): T | null {
    return this.#error === null ? this.#value as T : null;
  }
}

/** What the surroundings hold, before anything is opened or said. */
interface Surroundings {
  readonly place: KbasePlace;
  readonly input: Maybe<WaitingJob>;
  /** The id of an input that could not be taken, as far as it could be read. */
  readonly refusedId: string | number | undefined;
  readonly token: Maybe<string | null>;
  readonly methods: Maybe<Methods>;
  readonly config: DeployConfig;
  readonly scratch: string | null;
  readonly secrets: Secrets;
}

async function lookAround(
  cli: Cli,
  plan: KbasePlan & { readonly action: JobAction },
): Promise<Surroundings> {
  const { host } = cli;
  const place = await placeOf(host, plan);
  const [input, token, methods] = await Promise.all([
    Maybe.of(readInput(host.files, plan.action.input)),
    Maybe.of(tokenOf(host, plan.action, place)),
    Maybe.of(methodsOf(host, cli.registry, place)),
  ]);
  const refusedId = input.orNull === null ? await idOfRefused(host.files, plan.action.input) : undefined;
  const method = input.orNull?.method;
  const module = typeof method === "string" ? moduleOf(method) : null;
  const config = await configOf(host, place, methods.orNull, module);
  const scratch = await scratchOf(host, place, config, plan.action.output);
  return { place, input, refusedId, token, methods, config, scratch, secrets: secretsOf(host, token.orNull) };
}

class JobLaunch {
  readonly #cli: Cli;
  readonly #flags: GlobalFlags;
  readonly #action: JobAction;
  readonly #found: Surroundings;
  readonly #output: OutputFile;
  readonly #stop: StopSignal;
  /** The id to answer with: the input's own, or one made here where a sound one has none. */
  readonly #id: string | number | undefined;

  constructor(
    cli: Cli,
    flags: GlobalFlags,
    action: JobAction,
    found: Surroundings,
    output: OutputFile,
    stop: StopSignal,
  ) {
    this.#cli = cli;
    this.#flags = flags;
    this.#action = action;
    this.#found = found;
    this.#output = output;
    this.#stop = stop;
    const input = found.input.orNull;
    this.#id = input === null ? found.refusedId : input.id ?? digits(cli.host);
  }

  async run(): Promise<number> {
    const { place, scratch, secrets } = this.#found;
    const defaults = place.work === null ? {} : { kbaseScratch: scratch };
    const confidential = new Confidential(secrets);
    return await withSession(
      this.#cli,
      this.#flags,
      (session) => this.#runIn({ ...session, confidential }),
      { defaults, confidential },
    );
  }

  /** The answer to a job that could not be run to its end. */
  async answerError(error: unknown): Promise<number> {
    const { talk } = this.#cli.voice;
    const failed = asRpcError(error);
    await talk.error(told(error, failed, this.#found.secrets));
    if (failed.cause instanceof GlassboxError && failed.cause.code === "storage_cannot_create") {
      // Where the answer itself cannot be written there is nobody to tell but standard error.
      const writable = await this.#output.check().then(() => true, () => false);
      if (!writable) return failed.exitCode;
    }
    try {
      await this.#write(errorDocument({ version: "1.1", id: this.#id }, failed));
    } catch (unwritten) {
      await talk.error(asGlassboxError(unwritten));
      return EXIT.cannotCreate;
    }
    return failed.exitCode;
  }

  async #runIn(session: Session & { confidential: Confidential }): Promise<number> {
    await this.#output.check();
    const { input, methods, token, config, place } = this.#found;
    const asked = input.get();
    const name = jobMethod(asked.method);
    const jobId = idMaker(session.host)();
    await session.talk.say(`START ${name} · job ${jobId} · ${this.#action.input}`, {
      job: jobId,
      method: name,
    });
    const params = jobParams(asked.params);
    const status = methods.get().status(name, params);
    if (status !== null) {
      await this.#write(successDocument({ version: "1.1", id: this.#id }, status));
      return EXIT.completed;
    }
    const method = methods.get().get(name);
    const caller = { token: token.get(), module: moduleOf(name) };
    for (const warning of config.warnings) await session.talk.say(warning);
    if (place.work !== null || config.file !== null) await session.talk.say(config.told);
    const surroundings = await this.#surroundings(session, caller);
    const call = new CallInProgress(session, {
      jobId,
      method,
      params,
      id: this.#id ?? null,
      context: asked.context,
      surroundings,
      configFile: config.file,
    });
    try {
      return await this.#call(session, call);
    } finally {
      await call.end();
    }
  }

  async #call(session: Session, call: CallInProgress): Promise<number> {
    const worker = await Worker.create(session, {
      launch: "kbase",
      concurrency: 1,
      queues: [],
      onError: (error, jobId) => void (jobId === null && session.talk.error(error)),
    });
    try {
      const job = await call.prepare({ reservedFor: worker.id });
      return await this.#follow(session, worker, job, call);
    } finally {
      await worker.close();
    }
  }

  async #follow(session: Session, worker: Worker, newJob: NewJob, call: CallInProgress): Promise<number> {
    this.#stop.refuseIfAsked();
    const { id, done } = await worker.runNew(newJob);
    // A signal that came since then was heard by nobody who could stop the job.
    this.#stop.onAsked((signal) => void session.store.jobs.cancel(id, "command line", signal).catch(() => 0));
    const shown = await followJob(session, {
      jobId: id,
      toStderr: false,
      worker,
      done,
      output: new KbaseOutput(session.host),
    });
    await done;
    await sayOutcome(session, shown.job);
    try {
      const result = await call.outcome(shown.job);
      await this.#write(successDocument({ version: "1.1", id: this.#id }, result));
      return EXIT.completed;
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      await this.#write(errorDocument({ version: "1.1", id: this.#id }, error));
      return this.#stop.exitCode ?? (shown.exitCode === EXIT.completed ? EXIT.failed : shown.exitCode);
    }
  }

  async #write(document: object): Promise<void> {
    const bytes = await this.#output.write(this.#found.secrets.json(document));
    const kind = "error" in document ? "the error" : "the result";
    await this.#cli.voice.talk.say(`${this.#output.path} holds ${kind} (${bytes} bytes)`);
  }

  /** A token that the auth service refuses ends the job; a service that does not answer is the job's to meet. */
  async #surroundings(
    session: Session,
    caller: { readonly token: string | null; readonly module: string },
  ): Promise<KbaseSurroundings> {
    const { config, scratch, methods } = this.#found;
    const { token, module } = caller;
    const checker = methods.get().wantsToken(module)
      ? TokenChecker.from(session.host.clock, config.values)
      : null;
    let userId: string | null = null;
    if (token !== null && checker !== null) {
      try {
        userId = await checker.userOf(token, this.#stop.signal);
      } catch (error) {
        this.#stop.refuseIfAsked();
        if (!(error instanceof TokenError)) throw error;
        if (error.refused) throw new RpcError(RPC.server, `Token validation failed: ${error.message}`);
        await session.talk.say(`the token was not checked, as ${error.message}`);
      }
    }
    const callbackUrl = callbackOf(session.host);
    return {
      callbackUrl,
      token,
      userId,
      scratch: scratch ?? this.#found.place.module,
      config: config.values,
    };
  }
}

/** Null where it is not set; a malformed one is the launcher's mistake, and is told before anything is called. */
function callbackOf(host: Host): string | null {
  const url = host.processes.environment["SDK_CALLBACK_URL"];
  if (!url) return null;
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
  throw new RpcError(RPC.server, "SDK_CALLBACK_URL must be an http or https URL", {
    exitCode: EXIT.configuration,
  });
}

/** What standard error hears of an error that the answer holds as well. */
function told(error: unknown, failed: RpcError, secrets: Secrets): GlassboxError {
  if (!(error instanceof RpcError)) {
    const { code, message, fields } = asGlassboxError(error);
    return new GlassboxError(code, secrets.text(message), { fields: secrets.json(fields), cause: error });
  }
  const text = [failed.text ?? failed.name, failed.text === null ? failed.trace : null].filter(Boolean).join(
    ": ",
  );
  return new GlassboxError("invalid_input", `Cannot run the KBase job: ${text} (${failed.code})`);
}

/** As KBase's servers make up ids for requests without one. */
function digits(host: Host): string {
  return [...host.random.bytes(16)].map((byte) => byte % 10).join("");
}
