import { EXIT, GlassboxError, messageOf, quoted } from "../../core/errors.ts";
import type { JobRequestInput } from "../../core/request.ts";
import { Confidential } from "../../executor/confidential.ts";
import { kbaseEnvironment } from "../../executor/kbase_surroundings.ts";
import { idMaker, prepareJob } from "../../executor/submit.ts";
import { compileReport } from "../../kbase/compile_report.ts";
import type { DeployConfig } from "../../kbase/deploy_config.ts";
import type { Methods } from "../../kbase/methods.ts";
import type { Secrets } from "../../logs/secrets.ts";
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
import type { KbasePlan } from "../launch_plan.ts";
import { type Cli, type GlobalFlags, sayLaunch, withSession } from "../session.ts";
import { kbaseJob } from "./kbase_job.ts";
import { kbaseService } from "./kbase_service.ts";
import { submitAndRun } from "./run.ts";

/** Carries out a launch as the KBase SDK defines it; `kbase` commands of our own are the command line's. */
export async function kbaseLaunch(cli: Cli, flags: GlobalFlags, plan: KbasePlan): Promise<number> {
  const { action } = plan;
  switch (action.kind) {
    case "job":
    case "one-shot":
      return await kbaseJob(cli, flags, { ...plan, action });
    case "service":
      return await kbaseService(cli, flags, plan, action);
    case "command":
      throw new GlassboxError("usage", "Cannot tell which kbase command is meant");
    default:
      return await containerMode(cli, flags, plan, action.kind);
  }
}

/** What the modes other than a job begin with: settings rendered, token known, nothing secret shown. */
interface Container {
  readonly cli: Cli;
  readonly place: KbasePlace & { readonly work: string };
  readonly methods: Methods;
  readonly config: DeployConfig;
  readonly scratch: string;
  readonly token: string | null;
  readonly secrets: Secrets;
  readonly flags: GlobalFlags;
}

async function containerMode(
  cli: Cli,
  flags: GlobalFlags,
  plan: KbasePlan,
  mode: "init" | "report" | "test" | "bash",
): Promise<number> {
  const { work, module } = await placeOf(cli.host, plan);
  if (work === null) {
    throw new GlassboxError("input_missing", `Cannot ${mode} as there is no KBase work directory`);
  }
  const place = { work, module };
  // Both may be absent in every one of these modes; only `test` needs the token.
  const token = await tokenOf(cli.host, plan.action, place).catch((error) => {
    if (mode === "test") throw error;
    return null;
  });
  const secrets = secretsOf(cli.host, token);
  const safe = { ...cli, host: withSafeOutput(cli.host, secrets) };
  const methods = await methodsOf(safe.host, cli.registry, place);
  const config = await configOf(safe.host, place, methods, null);
  const scratch = await scratchOf(safe.host, place, config, null) ?? work;
  const container = { cli: safe, place, methods, config, scratch, token, secrets, flags };
  if (mode === "init") return await init(container);
  if (mode === "test") return await test(container);
  await sayLaunch(safe, flags, { kbaseScratch: scratch });
  return mode === "report" ? await report(container) : await bash(container);
}

/** Where reference data belongs; a catalog keeps it only if `__READY__` lies there. */
const DATA_VARIABLE = "GLASSBOX_KBASE_DATA";
const DATA_DEFAULT = "/data";

async function init(container: Container): Promise<number> {
  const { cli: { host }, methods: { module } } = container;
  const data = host.processes.environment[DATA_VARIABLE] || DATA_DEFAULT;
  const ready = `${data}/__READY__`;
  // One of an earlier try must not speak for this one.
  await host.files.remove(ready);
  const exitCode = module.init === null
    ? await nothingToInit(container)
    : await runProgram(container, module.init);
  if (exitCode !== EXIT.completed) return exitCode;
  if ((await host.files.info(data).catch(() => null))?.kind !== "directory") {
    await container.cli.voice.talk.say(`${data} is not there, so nothing was marked as ready`);
    return EXIT.completed;
  }
  await host.files.writeAtomic(ready, new Uint8Array(0), { sync: true });
  await container.cli.voice.talk.say(`${ready} says that the reference data is complete`);
  return EXIT.completed;
}

