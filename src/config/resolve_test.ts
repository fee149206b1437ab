import assert from "node:assert/strict";
import { type ErrorCode, EXIT, isGlassboxError } from "../core/errors.ts";
import type { FileInfo } from "../core/host.ts";
import { loadSettings, resolveSettings, type SettingFlags, type SettingLayers } from "./resolve.ts";

const HOME = { HOME: "/home/u" };
const CONFIG = "/etc/glassbox.jsonc";

function layers(part: Partial<SettingLayers>): SettingLayers {
  return { file: null, environment: HOME, flags: {}, workingDirectory: "/work dir", ...part };
}

function file(value: unknown, path = CONFIG): SettingLayers {
  return layers({ file: { path, value } });
}

function environment(variables: Record<string, string>): SettingLayers {
  return layers({ environment: { ...HOME, ...variables } });
}

function flags(given: SettingFlags): SettingLayers {
  return layers({ flags: given });
}

/** Checks code and fields, and that the message holds every given part. */
function refusedAs(code: ErrorCode, fields: readonly string[], ...parts: readonly string[]) {
  return (error: unknown): true => {
    assert.ok(isGlassboxError(error), String(error));
    assert.equal(error.code, code, error.message);
    assert.deepEqual(error.fields.map(({ field }) => field), fields);
    for (const part of parts) assert.ok(error.message.includes(part), `${error.message} has ${part}`);
    return true;
  };
}

Deno.test("resolveSettings() gives the defaults when no layer says anything", () => {
  const { source, ...values } = resolveSettings(layers({}));
  assert.deepEqual(values, {
    database: "file:/home/u/.local/state/glassbox/glassbox.db",
    databaseToken: null,
    expectDatabase: null,
    host: "127.0.0.1",
    port: 8000,
    concurrency: 4,
    queues: ["default"],
    retentionMaxAgeMs: null,
    retentionMaxJobs: null,
    queuedMax: 10_000,
    submitRate: null,
    logFormat: "text",
    color: "auto",
    configFile: null,
    stateDirectory: "/home/u/.local/state/glassbox",
  });
  assert.deepEqual(new Set(Object.values(source)), new Set(["default"]));
  assert.equal(Object.keys(source).length, 13);
});

Deno.test("resolveSettings() gives a value that cannot be changed when it returns", () => {
  const settings = resolveSettings(file({ queues: ["a"] }));
  for (const part of [settings, settings.source, settings.queues]) assert.ok(Object.isFrozen(part));
});

const FILE = {
  database: "file.db",
  databaseToken: "file-token",
  expectDatabase: "f11e",
  host: "file.example.org",
  port: 1,
  concurrency: 1,
  queues: ["file"],
  retentionMaxAgeMs: 1_000,
  retentionMaxJobs: 1,
  queuedMax: 11,
  submitRate: 21,
  logFormat: "json",
  color: "always",
};
const ENVIRONMENT = {
  GLASSBOX_DB: "environment.db",
  GLASSBOX_DB_TOKEN: " environment-token\n",
  GLASSBOX_EXPECT_DB: "e117",
  GLASSBOX_HOST: "environment.example.org",
  GLASSBOX_PORT: "2",
  GLASSBOX_CONCURRENCY: "2",
  GLASSBOX_QUEUES: "environment, second ,environment",
  GLASSBOX_RETENTION_AGE: "2m",
  GLASSBOX_RETENTION_JOBS: "2",
  GLASSBOX_QUEUED_MAX: "12",
  GLASSBOX_SUBMIT_RATE: "22",
  GLASSBOX_LOG_FORMAT: "text",
  GLASSBOX_COLOR: "never",
};
const FLAGS: SettingFlags = {
  db: "flag.db",
  expectDb: "f1a9…",
  host: "[::1]",
  port: "3",
  concurrency: "3",
  queue: ["flag", "other", "flag"],
  retentionAge: "3h",
  retentionJobs: "3",
  queuedMax: "13",
  submitRate: "23",
  logFormat: "json",
  color: "auto",
};
const ALL_LAYERS = layers({
  file: { path: CONFIG, value: FILE },
  environment: { ...HOME, ...ENVIRONMENT },
  flags: FLAGS,
});

Deno.test("resolveSettings() takes every setting from the file when only the file has it", () => {
  const { source, configFile, stateDirectory: _, ...values } = resolveSettings(file(FILE));
  assert.deepEqual(values, { ...FILE, database: "file:/etc/file.db" });
  assert.equal(configFile, CONFIG);
  assert.deepEqual(new Set(Object.values(source)), new Set(["file"]));
});

