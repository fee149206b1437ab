import { GlassboxError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import { moduleOf } from "../methods.ts";
import type { StandIn } from "./answer.ts";
import { CallbackServer, contextOf, runnerTime, type SubJob } from "./callback_server.ts";
import { dataFileUtil } from "./data_file_util.ts";
import { shadowModule, writeWork } from "./job_directory.ts";
import { kbaseReport } from "./kbase_report.ts";
import {
  type Launch,
  type ModuleCall,
  type ModuleRunner,
  type Ran,
  recordedRunner,
  runLaunch,
  type Show,
  standInRunner,
} from "./module_runner.ts";
import { Provenance, referencesIn } from "./provenance.ts";
import type { Recorded } from "./recorded.ts";
import { LocalServices, PATHS } from "./services.ts";
import { SharedTmp } from "./shared_tmp.ts";
import { LocalStore, type StoredObject } from "./store.ts";
import { stoppedVerdict } from "./verdict.ts";

export interface HarnessOptions {
  /** `Module.method` and its positional arguments. */
  readonly method: string;
  readonly params: readonly unknown[];
  /** Where everything of this job goes; it must be empty or not be there. */
  readonly directory: string;
  /** The author's module, for a job without a container. */
  readonly module: string;
  readonly moduleVersion: string | null;
  /** Runs the job in a container of this image; null runs this program itself. */
  readonly image: string | null;
  /** Images that answer for other modules. */
  readonly images: ReadonlyMap<string, string>;
  readonly recorded: readonly Recorded[];
  /** Objects and files to begin with; null for none. */
  readonly seed: string | null;
  readonly user: string;
  readonly token: string;
  /** Of the module's own, as `KBASE_SECURE_CONFIG_PARAM_x`. */
  readonly secure: Readonly<Record<string, string>>;
  /** More arguments for `podman run`. */
  readonly podmanArguments: readonly string[];
  /** Sub-jobs at once. */
  readonly limit: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly show: Show;
  readonly say: (text: string) => Promise<void>;
}

/** How a job went, as a runner of KBase would see it. */
export interface HarnessReport {
  readonly ran: Ran;
  readonly durationMs: number;
  readonly subJobs: readonly SubJob[];
  readonly provenance: readonly unknown[];
  readonly saved: readonly StoredObject[];
  readonly store: LocalStore;
  readonly output: string;
}

const CONTAINER_WORK = "/kb/module/work";
const CONTAINER_TMP = `${CONTAINER_WORK}/tmp`;

/** Plays KBase's JobRunner for one job, on this machine alone. */
export async function runHarness(host: Host, options: HarnessOptions): Promise<HarnessReport> {
  const { files } = host;
  await files.makeDirectory(options.directory);
  if ((await files.list(options.directory)).length > 0) {
    throw new GlassboxError(
      "storage_cannot_create",
      `Cannot run in ${options.directory} as it must be empty`,
    );
  }
  // A link on the way would give one file two names.
  const directory = await files.realPath(options.directory) ?? options.directory;
  const store = await LocalStore.open(host, `${directory}/saved`, options.seed, options.user);
  for (const name of workspacesIn(options.params)) store.makeWorkspace(name);
  const harness = new Harness(host, { ...options, directory }, store);
  return await harness.run();
}

class Harness {
  readonly #host: Host;
  readonly #options: HarnessOptions;
  readonly #store: LocalStore;
  readonly #work: string;
  readonly #jobId: string;
  readonly #stop = new AbortController();
  readonly #provenance: Provenance;
  readonly #tmp: SharedTmp;
  #url = "";

  constructor(host: Host, options: HarnessOptions, store: LocalStore) {
    this.#host = host;
    this.#options = options;
    this.#store = store;
    const work = this.#work = `${options.directory}/workdir`;
    // As EE2 makes them: a job id of another shape breaks it.
    this.#jobId = [...host.random.bytes(12)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const { method, params, moduleVersion } = options;
    const time = runnerTime(host.clock.nowMs());
    this.#provenance = new Provenance({ method, params, version: "dev" }, time, referencesIn(params));
    this.#provenance.add(moduleOf(method), {
      version: moduleVersion ?? "0.0.0",
      tag: "dev",
      url: "",
      commit: "",
    });
    const names = [`${work}/tmp`, `${options.directory}/module/work/tmp`];
    this.#tmp = new SharedTmp(
      host.files,
      `${work}/tmp`,
      options.image === null ? [...names, CONTAINER_TMP] : [CONTAINER_TMP, ...names],
    );
  }

  async run(): Promise<HarnessReport> {
    const { method, signal, say } = this.#options;
    const { clock, network } = this.#host;
    const callback = this.#callbackServer();
    const services = this.#services();
    const listener = await network.listen({
      host: "127.0.0.1",
      port: 0,
      fetch: async (request) => await services.answer(request) ?? await callback.answer(request),
      upgrade: () => new Response(null, { status: 404 }),
    });
    this.#url = `http://127.0.0.1:${listener.port}`;
    callback.fixVersion(moduleOf(method), "dev");
    const startedMs = clock.monotonicMs();
    try {
      await this.#prepare();
      await say(`JobRunner is played at ${this.#url} · job ${this.#jobId} · ${method} · ${this.#work}`);
      const ran = await this.#runMain(signal);
      await this.#abandon(callback);
      const durationMs = clock.monotonicMs() - startedMs;
      return {
        ran,
        durationMs,
        subJobs: callback.jobs,
        provenance: this.#provenance.actions,
        saved: this.#store.saved,
        store: this.#store,
        output: `${this.#work}/output.json`,
      };
    } finally {
      this.#stop.abort();
      await callback.settled();
      await listener.close(0);
    }
  }

  /** When the main container stops, nobody waits for its sub-jobs. */
  async #abandon(callback: CallbackServer): Promise<void> {
    const running = callback.jobs.filter(({ ran }) => ran === null);
    for (const { id, method } of running) {
      await this.#options.say(`Subjob ${id} (${method}) still ran when the job ended, and is abandoned`);
    }
  }

  async #prepare(): Promise<void> {
    const { files } = this.#host;
    const { module, image, directory } = this.#options;
    await files.makeDirectory(`${this.#work}/tmp`);
    const { method, params } = this.#options;
    const nowMs = this.#host.clock.nowMs();
    const context = contextOf({ method, jobId: this.#jobId, version: "dev", nowMs });
    await this.#writeWork(this.#work, method, params, context);
    if (image === null) await shadowModule(files, module, `${directory}/module`, this.#work);
  }

  #writeWork(work: string, method: string, params: readonly unknown[], context: unknown): Promise<void> {
    const { token, image } = this.#options;
    return writeWork(this.#host.files, work, {
      input: { id: this.#jobId, method, params, context },
      token,
      url: this.#url,
      scratch: image === null ? `${this.#work}/tmp` : CONTAINER_TMP,
    });
  }

  async #runMain(signal: AbortSignal): Promise<Ran> {
    const { image, timeoutMs, show, directory } = this.#options;
    const launch = image === null
      ? this.#direct(`${directory}/module`)
      : this.#container(image, this.#work, this.#jobId);
    const late = new AbortController();
    const ended = new AbortController();
    void this.#host.clock.sleep(timeoutMs, ended.signal).then(() => {
      if (!ended.signal.aborted) late.abort();
    });
    const stops = AbortSignal.any([signal, late.signal]);
    const ran = await runLaunch(this.#host, launch, `${this.#work}/output.json`, { signal: stops, show });
    ended.abort();
    if (!stops.aborted) return ran;
    return { ...ran, verdict: stoppedVerdict(late.signal.aborted ? "timeout" : "cancelled") };
  }

  #services(): LocalServices {
    const { files } = this.#host;
    const { token } = this.#options;
    const call = () => ({ provenance: this.#provenance.actions });
    return new LocalServices({ files, store: this.#store, token, url: () => this.#url, call });
  }

  #callbackServer(): CallbackServer {
    const { clock, random } = this.#host;
    const { limit, say } = this.#options;
    const runners = this.#runners();
    return new CallbackServer({
      clock,
      uuid: () => random.uuid(),
      jobId: this.#jobId,
      provenance: this.#provenance,
      allowsSetProvenance: this.#host.processes.environment["CALLBACK_ALLOW_SET_PROVENANCE"] === "true",
      limit,
      runnerOf: (module) => runners.get(module) ?? null,
      signal: this.#stop.signal,
      log: say,
    });
  }

  /** Recorded replies before images before stand-ins: what the author named counts more. */
  #runners(): ReadonlyMap<string, ModuleRunner> {
    const { files, random } = this.#host;
    const { images, recorded, method, image, moduleVersion } = this.#options;
    const call = () => ({ provenance: this.#provenance.actions });
    const blobUrl = () => `${this.#url}${PATHS.blobstore}`;
    const around = { files, store: this.#store, tmp: this.#tmp, blobUrl, uuid: () => random.uuid() };
    const standIn = (version: string, methods: StandIn) => standInRunner(version, methods, call);
    const own = this.#processRunner(
      image ?? "this program",
      moduleVersion ?? "0.0.0",
      async (sub, work) =>
        image === null ? await this.#directSubJob(sub, work) : this.#container(image, work, sub.id),
    );
    const modules = [...new Set(recorded.map((reply) => moduleOf(reply.method)))];
    return new Map<string, ModuleRunner>([
      ["DataFileUtil", standIn("0.2.2", dataFileUtil(around))],
      ["KBaseReport", standIn("3.2.1", kbaseReport(around))],
      [moduleOf(method), own],
      ...[...images].map(([module, name]): [string, ModuleRunner] => [
        module,
        this.#processRunner(
          name,
          "0.0.0",
          (sub, work) => Promise.resolve(this.#container(name, work, sub.id)),
        ),
      ]),
      ...modules.map((module): [string, ModuleRunner] => [module, recordedRunner(recorded)]),
    ]);
  }

  #processRunner(
    how: string,
    version: string,
    launchOf: (call: ModuleCall, work: string) => Promise<Launch>,
  ): ModuleRunner {
    return {
      how,
      version,
      run: async (call) => {
        const work = `${this.#options.directory}/subjobs/${call.id}`;
        await this.#writeWork(work, call.method, call.params, call.context);
        const launch = await launchOf(call, work);
        const { signal } = call;
        return await runLaunch(this.#host, launch, `${work}/output.json`, {
          signal,
          show: this.#options.show,
        });
      },
    };
  }

  async #directSubJob(call: ModuleCall, work: string): Promise<Launch> {
    const { files } = this.#host;
    const { module, directory } = this.#options;
    const shadow = `${directory}/modules/${call.id}`;
    await files.link(`${this.#work}/tmp`, `${work}/tmp`);
    await shadowModule(files, module, shadow, work);
    return this.#direct(shadow);
  }

  #direct(cwd: string): Launch {
    const { selfCommand: [program, ...args], environment } = this.#host.processes;
    const kept = Object.entries(environment).filter(([name]) => !NOT_PASSED.test(name));
    return {
      program,
      args: [...args, "async"],
      cwd,
      env: { ...Object.fromEntries(kept), ...this.#variables() },
    };
  }

  /** What JobRunner puts into a container's environment, and nothing else. */
  #variables(): Record<string, string> {
    const secure = Object.entries(this.#options.secure).map(([name, value]) => [
      `KBASE_SECURE_CONFIG_PARAM_${name}`,
      value,
    ]);
    return { SDK_CALLBACK_URL: `${this.#url}/`, ...Object.fromEntries(secure) };
  }

  #container(image: string, work: string, id: string): Launch {
    const name = `glassbox-kbase-${id}`;
    const { environment, workingDirectory } = this.#host.processes;
    const isSubJob = work !== this.#work;
    const variables = this.#variables();
    const mounts = [
      `${work}:${CONTAINER_WORK}`,
      ...(isSubJob ? [`${this.#work}/tmp:${CONTAINER_TMP}`] : []),
      // A job without a container knows its files by their own names, and passes these on.
      ...(this.#options.image === null ? [`${this.#work}/tmp:${this.#work}/tmp`] : []),
    ];
    const args = [
      "run",
      "--rm",
      "--name",
      name,
      // The stand-ins listen on the loopback alone.
      "--network=host",
      ...mounts.flatMap((mount) => ["--volume", mount]),
      // By name alone: everyone on this machine may read a program's arguments.
      ...Object.keys(variables).flatMap((key) => ["--env", key]),
      "--label",
      `job_id=${this.#jobId}`,
      "--label",
      `subjob=${isSubJob ? "True" : "False"}`,
      ...this.#options.podmanArguments,
      image,
      "async",
    ];
    return {
      program: "podman",
      args,
      cwd: workingDirectory,
      env: { ...environment, ...variables },
      kill: ["podman", "kill", "--signal", "KILL", name],
    };
  }
}

/** A job of KBase gets its token by file, and knows nothing of what surrounds its runner. */
const NOT_PASSED = /^(KB_|KBASE_|SDK_CALLBACK_URL$|GLASSBOX_)/;

/** The Narrative that a job was started from is there before it. */
function workspacesIn(params: readonly unknown[]): string[] {
  const first = params[0];
  if (typeof first !== "object" || first === null) return [];
  const { workspace_name, workspace } = first as Record<string, unknown>;
  return [workspace_name, workspace].filter((name): name is string =>
    typeof name === "string" && name !== ""
  );
}
