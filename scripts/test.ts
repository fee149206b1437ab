/** `deno task test` and `deno task test:long`: makes the binary, runs the tests, and ends with their count. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { EXIT, ROOT, runScript, say, ScriptError } from "./compile_steps.ts";
import { HeldOutput } from "./held_output.ts";
import { type DebianPackages, installMissing } from "./debian_packages.ts";

const HELP = `deno task test [--source|--binary] [--filter TEXT] [paths]
deno task test:long [--seed N] [--source|--binary] [--filter TEXT] [paths]

Runs the tests under src/ and tests/, or those of the paths named, and ends with a line "N passed, N failed".
The binary is made first; Debian packages that the tests run programs from are installed when run as root.

  --source        no binary: suites that drive the program do so through "deno run main.ts" only
  --binary        suites that drive the program do so through dist/glassbox only
  --filter TEXT   only tests whose name holds TEXT, or matches it when written /like this/
  --seed N        test:long: the seed of what is random; a new one, printed, when left out

Exit: 0 all passed, 1 a test failed or none ran, 64 wrong arguments, 69 a part cannot be had here.`;

/** Programs that tests start as jobs; what is not there is installed. Node and npm come before any of this. */
const PACKAGES: DebianPackages = {
  chromium: "chromium",
  coreutils: "stdbuf",
  faketime: "faketime",
  e2fsprogs: "mkfs.ext4",
  gcc: "gcc",
  "libc6-dev": "/usr/include/stdio.h",
  mawk: "awk",
  python3: "python3",
  strace: "strace",
};

/** Suites that run long are kept here, and marked elsewhere by reading GLASSBOX_LONG. */
const LONG_DIRECTORY = "tests/long";
const RIGS_DIRECTORY = "tests/faults";

interface Options {
  readonly long: boolean;
  readonly program: "source" | "binary" | "both";
  readonly filter: string | null;
  readonly seed: string;
  readonly paths: readonly string[];
}

interface Count {
  readonly passed: number;
  readonly failed: number;
  /** Each failed test with the first line of its error. */
  readonly failures: readonly string[];
  readonly ignored: number;
}

await runScript(async () => {
  const options = parseOptions(Deno.args);
  if (options === null) return console.log(HELP);
  await installMissing(PACKAGES, "run the tests");
  if (options.program !== "source") await makeBinary();
  if (options.long) {
    say(`Seed ${options.seed}: to repeat this run, "deno task test:long --seed ${options.seed}"`);
  }
  const count = await runTests(options);
  if (count.ignored > 0) say(`${count.ignored} ignored: each "ignored" line above says which`);
  if (count.passed + count.failed === 0) say("No test ran: look at the filter and the paths");
  // Two groups are shown one after the other: what failed in the first is far above by now.
  for (const failure of count.failures) say(`Failed: ${failure}`);
  console.log(`${count.passed} passed, ${count.failed} failed`);
  return count.failed === 0 && count.passed > 0 ? 0 : 1;
});

function parseOptions(args: string[]): Options | null {
  const { values, positionals } = parsed(args);
  if (values.help) return null;
  if (values.source && values.binary) {
    throw new ScriptError(
      EXIT.usage,
      "--source and --binary exclude each other: leave both out to test both",
    );
  }
  const missing = positionals.find((path) => !existsSync(join(ROOT, path)));
  if (missing !== undefined) {
    throw new ScriptError(EXIT.noInput, `Cannot test ${missing}: there is no such file`);
  }
  const long = values.long ?? false;
  return {
    long,
    program: values.source ? "source" : values.binary ? "binary" : "both",
    filter: values.filter ?? null,
    seed: values.seed ?? String(crypto.getRandomValues(new Uint32Array(1))[0]),
    paths: positionals.length > 0 ? positionals : long ? ["tests"] : ["src", "tests"],
  };
}

function parsed(args: string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const options = { source: flag, binary: flag, filter: text, seed: text, long: flag, help: flag } as const;
  try {
    return parseArgs({ args, allowPositionals: true, options });
  } catch (error) {
    throw new ScriptError(EXIT.usage, `${(error as Error).message}\n\n${HELP}`);
  }
}

async function makeBinary(): Promise<void> {
  const args = ["run", "-A", join(ROOT, "scripts/compile.ts")];
  const { code } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT, stdin: "null" }).spawn().status;
  if (code !== 0) throw new ScriptError(code, "Cannot test as there is no binary: see the lines above");
}

/** The rigs wait much for processes, so all other tests are run beside them. What was named is run in one piece. */
function groupsOf({ paths, long }: Options): (readonly string[])[] {
  if (long || !paths.includes("tests")) return [paths];
  const others = [...Deno.readDirSync(join(ROOT, "tests"))].map(({ name }) => `tests/${name}`)
    .filter((path) => path !== RIGS_DIRECTORY && path !== LONG_DIRECTORY).sort();
  return [[...paths.filter((path) => path !== "tests"), ...others], [RIGS_DIRECTORY]];
}

/** Types are checked by `deno task check`, once. */
async function runTests(options: Options): Promise<Count> {
  let shown: Promise<unknown> = Promise.resolve();
  const running = groupsOf(options).map((paths) => {
    const { count, output } = runGroup(options, paths);
    // The groups run at once; their output is shown one after the other.
    shown = shown.then(() => output.show());
    return count;
  });
  const counts = await Promise.all(running);
  await shown;
  return counts.reduce((sum, { passed, failed, ignored, failures }) => ({
    passed: sum.passed + passed,
    failed: sum.failed + failed,
    ignored: sum.ignored + ignored,
    failures: [...sum.failures, ...failures],
  }));
}

function runGroup(
  options: Options,
  paths: readonly string[],
): { count: Promise<Count>; output: HeldOutput } {
  const filter = options.filter === null ? [] : ["--filter", options.filter];
  const ignore = options.long ? [] : [`--ignore=${LONG_DIRECTORY}`];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", ...ignore, ...filter, ...paths],
    cwd: ROOT,
    env: testEnvironment(options),
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const output = new HeldOutput();
  const count = output.take(child.stdout).then(async () => {
    const { code, signal } = await child.status;
    if (signal !== null) say(`The test runner was ended by ${signal}`);
    else if (code !== 0) say(`The test runner ended with exit code ${code}`);
    return countOf(output.tail, code);
  });
  return { count, output };
}

/** What the suites read: which form of the program to drive, and whether the long tests are wanted. */
function testEnvironment(options: Options): Record<string, string> {
  return {
    GLASSBOX_TEST_PROGRAM: options.program,
    ...(process.stdout.isTTY ? {} : { NO_COLOR: "1" }),
    ...(options.long ? { GLASSBOX_LONG: "1", GLASSBOX_SEED: options.seed } : {}),
  };
}

/** Deno's own last line counts files that did not load, which its JUnit report leaves out; a crash has no such line. */
function countOf(tail: string, code: number): Count {
  // deno-lint-ignore no-control-regex
  const plain = tail.replace(/\x1b\[[0-9;]*m/g, "");
  const line = /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed.*$/gm;
  const last = [...plain.matchAll(line)].at(-1);
  const passed = Number(last?.[1] ?? 0);
  const failed = Number(last?.[2] ?? 0);
  const ignored = Number(/ \| (\d+) ignored/.exec(last?.[0] ?? "")?.[1] ?? 0);
  const failures = [...plain.matchAll(/^(.+) => (\.\/\S+:\d+:\d+)\nerror: (.*)$/gm)]
    .map(([, name, place, error]) => `${name} (${place}): ${error}`);
  return { passed, failed: code !== 0 && failed === 0 ? 1 : failed, ignored, failures };
}
