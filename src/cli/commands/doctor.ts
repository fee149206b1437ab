import { databasePath, redactUrl } from "../../config/resolve.ts";
import type { SettingName, Settings } from "../../config/settings.ts";
import { EXIT, type GlassboxError, isGlassboxError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import { VERSION } from "../../core/version.ts";
import { reservePath } from "../../executor/reserve.ts";
import { Store } from "../../store/store.ts";
import { plannedLaunch } from "../planned_launch.ts";
import { type Cli, type GlobalFlags, prepare, storeOptions } from "../session.ts";
import { createStyle, type Style, wantsColor } from "../style.ts";
import { table } from "../table.ts";
import { writeJson } from "./run.ts";

interface Check {
  readonly name: string;
  readonly ok: boolean | null;
  /** What was found, and for a bad check what to do. */
  readonly text: string;
}

/**
 * Says what this glassbox is and where it writes, and tries what it needs. A check without a verdict is something
 * that may be missing. Exit 0 when nothing is wrong, 69 when something is.
 */
export async function doctor(cli: Cli, flags: GlobalFlags & { json?: boolean | undefined }): Promise<number> {
  const { settings } = await prepare(cli, flags);
  const { host } = cli;
  const checks = [
    await checkDatabase(cli, settings),
    await checkReserve(cli, settings),
    await checkTemporaryDirectory(host),
    await checkHelper(
      host,
      "stdbuf",
      "C programs write line by line",
      "output of C programs may come late; install coreutils",
    ),
    await checkHelper(
      host,
      "setpriv",
      "programs die with glassbox, however it dies",
      "a killed glassbox leaves its program running until the next start; install util-linux",
    ),
    await checkHelper(
      host,
      "head",
      "what is in a program's pipes when glassbox is killed is saved, with sh",
      "what is in a program's pipes when glassbox is killed is lost; install coreutils",
    ),
  ];
  const here = await plannedLaunch(host, []);
  const report = {
    version: VERSION,
    ...host.about,
    pid: host.processes.self.pid,
    workingDirectory: host.processes.workingDirectory,
    configFile: settings.configFile,
    settings: shownSettings(settings),
    withoutArguments: { mode: here.mode, why: here.why },
    checks,
  };
  if (flags.json) await writeJson(host, report);
  else {await host.terminal.stdout.write(
      page(report, createStyle(wantsColor(settings.color, host.terminal.stdout))),
    );}
  return checks.some((check) => check.ok === false) ? EXIT.unavailable : EXIT.completed;
}

async function checkDatabase(cli: Cli, settings: Settings): Promise<Check> {
  const name = "database";
  try {
    const store = await Store.open(await storeOptions(cli.host, settings), cli.host);
    try {
      const counts = await store.jobs.count();
      const workers = (await store.workers.open()).length;
      const jobs = Object.entries(counts).filter(([, count]) => count > 0).map(([state, count]) =>
        `${count} ${state}`
      );
      const text = `${store.display} · id ${store.id} · schema ${store.schema} · ${
        jobs.join(", ") || "no jobs"
      } · ${workers} workers`;
      return { name, ok: true, text };
    } finally {
      await store.close();
    }
  } catch (error) {
    if (!isGlassboxError(error)) throw error;
    return { name, ok: false, text: (error as GlassboxError).message };
  }
}

async function checkReserve({ host }: Cli, settings: Settings): Promise<Check> {
  const name = "reserve";
  if (databasePath(settings.database) === null) {
    return { name, ok: true, text: "not needed: the database is on a server" };
  }
  const { runDirectory } = await storeOptions(host, settings);
  const path = reservePath(runDirectory);
  const info = await host.files.info(path).catch(() => null);
  if (info !== null) {
    return {
      name,
      ok: true,
      text: `${path}: ${info.sizeBytes} bytes, given up to record ends on a full disk`,
    };
  }
  return { name, ok: null, text: `${path} is not there: it is made when a job runs and the disk has room` };
}

async function checkTemporaryDirectory(host: Host): Promise<Check> {
  const name = "temporary directory";
  try {
    const path = await host.files.temporaryDirectory("glassbox-doctor-");
    await host.files.remove(path);
    return { name, ok: true, text: "can be written" };
  } catch {
    return { name, ok: false, text: "cannot be written: set TMPDIR to a directory that can" };
  }
}

async function checkHelper(host: Host, program: string, good: string, bad: string): Promise<Check> {
  const found = await host.processes.findProgram(program, "/", host.processes.environment);
  if ("path" in found) return { name: program, ok: true, text: `${found.path}: ${good}` };
  return { name: program, ok: null, text: `not found: ${bad}` };
}

interface ShownSetting {
  readonly name: string;
  readonly value: string;
  readonly source: string;
}

function shownSettings(settings: Settings): ShownSetting[] {
  return (Object.keys(settings.source) as SettingName[]).map((name) => {
    const value = settings[name];
    const shown = name === "database"
      ? databasePath(settings.database) ?? redactUrl(settings.database)
      : name === "databaseToken" && value !== null
      ? "(set, not shown)"
      : Array.isArray(value)
      ? value.join(", ")
      : String(value ?? "none");
    return { name, value: shown, source: settings.source[name] };
  });
}

interface Report {
  readonly version: string;
  readonly engine: string;
  readonly engineVersion: string;
  readonly platform: string;
  readonly compiled: boolean;
  readonly binary: string;
  readonly workingDirectory: string;
  readonly configFile: string | null;
  readonly settings: readonly ShownSetting[];
  readonly withoutArguments: { readonly mode: string; readonly why: string };
  readonly checks: readonly Check[];
}

function page(report: Report, style: Style): string {
  const dimFirst = (text: string, _row: number, column: number) => column === 0 ? style.dim(text) : text;
  const facts = [
    ["glassbox", `${report.version}, ${report.engine} ${report.engineVersion} ${report.platform}`],
    ["binary", `${report.binary}${report.compiled ? "" : " (from source)"}`],
    ["directory", report.workingDirectory],
    ["config file", report.configFile ?? "none"],
    ["here, without arguments", `${report.withoutArguments.mode} (${report.withoutArguments.why})`],
  ];
  const settings = report.settings.map(({ name, value, source }) => [`  ${name}`, value, source]);
  const checks = report.checks.map((
    { name, ok, text },
  ) => [ok === null ? "  maybe" : ok ? "  ok" : "  wrong", name, text]);
  const paintCheck = (text: string, _row: number, column: number) =>
    column !== 0
      ? text
      : text.trim() === "ok"
      ? style.green(text)
      : text.trim() === "wrong"
      ? style.red(text)
      : style.yellow(text);
  return [
    table(facts, dimFirst),
    `\n${style.bold("settings, and where each came from")}\n`,
    table(settings, dimFirst),
    `\n${style.bold("checks")}\n`,
    table(checks, paintCheck),
  ].join("");
}
