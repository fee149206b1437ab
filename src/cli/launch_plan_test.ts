import assert from "node:assert/strict";
import { COMMANDS, GLOBAL_OPTIONS, launchLookups, type LaunchPlan, planLaunch } from "./launch_plan.ts";

const MODULE = "/kb/module";
const JOB = ["/kb/module/work/input.json", "/kb/module/work/token", "/kb/module/work/config.properties"];
const RUNNER =
  "module-name: M\n\njob-config:\n  # run it\n  method-runner: jobRunner  # directly\nowners:\n  - u\n";

interface Surroundings {
  readonly cwd?: string;
  readonly files?: readonly string[];
  readonly texts?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** Plans, and checks that no path was asked about that `launchLookups` had not announced. */
function plan(
  argv: readonly string[],
  { cwd = "/home/u", files = [], texts = {}, env = {} }: Surroundings = {},
) {
  const announced = launchLookups(argv, cwd);
  return planLaunch(argv, env, {
    workingDirectory: cwd,
    file(path) {
      assert.ok(announced.files.includes(path), `${path} was announced`);
      return files.includes(path) || path in texts;
    },
    text(path) {
      assert.ok(announced.texts.includes(path), `${path} was announced`);
      return texts[path] ?? null;
    },
  });
}

function job(work: string, why: string): LaunchPlan {
  const action = {
    kind: "job" as const,
    input: `${work}/input.json`,
    output: `${work}/output.json`,
    token: `${work}/token`,
  };
  return { mode: "kbase", why, action, work };
}

function refused(why: string, work: string, missing: readonly string[], output: string | null): LaunchPlan {
  const paths = missing.map((name) => `${work}/${name}`);
  return {
    mode: "refuse",
    why,
    code: "input_missing",
    exitCode: missing[0] === "token" ? 1 : 66,
    message: `Cannot run the KBase job as ${paths.join(" and ")} must be there: ` +
      "a job's work directory holds input.json and token before it is started",
    file: paths[0]!,
    output,
  };
}

const HELP: LaunchPlan = {
  mode: "help",
  why: "no arguments, and nothing here says what to run",
  exitCode: 64,
};
const ANSWERED: LaunchPlan = {
  mode: "help",
  why:
    "no arguments, and /kb/module/work/output.json answers the input.json beside it already: async runs it again",
  exitCode: 64,
};
const ASYNC = 'argument "async"';
const WAITING = "no arguments, and /kb/module/work/input.json is waiting without an output.json";
const JOB_RUNNER = "no arguments, and /kb/module/kbase.yml says method-runner: jobRunner";
const IN_MODULE: Surroundings = { cwd: MODULE, files: JOB };

const ROWS: readonly [string, readonly string[], Surroundings, LaunchPlan][] = [
  ["run names a task", ["run", "echo"], {}, { mode: "run", why: 'argument "run"', command: "run" }],
  ["run names a program", ["run", "--", "serve"], {}, { mode: "run", why: 'argument "run"', command: "run" }],
  ["serve is asked for", ["serve", "--port", "0"], {}, {
    mode: "serve",
    why: 'argument "serve"',
    command: "serve",
  }],
  ["worker is asked for", ["worker"], {}, { mode: "worker", why: 'argument "worker"', command: "worker" }],
  ["dispatch is asked for", ["dispatch"], {}, {
    mode: "dispatch",
    why: 'argument "dispatch"',
    command: "dispatch",
  }],
  ["jobs is asked for", ["jobs", "list"], {}, { mode: "command", why: 'argument "jobs"', command: "jobs" }],
  ["doctor is asked for", ["doctor"], {}, { mode: "command", why: 'argument "doctor"', command: "doctor" }],
  ["help is asked for", ["--help"], {}, { mode: "command", why: 'argument "--help"', command: "--help" }],
  ["the version is asked for", ["-V"], {}, { mode: "command", why: 'argument "-V"', command: "-V" }],
  ["kbase is asked for", ["kbase", "test"], {}, {
    mode: "kbase",
    why: 'argument "kbase"',
    action: { kind: "command" },
    work: null,
  }],
  ["global options stand first", ["--db", "run", "--quiet", "--log-format=json", "jobs"], {}, {
    mode: "command",
    why: 'argument "jobs"',
    command: "jobs",
  }],
  ["a word is unknown", ["rnu", "x"], {}, { mode: "command", why: 'argument "rnu"', command: "rnu" }],
  ["an option is unknown", ["--prot", "1"], {}, {
    mode: "command",
    why: 'argument "--prot"',
    command: "--prot",
  }],
  ["a global option lacks its value", ["--db"], {}, {
    mode: "command",
    why: 'argument "--db"',
    command: "--db",
  }],
  ["a word is empty", ["", "x"], { files: ["/home/u"] }, {
    mode: "command",
    why: 'argument ""',
    command: "",
  }],

  ["async finds its job", ["async"], IN_MODULE, job("/kb/module/work", ASYNC)],
  ["async finds its job from elsewhere", ["async"], { files: JOB }, job("/kb/module/work", ASYNC)],
  ["async has more words", ["async", "x"], IN_MODULE, job("/kb/module/work", ASYNC)],
  [
    "async finds a job below the working directory and another in the module",
    ["async"],
    { files: [...JOB, "/home/u/work/input.json", "/home/u/work/token"] },
    job("/home/u/work", ASYNC),
  ],
  [
    "async finds a token here and its job in the module",
    ["async"],
    { files: [...JOB, "/home/u/work/token"] },
    job("/kb/module/work", ASYNC),
  ],
  [
    "async finds no token file, but a token in the environment",
    ["async"],
    { cwd: MODULE, files: ["/kb/module/work/input.json"], env: { KB_AUTH_TOKEN: "T" } },
    job("/kb/module/work", ASYNC),
  ],
  [
    "async finds no token",
    ["async"],
    { cwd: MODULE, files: ["/kb/module/work/input.json"] },
    refused(ASYNC, "/kb/module/work", ["token"], "/kb/module/work/output.json"),
  ],
  [
    "async finds no input.json",
    ["async"],
    { cwd: MODULE, files: ["/kb/module/work/token"] },
    refused(ASYNC, "/kb/module/work", ["input.json"], null),
  ],
  ["async finds nothing", ["async"], {}, refused(ASYNC, "/home/u/work", ["input.json", "token"], null)],

  ["two words begin with a file", ["in.json", "/o/out.json"], { files: ["/home/u/in.json"] }, {
    mode: "kbase",
    why: 'argument "in.json", which is a file, and an output file',
    action: { kind: "one-shot", input: "/home/u/in.json", output: "/o/out.json", token: null },
    work: null,
  }],
  [
    "three words begin with a file",
    ["--db", "x", "/i.json", "../out.json", "SECRET"],
    { files: ["/i.json"] },
    {
      mode: "kbase",
      why: 'argument "/i.json", which is a file, and an output file',
      action: { kind: "one-shot", input: "/i.json", output: "/home/out.json", token: "SECRET" },
      work: null,
    },
  ],
  ["two words begin with no file", ["in.json", "out.json"], {}, {
    mode: "command",
    why: 'argument "in.json"',
    command: "in.json",
  }],
  ["a file stands alone", ["in.json"], { files: ["/home/u/in.json"] }, {
    mode: "command",
    why: 'argument "in.json"',
    command: "in.json",
  }],
  ["a file has three followers", ["in.json", "a", "b", "c"], { files: ["/home/u/in.json"] }, {
    mode: "command",
    why: 'argument "in.json"',
    command: "in.json",
  }],
  ["an option follows a file", ["in.json", "--out"], { files: ["/home/u/in.json"] }, {
    mode: "command",
    why: 'argument "in.json"',
    command: "in.json",
  }],

  ...(["init", "report", "test", "bash"] as const).flatMap((
    kind,
  ): [string, readonly string[], Surroundings, LaunchPlan][] => [
    [`${kind} stands in a work directory`, [kind], {
      cwd: MODULE,
      files: ["/kb/module/work/config.properties"],
    }, {
      mode: "kbase",
      why: `argument "${kind}" in the KBase work directory /kb/module/work`,
      action: { kind },
      work: "/kb/module/work",
    }],
    [`${kind} stands outside of one`, [kind], {}, {
      mode: "command",
      why: `argument "${kind}"`,
      command: kind,
    }],
  ]),

  ["there are no words and a job waits", [], IN_MODULE, job("/kb/module/work", WAITING)],
  [
    "there are only options and a job waits",
    ["--log-format", "json"],
    IN_MODULE,
    job("/kb/module/work", WAITING),
  ],
  [
    "there are no words and a job waits without token",
    [],
    { cwd: MODULE, files: ["/kb/module/work/input.json"] },
    refused(WAITING, "/kb/module/work", ["token"], "/kb/module/work/output.json"),
  ],
  ["there are no words and the job is done", [], {
    cwd: MODULE,
    files: [...JOB, "/kb/module/work/output.json"],
  }, ANSWERED],
  [
    "there are no words, the job is done and KBase service variables are set",
    [],
    { cwd: MODULE, files: [...JOB, "/kb/module/work/output.json"], env: { KBASE_ENDPOINT: "https://x" } },
    ANSWERED,
  ],
  [
    "there are no words and kbase.yml says jobRunner",
    [],
    {
      cwd: MODULE,
      files: [...JOB, "/kb/module/work/output.json"],
      texts: { "/kb/module/kbase.yml": RUNNER },
    },
    job("/kb/module/work", JOB_RUNNER),
  ],
  [
    "there are no words, kbase.yml says jobRunner and no job is there",
    [],
    { cwd: MODULE, texts: { "/kb/module/kbase.yml": RUNNER }, env: { KBASE_ENDPOINT: "https://x" } },
    refused(JOB_RUNNER, "/kb/module/work", ["input.json", "token"], null),
  ],
  [
    "there are no words and kbase.yaml says otherwise than kbase.yml",
    [],
    { cwd: MODULE, texts: { "/kb/module/kbase.yml": RUNNER, "/kb/module/kbase.yaml": "module-name: M\n" } },
    HELP,
  ],
  ["there are no words and a KBase service's surroundings", [], { env: { KBASE_ENDPOINT: "https://x" } }, {
    mode: "kbase",
    why: "no arguments, KBASE_ENDPOINT is set and there is no KBase work directory",
    action: { kind: "service", host: "0.0.0.0", port: 5000 },
    work: null,
  }],
  ["there are no words and KBASE_ENDPOINT is empty", [], { env: { KBASE_ENDPOINT: "" } }, HELP],
  ["there are no words", [], {}, HELP],
  ["there are only options", ["--db", "x"], {}, HELP],
];

for (const [when, argv, surroundings, expected] of ROWS) {
  Deno.test(`planLaunch() plans ${expected.mode} when ${when}`, () => {
    assert.deepEqual(plan(argv, surroundings), expected);
  });
}

Deno.test("planLaunch() never takes a command for a file when a file has its name and a job waits", () => {
  for (const command of COMMANDS) {
    const { mode, why } = plan([command, "out.json"], {
      cwd: MODULE,
      files: [...JOB, `${MODULE}/${command}`],
    });
    const own = ["run", "serve", "worker", "kbase", "dispatch"].includes(command) ? command : "command";
    assert.deepEqual({ mode, why }, { mode: own, why: `argument "${command}"` });
  }
});

Deno.test("planLaunch() takes async and the container modes for themselves when files have their names", () => {
  for (const word of ["async", "init", "report", "test", "bash"]) {
    const found = plan([word, "out.json"], { cwd: MODULE, files: [...JOB, `${MODULE}/${word}`] });
    assert.ok(found.mode === "kbase" && found.action.kind === (word === "async" ? "job" : word));
  }
});

Deno.test("planLaunch() passes over each global option when its value follows or is attached", () => {
  for (const option of GLOBAL_OPTIONS) {
    assert.equal(plan([option, "serve", "run"]).mode, "run");
    assert.equal(plan([`${option}=serve`, "run"]).mode, "run");
    assert.equal(plan(["run", option, "serve"]).mode, "run");
  }
});

Deno.test("planLaunch() keeps the token out of why when one is on the command line", () => {
  const { why } = plan(["in.json", "out.json", "SECRET"], { files: ["/home/u/in.json"] });
  assert.doesNotMatch(why, /SECRET/);
});

const YAML: readonly [string, boolean][] = [
  [RUNNER, true],
  ["job-config:\r\n    method-runner: 'jobRunner'\r\n", true],
  ['"job-config": {"method-runner": "jobRunner"}', true],
  ["job-config: {a: 1, method-runner: jobRunner, b: 2} # x", true],
  ["job-config:\n\n# note\n  other: 1\n  method-runner: jobRunner", true],
  ["", false],
  ["method-runner: jobRunner", false],
  ["# job-config:\n  method-runner: jobRunner", false],
  ["job-config:\n  # method-runner: jobRunner\n", false],
  ["job-config:\n  method-runner: server", false],
  ["job-config:\n  method-runner: jobRunners", false],
  ["job-config:\n  x: 1\nservice-config:\n  method-runner: jobRunner", false],
  ["my-job-config: {method-runner: jobRunner}", false],
];

for (const [yaml, direct] of YAML) {
  Deno.test(`planLaunch() ${direct ? "runs the job" : "prints help"} when kbase.yml is ${JSON.stringify(yaml)}`, () => {
    const files = [...JOB, "/kb/module/work/output.json"];
    const { mode } = plan([], { cwd: MODULE, files, texts: { "/kb/module/kbase.yml": yaml } });
    assert.equal(mode, direct ? "kbase" : "help");
  });
}
