import { EXIT, GlassboxError, quoted } from "../../core/errors.ts";
import { isObject } from "../../kbase/envelope.ts";
import { secureParameters } from "../../kbase/deploy_config.ts";
import { upaOf } from "../../kbase/clients/data_file_util.ts";
import { type HarnessReport, runHarness } from "../../kbase/harness/harness.ts";
import { readRecorded } from "../../kbase/harness/recorded.ts";
import type { LocalStore } from "../../kbase/harness/store.ts";
import type { Methods } from "../../kbase/methods.ts";
import { parseDuration } from "../../config/duration.ts";
import { displayText } from "../../core/display.ts";
import { resolvePath } from "../../core/paths.ts";
import { methodsOf } from "../kbase_place.ts";
import { signalExitCode } from "../exit_code.ts";
import { readTaskInput } from "../read_input.ts";
import { type Cli, type GlobalFlags, prepare } from "../session.ts";
import type { Talk } from "../talk.ts";
import { wholeNumber, writeJson } from "./run.ts";

export interface KbaseTestFlags extends GlobalFlags {
  readonly input?: string | undefined;
  readonly params?: string | undefined;
  readonly data?: string | undefined;
  readonly dir?: string | undefined;
  readonly image?: string | undefined;
  readonly module?: readonly string[] | undefined;
  readonly recorded?: string | undefined;
  readonly podman?: readonly string[] | undefined;
  readonly user?: string | undefined;
  readonly limit?: string | undefined;
  readonly timeout?: string | undefined;
  readonly json?: boolean | undefined;
}

/** As many as JobRunner lets run, and as long as KBase lets a job. */
const LIMIT_DEFAULT = 10;
const TIMEOUT_MS_DEFAULT = 7 * 24 * 3600_000;

/** `glassbox kbase test`: plays KBase's JobRunner for one job of the module that lies here. */
export async function kbaseTest(cli: Cli, flags: KbaseTestFlags, named: string | undefined): Promise<number> {
  const { host } = cli;
  const { talk } = await prepare(cli, flags);
  const here = host.processes.workingDirectory;
  const at = (path: string) => resolvePath(here, path);
  const methods = await methodsOf(host, cli.registry, { work: null, module: here });
  const job = await wantedJob(cli, flags, named, methods);
  const directory = flags.dir === undefined
    ? await host.files.temporaryDirectory("glassbox-kbase-")
    : at(flags.dir);
  const stop = new AbortController();
  let exitCode: number | null = null;
  const off = host.signals.on((signal) => {
    exitCode ??= signalExitCode(signal);
    stop.abort();
  });
  try {
    const report = await runHarness(host, {
      ...job,
      directory,
      module: here,
      moduleVersion: methods.module.version,
      image: flags.image ?? null,
      images: imagesOf(flags.module ?? []),
      recorded: flags.recorded === undefined ? [] : await readRecorded(host.files, at(flags.recorded)),
      seed: flags.data === undefined ? null : at(flags.data),
      user: flags.user ?? "tester",
      token: newToken(host.random.bytes(32)),
      secure: Object.fromEntries(secureParameters(host.processes.environment)),
      podmanArguments: flags.podman ?? [],
      limit: flags.limit === undefined ? LIMIT_DEFAULT : wholeNumber("--limit", flags.limit),
      timeoutMs: flags.timeout === undefined ? TIMEOUT_MS_DEFAULT : parseDuration(flags.timeout, "--timeout"),
      signal: stop.signal,
      show: async (stream, bytes) => {
        // With --json standard output is for the report alone.
        await host.terminal[flags.json ? "stderr" : stream].write(bytes).catch(() => undefined);
      },
      say: (text) => talk.say(displayText(text)),
    });
    await tell(talk, report, directory);
    if (flags.json) await writeJson(host, documentOf(report, directory));
    return exitCode ?? exitOf(report);
  } finally {
    off();
  }
}

interface WantedJob {
  readonly method: string;
  readonly params: readonly unknown[];
}