Deno.test("resolveSettings() takes every setting from the environment when the file has it too", () => {
  const { source, configFile: _, stateDirectory: __, ...values } = resolveSettings({
    ...ALL_LAYERS,
    flags: {},
  });
  assert.deepEqual(values, {
    database: "file:/work%20dir/environment.db",
    databaseToken: "environment-token",
    expectDatabase: "e117",
    host: "environment.example.org",
    port: 2,
    concurrency: 2,
    queues: ["environment", "second"],
    retentionMaxAgeMs: 120_000,
    retentionMaxJobs: 2,
    queuedMax: 12,
    submitRate: 22,
    logFormat: "text",
    color: "never",
  });
  assert.deepEqual(new Set(Object.values(source)), new Set(["environment"]));
});

Deno.test("resolveSettings() takes every setting but the token from a flag when all layers have it", () => {
  const { source, configFile: _, stateDirectory: __, ...values } = resolveSettings(ALL_LAYERS);
  assert.deepEqual(values, {
    database: "file:/work%20dir/flag.db",
    databaseToken: "environment-token",
    expectDatabase: "f1a9",
    host: "::1",
    port: 3,
    concurrency: 3,
    queues: ["flag", "other"],
    retentionMaxAgeMs: 10_800_000,
    retentionMaxJobs: 3,
    queuedMax: 13,
    submitRate: 23,
    logFormat: "json",
    color: "auto",
  });
  const { databaseToken, ...others } = source;
  assert.equal(databaseToken, "environment");
  assert.deepEqual(new Set(Object.values(others)), new Set(["flag"]));
});

Deno.test("resolveSettings() keeps what lower layers say when a higher one is silent or empty", () => {
  const settings = resolveSettings({
    ...file({ port: 1, host: "a.example.org" }),
    environment: { ...HOME, GLASSBOX_PORT: "", GLASSBOX_HOST: "b.example.org" },
    flags: { port: undefined, host: undefined },
  });
  assert.deepEqual([settings.port, settings.source.port], [1, "file"]);
  assert.deepEqual([settings.host, settings.source.host], ["b.example.org", "environment"]);
  assert.deepEqual([settings.color, settings.source.color], ["auto", "default"]);
});

Deno.test("resolveSettings() takes the concurrency from --workers when serve was given it", () => {
  assert.equal(resolveSettings(flags({ workers: "7" })).concurrency, 7);
  assert.equal(resolveSettings(layers({ defaults: { concurrency: 12 } })).concurrency, 12);
});

const COLORS: readonly [string, Record<string, string>, SettingFlags, string][] = [
  ["NO_COLOR is set", { NO_COLOR: "1" }, {}, "never"],
  ["NO_COLOR is empty", { NO_COLOR: "" }, {}, "always"],
  ["GLASSBOX_COLOR stands beside NO_COLOR", { NO_COLOR: "1", GLASSBOX_COLOR: "auto" }, {}, "auto"],
  ["--color stands beside NO_COLOR", { NO_COLOR: "1" }, { color: "always" }, "always"],
];

for (const [when, variables, given, color] of COLORS) {
  Deno.test(`resolveSettings() makes the colour ${color} when the file says always and ${when}`, () => {
    const settings = resolveSettings({
      ...file({ color: "always" }),
      environment: { ...HOME, ...variables },
      flags: given,
    });
    assert.equal(settings.color, color);
  });
}

const PLACES: readonly [string, Partial<SettingLayers>, string][] = [
  [
    "XDG_STATE_HOME is set",
    { environment: { ...HOME, XDG_STATE_HOME: "/s s" } },
    "file:/s%20s/glassbox/glassbox.db",
  ],
  [
    "XDG_STATE_HOME is relative",
    { environment: { ...HOME, XDG_STATE_HOME: "state" } },
    "file:/home/u/.local/state/glassbox/glassbox.db",
  ],
  ["only XDG_STATE_HOME is set", { environment: { XDG_STATE_HOME: "/s" } }, "file:/s/glassbox/glassbox.db"],
  [
    "a KBase job has a scratch directory and no HOME",
    { environment: {}, defaults: { kbaseScratch: "/kb/module/work/tmp" } },
    "file:/kb/module/work/tmp/glassbox.db",
  ],
  [
    "a KBase job has a scratch directory and the environment names a database",
    { environment: { GLASSBOX_DB: "http://db:8080" }, defaults: { kbaseScratch: "/kb/module/work/tmp" } },
    "http://db:8080",
  ],
  ["HOME is missing and --db is given", { environment: {}, flags: { db: "/x.db" } }, "file:/x.db"],
  [
    "the file names it from its own directory",
    { file: { path: "/etc/g/c.jsonc", value: { database: "../d.db" } } },
    "file:/etc/d.db",
  ],
];

