import {
  databasePath,
  loadSettings,
  redactUrl,
  type SettingDefaults,
  type SettingFlags,
} from "../config/resolve.ts";
import type { Settings } from "../config/settings.ts";
import { asGlassboxError, GlassboxError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { sha256Hex } from "../core/bytes.ts";
import type { TaskRegistry } from "../core/task.ts";
import { VERSION } from "../core/version.ts";
import type { Confidential } from "../executor/confidential.ts";
import type { ExecutorContext } from "../executor/context.ts";
import { reap } from "../executor/reaper.ts";
import { sweep } from "../executor/sweep.ts";
import { Store } from "../store/store.ts";
import { firstLine } from "./first_line.ts";
import type { LaunchPlan } from "./launch_plan.ts";
import { createStyle, wantsColor } from "./style.ts";
import { Talk } from "./talk.ts";

/** What a command is given before it opens anything. */
export interface Cli {
  readonly host: Host;
  readonly registry: TaskRegistry;
  readonly plan: LaunchPlan;
  readonly voice: Voice;
}

/** How errors are told: at first as arguments and environment suggest, then as the settings say. */
export interface Voice {
  talk: Talk;
}

export interface GlobalFlags extends SettingFlags {
  readonly quiet?: boolean | undefined;
}

/** A command under way: its settings, its voice, and the database once it is opened. */
export interface Session extends ExecutorContext {
  readonly settings: Settings;
  readonly talk: Talk;
}

export interface SessionOptions {
  readonly defaults?: SettingDefaults;
  readonly confidential?: Confidential;
}

export async function prepare(
  cli: Cli,
  flags: GlobalFlags,
  defaults: SettingDefaults = {},
): Promise<{ settings: Settings; talk: Talk }> {
  const settings = await loadSettings(cli.host, flags, defaults);
  const json = settings.logFormat === "json";
  const style = createStyle(!json && wantsColor(settings.color, cli.host.terminal.stderr));
  cli.voice.talk = new Talk(cli.host, style, { json, quiet: flags.quiet ?? false });
  return { settings, talk: cli.voice.talk };
}

/**
 * Opens the database, says the first line, settles what dead processes left behind, runs `work`, and closes again.
 * Where the database cannot be opened the first line is said all the same, as it names the place.
 */
export async function withSession(
  cli: Cli,
  flags: GlobalFlags,
  work: (session: Session) => Promise<number>,
  { defaults, confidential }: SessionOptions = {},
): Promise<number> {
  const { settings, talk } = await prepare(cli, flags, defaults);
  const store = await openStore(cli, settings, talk);
  try {
    await sayFirstLine(cli, settings, talk, store);
    const hidden = confidential === undefined ? {} : { confidential };
    const session = { host: cli.host, registry: cli.registry, settings, talk, store, ...hidden };
    await settlePast(session);
    return await work(session);
  } finally {
    await store.close();
  }
}

/** What dead processes left is settled first; where that cannot be written now, looking must still be possible. */
async function settlePast(session: Session): Promise<void> {
  try {
    for (const { jobId, as } of await reap(session)) {
      await session.talk.say(
        `job ${jobId} ${as === "lost" ? "was lost" : "had finished"} when its process died; recorded so`,
      );
    }
    await sweep(session);
  } catch (error) {
    await session.talk.error(asGlassboxError(error));
  }
}

async function openStore(cli: Cli, settings: Settings, talk: Talk): Promise<Store> {
  try {
    return await Store.open(await storeOptions(cli.host, settings), cli.host);
  } catch (error) {
    await sayFirstLine(cli, settings, talk, null);
    throw error;
  }
}

/** Lock files and scratch space lie beside an embedded database; for a server, in the user's state directory. */
export async function storeOptions(
  host: Host,
  settings: Settings,
): Promise<Parameters<typeof Store.open>[0]> {
  const path = databasePath(settings.database);
  const display = path ?? redactUrl(settings.database);
  return {
    url: settings.database,
    token: settings.databaseToken,
    path,
    display,
    expectId: settings.expectDatabase,
    // Beside the file itself, not beside a link to it, as everyone must meet the same lock files.
    runDirectory: path === null
      ? await serverRunDirectory(settings)
      : `${await host.files.realPath(path).catch(() => null) ?? path}.run`,
  };
}

async function serverRunDirectory(settings: Settings): Promise<string> {
  if (settings.stateDirectory === null) {
    throw new GlassboxError(
      "configuration",
      "Cannot choose a place for lock files as HOME must be an absolute path",
    );
  }
  return `${settings.stateDirectory}/servers/${(await sha256Hex(settings.database)).slice(0, 16)}.run`;
}

/** The first line of a launch that opens no database. */
export async function sayLaunch(cli: Cli, flags: GlobalFlags, defaults: SettingDefaults): Promise<void> {
  const { settings, talk } = await prepare(cli, flags, defaults);
  await sayFirstLine(cli, settings, talk, null);
}

/** What every launch says first; without a database when it could not be, or is not to be, opened. */
export async function sayFirstLine(
  cli: Cli,
  settings: Settings,
  talk: Talk,
  store: Store | null,
): Promise<void> {
  const text = firstLine({
    version: VERSION,
    mode: cli.plan.mode,
    why: cli.plan.why,
    database: settings.database,
    databaseId: store?.id ?? null,
    schema: store?.schema ?? null,
    about: cli.host.about,
    pid: cli.host.processes.self.pid,
  }, settings.logFormat);
  if (!talk.isQuiet) await cli.host.terminal.stderr.write(`${text}\n`).catch(() => undefined);
}
