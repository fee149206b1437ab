/**
 * What goes in wrong comes out as one clear line and the right exit code, and nothing was made or lost. A case that
 * says `leaves: "nothing"` must not even make a database.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newSandbox, type Program, programs, ROOT, type Sandbox } from "../support/glassbox.ts";
import { complaints, listJobs } from "../support/jobs.ts";

interface Case {
  readonly name: string;
  readonly args: readonly string[];
  readonly code: number;
  /** What the one complaint says, behind `glassbox: `. */
  readonly says: RegExp;
  /** No database at all, a database without a job, or one job that tells the same. */
  readonly leaves: "nothing" | "no job" | "a failed job";
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string;
  readonly prepare?: (sandbox: Sandbox) => Promise<unknown>;
}

const DURATION = "must be a duration such as 500ms, 90 \\(seconds\\), 10m or 1h30m, and at most 366 days";

const COMMAND_LINE: readonly Case[] = [
  usage(
    "an unknown command, with the nearest",
    ["jbos"],
    /unknown command 'jbos' \(Did you mean jobs\?\); see `glassbox --help`$/,
  ),
  usage(
    "an unknown command like none",
    ["frobnicate"],
    /unknown command 'frobnicate'; see `glassbox --help`$/,
  ),
  usage(
    "an unknown inner command",
    ["jobs", "shw"],
    /unknown command 'shw' \(Did you mean show\?\); see `glassbox jobs --help`$/,
  ),
  usage("a missing inner command", ["jobs"], /a command must follow `glassbox jobs`: list, show, /),
  usage(
    "an unknown flag, with the nearest",
    ["run", "--timeot", "3", "--", "true"],
    /unknown option '--timeot' \(Did you mean --timeout\?\); see `glassbox run --help`$/,
  ),
  usage("an unknown short flag", ["-x"], /unknown option '-x'/),
  usage("a flag without its value", ["run", "--timeout"], /option '--timeout <duration>' argument missing/),
  usage("a global flag without its value", ["--db"], /option '--db <place>' argument missing/),
  usage(
    "a flag that must be there",
    ["jobs", "export", "latest"],
    /required option '--to <file>' not specified; see `glassbox jobs export --help`$/,
  ),
  usage(
    "words too many",
    ["jobs", "show", "a", "b"],
    /too many arguments for 'show'\. Expected 1 argument but got 2; see/,
  ),
  usage("run without anything", ["run"], /Cannot run as neither a task nor `-- PROGRAM` is given/),
  usage("run with nothing behind --", ["run", "--"], /Cannot run as no program follows `--`/),
  usage("a task and a program", ["run", "a", "--", "b"], /Cannot run both task "a" and a program/),
  usage(
    "a program without --",
    ["run", "echo", "a b"],
    /Cannot find task "echo": there are exec, phase-portrait, selftest.*\. To run a program: glassbox run -- echo 'a b'$/,
  ),
  usage(
    "an unknown task",
    ["run", "selftst"],
    /Cannot find task "selftst": there are exec, phase-portrait, selftest/,
  ),
  usage("words behind a task", ["run", "selftest", "5"], /Cannot run task "selftest" with "5" behind it/),
  usage(
    "an unknown task to explain",
    ["tasks", "nope"],
    /Cannot find task "nope": there are exec, phase-portrait, selftest/,
  ),
  usage("-- where no program can be", ["jobs", "list", "--", "true"], /Cannot use `--` here/),
  usage(
    "a port too large",
    ["serve", "--port", "99999"],
    /--port must be a whole number from 0 to 65535: current value is "99999"$/,
  ),
  usage(
    "a port that is no number",
    ["serve", "--port", "http"],
    /--port must be a whole number from 0 to 65535/,
  ),
  usage("no workers", ["serve", "--workers", "0"], /--workers must be a whole number from 1 to 1024/),
  usage(
    "a queue that cannot be",
    ["worker", "--queue", "A B"],
    /--queue must be 1 to 64 of a-z, 0-9, _ and -/,
  ),
  ...["-1", "1e999", "NaN", "", "1w", "367d", "1m1h"].map((value) =>
    usage(
      `--timeout ${JSON.stringify(value)}`,
      ["run", `--timeout=${value}`, "--", "true"],
      new RegExp(`Cannot use --timeout as it ${DURATION}: current value is ${JSON.stringify(value)}$`),
    )
  ),
  usage(
    "--set without =",
    ["run", "selftest", "--set", "steps"],
    /Cannot use --set "steps" as it must be KEY=VALUE$/,
  ),
  usage(
    "--set of a prototype",
    ["run", "selftest", "--set", "a.__proto__.b=1"],
    /Cannot use --set .* as "__proto__" cannot be a key$/,
  ),
  usage(
    "--env without =",
    ["run", "--env", "X", "--", "true"],
    /Cannot use --env "X" as it must be NAME=VALUE$/,
  ),
  usage("a program's flag for a task", ["run", "selftest", "--cwd", "/"], /Cannot use --cwd with a task/),
  usage(
    "a task's flag for a program",
    ["run", "--set", "a=1", "--", "true"],
    /Cannot use --input or --set with a program/,
  ),
  usage(
    "a key too long",
    ["run", "--key", "k".repeat(129), "--", "true"],
    /Cannot run with --key: .*<=128 characters$/,
  ),
  usage(
    "a key with a control character",
    ["run", "--key", "a\x1b[31mb", "--", "true"],
    /Cannot run with --key: must not contain control characters$/,
  ),
  usage("several flags out of range, each named", [
    "run",
    "--priority",
    "5000",
    "--job-queue",
    "A",
    "--",
    "true",
  ], /Cannot run with --job-queue: .*; --priority: .*<=1000$/),
  usage(
    "a priority that is no number",
    ["run", "--priority", "x", "--", "true"],
    /Cannot use --priority "x" as it must be a whole number$/,
  ),
  usage(
    "a form of log that is none",
    ["--log-format", "xml", "jobs", "list"],
    /--log-format must be one of text, json: current value is "xml"$/,
  ),
  usage(
    "a state that is none",
    ["jobs", "list", "--state", "done"],
    /Cannot use --state "done" as it must be one of queued, running, /,
  ),
  usage(
    "a limit out of range",
    ["jobs", "list", "--limit", "1001"],
    /Cannot use --limit 1001 as it must be from 1 to 1000$/,
  ),
  usage(
    "a line number below 0",
    ["jobs", "logs", "latest", "--after", "-1"],
    /Cannot use --after -1 as it must be 0 or more$/,
  ),
  usage("a shell that is none", ["completions", "tcsh"], /Allowed choices are zsh, bash, fish, powershell/),
  usage("an empty database", ["--db", "", "jobs", "list"], /--db must not be empty/),
  ...["show", "logs", "wait", "cancel", "retry", "artifacts"].map((command): Case => ({
    ...usage(
      `jobs ${command} of a job that is not there`,
      ["jobs", command, "nope"],
      /Cannot find job "nope": `glassbox jobs list` shows the jobs of this database$/,
    ),
    leaves: "no job",
  })),
  {
    ...usage(
      "the latest of no jobs",
      ["jobs", "show", "latest"],
      /Cannot find the latest job as there are none yet$/,
    ),
    leaves: "no job",
  },
];