for (const [when, part, database] of PLACES) {
  Deno.test(`resolveSettings() puts the database at ${database} when ${when}`, () => {
    assert.equal(resolveSettings(layers(part)).database, database);
  });
}

Deno.test("resolveSettings() names the state directory, or null when it cannot, whatever the database is", () => {
  const state = (environment: Record<string, string>) =>
    resolveSettings(layers({ environment, flags: { db: "https://db.example.org" } })).stateDirectory;
  assert.equal(state({ HOME: "/home/u", XDG_STATE_HOME: "/s/" }), "/s/glassbox");
  assert.equal(state({ HOME: "/home/u", XDG_STATE_HOME: "s" }), "/home/u/.local/state/glassbox");
  assert.equal(state({}), null);
});

for (const home of [undefined, "", "relative"]) {
  Deno.test(`resolveSettings() asks for --db when HOME is ${JSON.stringify(home)}`, () => {
    const part = { environment: home === undefined ? {} : { HOME: home } };
    assert.throws(() => resolveSettings(layers(part)), (error) => {
      refusedAs("configuration", [], "HOME must be an absolute path", "Give --db")(error);
      assert.ok(isGlassboxError(error) && error.exitCode === EXIT.configuration);
      return true;
    });
  });
}

const WHOLE = (max: number, min = 0) => `must be a whole number from ${min} to ${max}: current value is `;

/** Flag, value, and what the message says of it. */
const BAD_FLAGS: readonly [SettingFlags, string, string][] = [
  [{ port: "99999" }, "--port", `--port ${WHOLE(65535)}"99999"`],
  [{ port: "-1" }, "--port", `--port ${WHOLE(65535)}"-1"`],
  [{ port: "1e3" }, "--port", `--port ${WHOLE(65535)}"1e3"`],
  [{ port: "NaN" }, "--port", `--port ${WHOLE(65535)}"NaN"`],
  [{ port: "" }, "--port", `--port ${WHOLE(65535)}""`],
  [{ port: "8000.5" }, "--port", `--port ${WHOLE(65535)}"8000.5"`],
  [{ port: "9".repeat(400) }, "--port", `--port ${WHOLE(65535)}"999`],
  [{ workers: "0" }, "--workers", `--workers ${WHOLE(1024, 1)}"0"`],
  [{ concurrency: "1025" }, "--concurrency", `--concurrency ${WHOLE(1024, 1)}"1025"`],
  [{ host: "127.0.0.1:80" }, "--host", "--host must be a host name or an IP address, without a port"],
  [{ host: "" }, "--host", "--host must be a host name"],
  [{ host: "a b" }, "--host", "--host must be a host name"],
  [{ host: "http://a" }, "--host", "--host must be a host name"],
  [{ host: "1::2::3" }, "--host", "--host must be a host name"],
  [
    { queue: ["ok", "Not OK"] },
    "--queue",
    '--queue must be 1 to 64 of a-z, 0-9, _ and -: current value is ["ok',
  ],
  [{ queue: [] }, "--queue", "--queue must be 1 to 100 queue names"],
  [{ logFormat: "xml" }, "--log-format", '--log-format must be one of text, json: current value is "xml"'],
  [{ color: "yes" }, "--color", "--color must be one of auto, always, never"],
  [{ expectDb: "" }, "--expect-db", "--expect-db must be the beginning of a database id"],
  [{ expectDb: "../x" }, "--expect-db", "--expect-db must be the beginning of a database id"],
  [{ db: "" }, "--db", "--db must not be empty"],
  [{ db: "mysql://u:hidden@h/d" }, "--db", 'current value is "mysql://***@h/d"'],
];

for (const [given, field, message] of BAD_FLAGS) {
  Deno.test(`resolveSettings() is usage (64) when the flags are ${JSON.stringify(given).slice(0, 60)}`, () => {
    assert.throws(() => resolveSettings(flags(given)), (error) => {
      refusedAs("usage", [field], "Cannot start as ", message)(error);
      assert.ok(isGlassboxError(error) && error.exitCode === EXIT.usage);
      return true;
    });
  });
}