async function nothingToInit({ cli, flags, scratch }: Container): Promise<number> {
  await sayLaunch(cli, flags, { kbaseScratch: scratch });
  await cli.voice.talk.say("this module has no reference data to prepare: kbase.yml names no glassbox.init");
  return EXIT.completed;
}

async function report({ cli, place, methods }: Container): Promise<number> {
  const { files } = cli.host;
  const path = `${place.work}/compile_report.json`;
  if (await files.info(path) !== null) {
    await cli.voice.talk.say(`${path} is there already, and stays as it is`);
    return EXIT.completed;
  }
  const document = await compileReport(files, methods);
  try {
    await files.writeAtomic(path, new TextEncoder().encode(JSON.stringify(document)), { sync: true });
  } catch (error) {
    throw new GlassboxError("storage_cannot_create", `Cannot write ${quoted(path)}: ${messageOf(error)}`);
  }
  await cli.voice.talk.say(`${path} is written`);
  return EXIT.completed;
}

async function test(container: Container): Promise<number> {
  const { cli, place, methods, token, scratch } = container;
  if (token === null) {
    await cli.voice.talk.error(
      new GlassboxError("input_missing", `Cannot test as ${place.work}/token must be there`),
    );
    return EXIT.failed;
  }
  const command = methods.module.test ?? await makeTest(container);
  await emptied(container, scratch);
  return await runProgram(container, command);
}

/** What KBase's own modules call their tests. */
async function makeTest({ cli: { host }, place }: Container): Promise<readonly string[]> {
  const makefile = await host.files.info(`${place.module}/Makefile`).catch(() => null);
  const make = await host.processes.findProgram("make", place.module, host.processes.environment);
  if (makefile?.kind === "file" && "path" in make) return ["make", "test"];
  const missing = makefile === null ? `${place.module} has no Makefile` : "there is no program make";
  throw new GlassboxError("not_built", `Cannot test as kbase.yml names no glassbox.test, and ${missing}`);
}

/** The job database lies in the same directory, and stays. */
async function emptied({ cli: { host } }: Container, scratch: string): Promise<void> {
  for (const name of await host.files.list(scratch).catch(() => [] as string[])) {
    if (!name.startsWith("glassbox.db")) await host.files.remove(`${scratch}/${name}`);
  }
}

/** A program of the module as an ordinary job. */
async function runProgram(container: Container, [program, ...args]: readonly string[]): Promise<number> {
  const { cli, flags, place, secrets, scratch } = container;
  const confidential = new Confidential(secrets);
  const options = { defaults: { kbaseScratch: scratch }, confidential };
  return await withSession(cli, flags, async (session) => {
    const id = idMaker(session.host)();
    const request = { task: "exec", input: { program, args, cwd: place.module } } as JobRequestInput;
    confidential.give(id, { environment: environmentOf(container), secrets });
    return await submitAndRun(session, await prepareJob(session, id, request), {});
  }, options);
}

async function bash({ cli, place, ...container }: Container): Promise<number> {
  const { host } = cli;
  const env = { ...host.processes.environment, ...environmentOf({ cli, place, ...container }) };
  for (const shell of ["bash", "sh"]) {
    const found = await host.processes.findProgram(shell, place.module, env);
    if (!("path" in found)) continue;
    const off = host.signals.on(() => undefined);
    const { code } = await host.processes.attached({ program: found.path, args: [], cwd: place.module, env });
    off();
    return code ?? EXIT.failed;
  }
  throw new GlassboxError("not_built", "Cannot open a shell as this image has neither bash nor sh");
}

function environmentOf({ cli: { host }, config, token, scratch }: Container): Record<string, string> {
  const callbackUrl = host.processes.environment["SDK_CALLBACK_URL"] || null;
  return {
    ...kbaseEnvironment({ callbackUrl, token, userId: null, scratch, config: config.values }),
    ...(config.file === null ? {} : { KB_DEPLOYMENT_CONFIG: config.file }),
  };
}