function usage(name: string, args: readonly string[], says: RegExp): Case {
  return { name, args, code: 64, says, leaves: "nothing" };
}

/** A case in which `--input` names a file with this content. */
function badFile(name: string, content: string | Uint8Array, says: RegExp, code = 65): Case {
  return {
    name: `an input file that is ${name}`,
    args: ["run", "selftest", "--input", "input.json"],
    code,
    says,
    leaves: "nothing",
    prepare: (sandbox) => writeFile(join(sandbox.cwd, "input.json"), content),
  };
}

function utf16(text: string, isLittle: boolean): Uint8Array {
  const bytes = new Uint8Array(text.length * 2);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < text.length; at++) view.setUint16(at * 2, text.charCodeAt(at), isLittle);
  return bytes;
}

const nested = (depth: number) => `{"a":`.repeat(depth) + "1" + "}".repeat(depth);

const INPUT: readonly Case[] = [
  {
    name: "an input file that is missing",
    args: ["run", "selftest", "--input", "no/such.json"],
    code: 66,
    says: /Cannot read --input "no\/such\.json": there is no such file$/,
    leaves: "nothing",
  },
  {
    name: "an input file that is a directory",
    args: ["run", "selftest", "--input", "."],
    code: 66,
    says: /Cannot read --input "\." as it must be a file: it is a directory$/,
    leaves: "nothing",
  },
  {
    name: "a standard input for the program that is missing",
    args: ["run", "--stdin", "no-such", "--", "cat"],
    code: 66,
    says: /Cannot read --stdin "no-such": there is no such file$/,
    leaves: "nothing",
  },
  badFile("empty", "", /Cannot read --input "input\.json" as JSON: .* at 1:1$/),
  badFile(
    "broken",
    '{\n  "steps": x\n}',
    /Cannot read --input "input\.json" as JSON: a value is expected, and "x" found, at 2:12$/,
  ),
  badFile("cut off", '{"steps": 1', /as JSON: .* at 1:12$/),
  badFile(
    "UTF-16",
    utf16('\ufeff{"steps":1}', true),
    /the text must be UTF-8, and this is UTF-16; save it as UTF-8/,
  ),
  badFile(
    "UTF-16 without a mark",
    utf16('{"steps":1}', false),
    /the text must be UTF-8, and this is UTF-16; save it as UTF-8/,
  ),
  badFile("not UTF-8", new Uint8Array([0x22, 0xff, 0x22]), /must be UTF-8/),
  badFile(
    "two documents",
    '{"steps":1} {"steps":2}',
    /one document is expected, and "\{" follows it, at 1:13$/,
  ),
  badFile("with a comment", '{"steps":1} // one', /at 1:13$/),
  badFile(
    "with a key twice",
    '{"steps":1,\n "steps":2}',
    /the key "steps" stands twice in one object, at 2:2$/,
  ),
  badFile("with __proto__", '{"__proto__":{"steps":1}}', /the key "__proto__" is not allowed, at 1:2$/),
  badFile("with constructor", '{"constructor":1}', /the key "constructor" is not allowed, at 1:2$/),
  badFile("with a number too large", '{"steps":1e999}', /1e999.*at 1:10$|at 1:10$/),
  badFile("65 deep", nested(65), /its depth must be at most 64: level 65 begins at 1:\d+$/),
  badFile(
    "above 10 MiB",
    `{"a":"${"x".repeat(10 * 1024 * 1024)}"}`,
    /Cannot read --input "input\.json" as it must be at most 10485760 bytes$/,
  ),
  {
    name: "standard input above 10 MiB",
    args: ["run", "selftest", "--input", "-"],
    stdin: `{"a":"${"x".repeat(10 * 1024 * 1024)}"}`,
    code: 65,
    says: /Cannot read --input "-" as it must be at most 10485760 bytes$/,
    leaves: "nothing",
  },
  {
    name: "broken JSON on the command line",
    args: ["run", "selftest", "--input", '{"steps": }'],
    code: 65,
    says: /Cannot read --input as JSON: a value is expected, and "\}" found, at 1:11$/,
    leaves: "nothing",
  },
  {
    name: "every field that the schema refuses",
    args: ["run", "selftest", "--input", '{"steps":0,"pauseMs":"x","ending":"zz","more":1}'],
    code: 65,
    says:
      /^Cannot accept this input of task selftest: input\.steps: .*; input\.pauseMs: .*; input\.ending: .*"throw".*; input\.more: is not a known field$/,
    leaves: "nothing",
  },
  {
    name: "an input of another shape",
    args: ["run", "selftest", "--input", "[1]"],
    code: 65,
    says: /^Cannot accept this input of task selftest: input: .*expected object, received array$/,
    leaves: "nothing",
  },
];