const BAD_VARIABLES: readonly [string, string, string][] = [
  ["GLASSBOX_PORT", "99999", `GLASSBOX_PORT ${WHOLE(65535)}"99999"`],
  ["GLASSBOX_CONCURRENCY", "many", `GLASSBOX_CONCURRENCY ${WHOLE(1024, 1)}"many"`],
  ["GLASSBOX_QUEUES", "a,,b", "GLASSBOX_QUEUES must be 1 to 64 of a-z"],
  ["GLASSBOX_LOG_FORMAT", "TEXT", "GLASSBOX_LOG_FORMAT must be one of text, json"],
  ["GLASSBOX_COLOR", "1", "GLASSBOX_COLOR must be one of auto, always, never"],
  ["GLASSBOX_HOST", "a/b", "GLASSBOX_HOST must be a host name"],
  ["GLASSBOX_EXPECT_DB", "x y", "GLASSBOX_EXPECT_DB must be the beginning"],
  [
    "GLASSBOX_DB",
    "~/x.db",
    'GLASSBOX_DB must be a whole path, as ~ is not expanded here: current value is "~/x.db"',
  ],
];

for (const [name, value, message] of BAD_VARIABLES) {
  Deno.test(`resolveSettings() is configuration (78) when ${name} is ${JSON.stringify(value)}`, () => {
    assert.throws(() => resolveSettings(environment({ [name]: value })), (error) => {
      refusedAs("configuration", [name], "Cannot start as ", message)(error);
      assert.ok(isGlassboxError(error) && error.exitCode === EXIT.configuration);
      return true;
    });
  });
}

Deno.test("resolveSettings() never shows the token when the token is refused", () => {
  for (const bad of [environment({ GLASSBOX_DB_TOKEN: "hid den" }), file({ databaseToken: "hid den" })]) {
    assert.throws(() => resolveSettings(bad), (error) => {
      assert.ok(isGlassboxError(error, "configuration"));
      assert.doesNotMatch(JSON.stringify([error.message, error.fields]), /hid/);
      return true;
    });
  }
});

Deno.test("resolveSettings() names every bad flag when several are wrong, and no lower layer", () => {
  const bad = { ...flags({ port: "x", color: "y" }), environment: { GLASSBOX_PORT: "z" } };
  assert.throws(
    () => resolveSettings(bad),
    refusedAs("usage", ["--port", "--color"], "--port must", "; --color must"),
  );
});

const BAD_FILES: readonly [unknown, readonly string[], string][] = [
  [{ port: "8000" }, ["port"], `port of the config file "${CONFIG}" ${WHOLE(65535)}"8000"`],
  [{ port: 65536 }, ["port"], `${WHOLE(65535)}65536`],
  [{ port: 80.5, host: 1, color: null }, ["host", "port", "color"], "; port of the config file"],
  [
    { prot: 1, queue: [] },
    ["prot", "queue"],
    "is not a setting; the settings are database, databaseToken, expect",
  ],
  [{ queues: ["a", "B"] }, ["queues[1]"], 'must be 1 to 64 of a-z, 0-9, _ and -: current value is "B"'],
  [{ queues: "a" }, ["queues"], "must be 1 to 100 queue names"],
  [{ database: ":memory:", port: -1 }, ["port"], "port of the config file"],
  [{ database: ":memory:" }, ["database"], "database of the config file"],
  [{ database: "https://u:hidden@h" }, ["database"], 'current value is "https://***@h"'],
  [{ database: 5 }, ["database"], "must be a path or a URL: current value is 5"],
  [[], ["(the whole document)"], "must be an object"],
  [null, ["(the whole document)"], "must be an object"],
  ["x", ["(the whole document)"], "must be an object"],
];

for (const [value, fields, message] of BAD_FILES) {
  Deno.test(`resolveSettings() is configuration (78) when the file holds ${JSON.stringify(value)}`, () => {
    assert.throws(() => resolveSettings(file(value)), refusedAs("configuration", fields, message));
  });
}

/** A host whose only files are the given ones; text is what a file holds, an Error what looking gives. */
function hostWith(entries: Record<string, string | Error>, variables = {}) {
  const entry = (path: string) => {
    const found = entries[path];
    if (found instanceof Error) throw found;
    return found;
  };
  const asked: string[] = [];
  return {
    asked,
    files: {
      info(path: string): Promise<FileInfo | null> {
        asked.push(path);
        return Promise.resolve().then(() => {
          const found = entry(path);
          if (found === undefined) return null;
          return {
            kind: found === "directory" ? "directory" : "file",
            sizeBytes: found.length,
            mode: 0o600,
            identity: path,
          };
        });
      },
      read: (path: string) => Promise.resolve().then(() => new TextEncoder().encode(entry(path) ?? "")),
    },
    processes: { environment: { ...HOME, ...variables }, workingDirectory: "/here" },
  };
}

const DEFAULT_CONFIG = "/home/u/.config/glassbox/config.jsonc";