/** The method from the command line, an input.json, or the only one there is; its arguments from either. */
async function wantedJob(
  cli: Cli,
  flags: KbaseTestFlags,
  named: string | undefined,
  methods: Methods,
): Promise<WantedJob> {
  const input = flags.input === undefined ? {} : await readTaskInput(cli.host, flags.input, []);
  if (!isObject(input)) {
    throw new GlassboxError("invalid_input", "Cannot use --input as it must be an input.json");
  }
  const method = named ?? input["method"] ?? onlyMethod(methods);
  if (typeof method !== "string" || !/^[^.]+\.[^.]+$/.test(method)) {
    throw new GlassboxError("usage", `Cannot run ${quoted(method)} as a method must be Module.method`);
  }
  const params = flags.params === undefined
    ? input["params"] ?? []
    : await readTaskInput(cli.host, flags.params, []);
  // One object is what nearly every method takes.
  return { method, params: Array.isArray(params) ? params : [params] };
}

function onlyMethod(methods: Methods): string {
  const { name } = methods.module;
  const all = methods.list().map((method) => method.name).filter((method) => !method.startsWith("Glassbox."));
  const own = name === null ? all : all.filter((method) => method.startsWith(`${name}.`));
  if (own.length === 1) return own[0]!;
  const known = own.length === 0 ? "this module has none" : `there are ${own.join(", ")}`;
  throw new GlassboxError("usage", `Cannot tell which method to run: ${known}`);
}

function imagesOf(pairs: readonly string[]): ReadonlyMap<string, string> {
  return new Map(pairs.map((pair) => {
    const [, module, image] = /^(\w+)=(\S+)$/.exec(pair) ?? [];
    if (module !== undefined && image !== undefined) return [module, image];
    throw new GlassboxError("usage", `Cannot use --module ${quoted(pair)} as it must be Module=IMAGE`);
  }));
}

/** Of the shape of KBase's own. */
function newToken(bytes: Uint8Array): string {
  return [...bytes].map((byte) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[byte % 32]).join("");
}

function exitOf({ ran: { verdict } }: HarnessReport): number {
  if (verdict.state === "completed") return EXIT.completed;
  return verdict.errorCode === 3 ? EXIT.timeout : EXIT.failed;
}

async function tell(talk: Talk, report: HarnessReport, directory: string): Promise<void> {
  const { ran: { verdict, exitCode }, durationMs, subJobs, saved, store } = report;
  const code = verdict.errorCode === null ? "" : ` (error_code ${verdict.errorCode})`;
  const exit = exitCode === null
    ? "ended by a signal"
    : `exit status ${exitCode}, which KBase never looks at`;
  const lines = [
    `EE2 says ${verdict.state}${code}: ${verdict.text}`,
    `${exit} · ${(durationMs / 1000).toFixed(1)} s · ${subJobs.length} sub-job(s)`,
    ...verdict.warnings.map((warning) => `warning: ${warning}`),
    ...saved.map(({ info }) => `saved ${info[2]} ${upaOf(info)} as ${info[7]}/${info[1]}`),
    ...pagesOf(report, store).map(({ name, label, path }) => `page ${name} (${label}) in ${path}`),
    `everything is in ${directory}`,
  ];
  for (const line of lines) await talk.say(displayText(line));
}

/** The pages of the reports that were saved, and the zip each is in. */
function pagesOf(
  { saved }: HarnessReport,
  store: LocalStore,
): { name: string; label: string; path: string }[] {
  return saved.filter(({ info }) => info[2].startsWith("KBaseReport.Report")).flatMap(({ data }) => {
    const links = isObject(data) && Array.isArray(data["html_links"]) ? data["html_links"] : [];
    return links.flatMap((link) => {
      const handle = store.handle(String(link.handle));
      const file = handle === null ? null : store.file(handle.nodeId);
      return file === null
        ? []
        : [{ name: String(link.name), label: String(link.label ?? ""), path: file.path }];
    });
  });
}

function documentOf(report: HarnessReport, directory: string): object {
  const { ran: { verdict, exitCode }, durationMs, subJobs, provenance, saved, store } = report;
  return {
    verdict: {
      state: verdict.state,
      error_code: verdict.errorCode,
      text: verdict.text,
      warnings: verdict.warnings,
    },
    exit_code: exitCode,
    duration_ms: Math.round(durationMs),
    directory,
    output: verdict.document,
    provenance,
    sub_jobs: subJobs.map(({ id, method, how, startedMs, endedMs, ran }) => ({
      id,
      method,
      how,
      duration_ms: endedMs === null ? null : Math.round(endedMs - startedMs),
      state: ran?.verdict.state ?? "abandoned",
    })),
    saved: saved.map(({ info }) => ({ ref: upaOf(info), workspace: info[7], name: info[1], type: info[2] })),
    pages: pagesOf(report, store),
  };
}