const PROGRAM: readonly Case[] = [
  {
    name: "a program that is not there",
    args: ["run", "--", "no-such-program"],
    code: 69,
    says: /^Cannot find program "no-such-program": it is neither a path nor on PATH$/,
    leaves: "a failed job",
  },
  {
    name: "a path to a program that is not there",
    args: ["run", "--", "./no/such"],
    code: 69,
    says: /^Cannot find program "\.\/no\/such"/,
    leaves: "a failed job",
  },
  {
    name: "a program that is not executable",
    args: ["run", "--", "./data.txt"],
    code: 77,
    says: /^Cannot start "\.\/data\.txt" as it is not executable: try chmod \+x$/,
    leaves: "a failed job",
    prepare: (sandbox) => writeFile(join(sandbox.cwd, "data.txt"), "echo no", { mode: 0o644 }),
  },
  {
    name: "a program that is a directory",
    args: ["run", "--", "./directory"],
    code: 77,
    says: /^Cannot start "\.\/directory" as it is (not executable|a directory)/,
    leaves: "a failed job",
    prepare: (sandbox) => mkdir(join(sandbox.cwd, "directory")),
  },
  {
    name: "a working directory that is not there",
    args: ["run", "--cwd", "nowhere", "--", "true"],
    code: 69,
    says: /^Cannot start in \S+\/here\/nowhere as it is not a directory that can be read$/,
    leaves: "a failed job",
  },
];