const FOUND: readonly [string, string, Record<string, string>, SettingFlags, string | null][] = [
  ["nothing is named", DEFAULT_CONFIG, {}, {}, DEFAULT_CONFIG],
  [
    "XDG_CONFIG_HOME is set",
    "/c/glassbox/config.jsonc",
    { XDG_CONFIG_HOME: "/c" },
    {},
    "/c/glassbox/config.jsonc",
  ],
  ["XDG_CONFIG_HOME is relative", DEFAULT_CONFIG, { XDG_CONFIG_HOME: "c" }, {}, DEFAULT_CONFIG],
  ["GLASSBOX_CONFIG is relative", "/here/g.jsonc", { GLASSBOX_CONFIG: "g.jsonc" }, {}, "/here/g.jsonc"],
  [
    "--config beats GLASSBOX_CONFIG",
    "/f.jsonc",
    { GLASSBOX_CONFIG: "/g" },
    { config: "/f.jsonc" },
    "/f.jsonc",
  ],
  ["one lies in the working directory only", "/here/config.jsonc", {}, {}, null],
  ["there is no HOME", "/x", { HOME: "", XDG_STATE_HOME: "/s" }, {}, null],
];

for (const [when, path, variables, given, configFile] of FOUND) {
  Deno.test(`loadSettings() reads ${configFile ?? "no config file"} when ${when}`, async () => {
    const settings = await loadSettings(hostWith({ [path]: '{"port": 9 /* own */}' }, variables), given);
    assert.equal(settings.configFile, configFile);
    assert.deepEqual(
      [settings.port, settings.source.port],
      configFile === null ? [8000, "default"] : [9, "file"],
    );
  });
}

Deno.test("loadSettings() asks for no file below the working directory when none is named", async () => {
  const host = hostWith({});
  await loadSettings(host, {});
  assert.deepEqual(host.asked, [DEFAULT_CONFIG]);
});

Deno.test("loadSettings() passes the caller's defaults on when it resolves", async () => {
  const settings = await loadSettings(hostWith({}), {}, { concurrency: 9, kbaseScratch: "/w/tmp" });
  assert.deepEqual([settings.concurrency, settings.database], [9, "file:/w/tmp/glassbox.db"]);
});

const coded = (code: string) => Object.assign(new Error(`${code}: made up`), { code });

const UNREADABLE: readonly [
  string,
  Parameters<typeof hostWith>[0],
  Record<string, string>,
  SettingFlags,
  string,
][] = [
  ["a missing --config", {}, {}, { config: "x.jsonc" }, 'config file "/here/x.jsonc": it does not exist'],
  ["a missing GLASSBOX_CONFIG", {}, { GLASSBOX_CONFIG: "/x" }, {}, 'config file "/x": it does not exist'],
  [
    "a directory",
    { "/x": "directory" },
    {},
    { config: "/x" },
    '"/x" as it must be a file: it is a directory',
  ],
  ["an unreadable default", { [DEFAULT_CONFIG]: coded("EACCES") }, {}, {}, "EACCES: made up"],
  ["a named file below a file", { "/x/y": coded("ENOTDIR") }, {}, { config: "/x/y" }, "ENOTDIR: made up"],
  [
    "a broken file",
    { "/x": '{\n"port": 1,, }' },
    {},
    { config: "/x" },
    'config file "/x" as JSON: a key in double',
  ],
  ["an empty file", { "/x": "" }, {}, { config: "/x" }, 'config file "/x" as JSON: it is empty, at 1:1'],
];

for (const [what, entries, variables, given, message] of UNREADABLE) {
  Deno.test(`loadSettings() is configuration (78) when it meets ${what}`, async () => {
    await assert.rejects(
      loadSettings(hostWith(entries, variables), given),
      refusedAs("configuration", [], message),
    );
  });
}

Deno.test("loadSettings() goes without a config file when the default one lies below a file", async () => {
  const settings = await loadSettings(hostWith({ [DEFAULT_CONFIG]: coded("ENOTDIR") }), {});
  assert.equal(settings.configFile, null);
});

Deno.test("loadSettings() says which of flag and variable is wrong when a config file's name is", async () => {
  await assert.rejects(
    loadSettings(hostWith({}), { config: "" }),
    refusedAs("usage", ["--config"], "--config must not be empty"),
  );
  await assert.rejects(
    loadSettings(hostWith({}, { GLASSBOX_CONFIG: "~/c" }), {}),
    refusedAs("configuration", ["GLASSBOX_CONFIG"], "GLASSBOX_CONFIG must be a whole path"),
  );
});