const SURROUNDINGS: readonly Case[] = [
  {
    name: "a database in memory",
    args: ["jobs", "list"],
    env: { GLASSBOX_DB: ":memory:" },
    code: 78,
    says: /GLASSBOX_DB must be a file or a server.*: current value is ":memory:"$/,
    leaves: "nothing",
  },
  {
    name: "a database URL of no known kind",
    args: ["jobs", "list"],
    env: { GLASSBOX_DB: "ftp://user:secret@host/db" },
    code: 78,
    says: /GLASSBOX_DB (?!.*secret)/,
    leaves: "nothing",
  },
  {
    name: "a database server that does not answer",
    args: ["--db", "http://127.0.0.1:1", "jobs", "list"],
    code: 69,
    says: /^Cannot reach the database server http:\/\/127\.0\.0\.1:1: /,
    leaves: "nothing",
  },
  {
    name: "an environment with several bad values, each named",
    args: ["jobs", "list"],
    env: { GLASSBOX_PORT: "x", GLASSBOX_CONCURRENCY: "0" },
    code: 78,
    says:
      /GLASSBOX_PORT must be .*: current value is "x".*GLASSBOX_CONCURRENCY must be .*: current value is "0"|GLASSBOX_CONCURRENCY must be .*GLASSBOX_PORT must be /,
    leaves: "nothing",
  },
  {
    name: "no HOME",
    args: ["run", "--", "true"],
    env: { HOME: undefined, XDG_STATE_HOME: undefined },
    code: 78,
    says:
      /^Cannot choose a database as HOME must be an absolute path: .* Give --db, GLASSBOX_DB or XDG_STATE_HOME$/,
    leaves: "nothing",
  },
  {
    name: "a config file that is not there",
    args: ["--config", "no.jsonc", "jobs", "list"],
    code: 78,
    says: /^Cannot read the config file "\S+\/here\/no\.jsonc": it does not exist$/,
    leaves: "nothing",
  },
  config(
    "broken",
    '{\n  "port": \n}',
    /Cannot read the config file "\S+\/config\.jsonc" as JSON: a value is expected, and "\}" found, at 3:1$/,
  ),
  config(
    "with bad values",
    '{ "port": "x", "databse": "a.db" }',
    /^Cannot start as port of the config file "\S+" must be a whole number.*; databse of the config file "\S+" is not a setting; the settings are database, /,
  ),
  config("not UTF-8", new Uint8Array([0xff, 0xfe, 0x7b, 0]), /UTF-16/),
];

function config(name: string, content: string | Uint8Array, says: RegExp): Case {
  return {
    name: `a config file that is ${name}`,
    args: ["jobs", "list"],
    code: 78,
    says,
    leaves: "nothing",
    prepare: async ({ env }) => {
      await mkdir(join(env["XDG_CONFIG_HOME"]!, "glassbox"), { recursive: true });
      await writeFile(join(env["XDG_CONFIG_HOME"]!, "glassbox/config.jsonc"), content);
    },
  };
}

async function check(program: Program, one: Case): Promise<void> {
  await using sandbox = await newSandbox(program);
  await one.prepare?.(sandbox);
  const ended = await sandbox.run(one.args, {
    ...(one.env === undefined ? {} : { env: one.env }),
    ...(one.stdin === undefined ? {} : { stdin: one.stdin }),
  });
  assert.equal(ended.code, one.code, ended.err);
  assert.equal(ended.out, "");
  assertOneClearLine(ended.err, one.says);
  if (one.leaves === "nothing") {
    assert.equal(existsSync(sandbox.database), false, "it made a database");
    return;
  }
  const jobs = await listJobs(sandbox, { env: { ...one.env, GLASSBOX_PORT: undefined } });
  if (one.leaves === "no job") return assert.deepEqual(jobs, []);
  assert.deepEqual(jobs.map((job) => job.state), ["failed"]);
  assert.match(jobs[0]!.failure!.message, one.says);
}

function assertOneClearLine(err: string, says: RegExp): void {
  const [complaint, ...more] = complaints(err);
  assert.deepEqual(more, []);
  assert.match(complaint!.replace(/^glassbox: /, ""), says);
  assert.equal(err.endsWith(`${complaint}\n`), true, `the complaint is not the last line:\n${err}`);
  const withoutFirst = err.split("\n").filter((line) => !/^(glassbox \d|job )/.test(line)).join("\n");
  assert.doesNotMatch(withoutFirst, /^\s+at |file:\/\/|node_modules|unexpected fault/m);
  assert.equal(withoutFirst.includes(ROOT), false, withoutFirst);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(err, /\x1b/);
}

for (const program of programs()) {
  const groups = {
    "the command line": COMMAND_LINE,
    "the input": INPUT,
    "the program": PROGRAM,
    "the surroundings": SURROUNDINGS,
  };
  for (const [what, cases] of Object.entries(groups)) {
    Deno.test(`bad input (${program.name}) in ${what} ends with its exit code and one clear line`, async (t) => {
      for (const one of cases) await t.step(one.name, () => check(program, one));
    });
  }
}
