/** `deno task compile`: what it makes, what that reads, and what it says when a part cannot be had. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newSandbox, programs, ROOT } from "../support/glassbox.ts";
import { startSqld } from "../support/sqld.ts";

const PROBE = join(ROOT, "tests/fixtures/compile/main.ts");
/** A program that has not ended by then never will, and the test says so. */
const HANGING_MS = 120_000;
const IS_LONG = Deno.env.get("GLASSBOX_LONG") === "1";

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(program: string, args: string[], options: Deno.CommandOptions = {}): Promise<Ended> {
  const env = { NO_COLOR: "1", ...options.env };
  const signal = AbortSignal.timeout(HANGING_MS);
  const command = new Deno.Command(program, { ...options, args, env, signal, stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

function compile(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  return run(Deno.execPath(), ["run", "-A", join(ROOT, "scripts/compile.ts"), ...args], { env });
}

/** A directory of the test's own, removed at its end. */
async function temporary(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "glassbox-compile-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** The probe compiled with bun, by which a machine that cannot reach Deno's release host is served too. */
async function compiledProbe(): Promise<{ path: string; binary: string; said: string } & AsyncDisposable> {
  const directory = await temporary();
  const binary = join(directory.path, "made", "probe");
  const { code, stdout, stderr } = await compile(["--engine", "bun", "--main", PROBE, "--outfile", binary]);
  assert.equal(code, 0, stderr);
  return { ...directory, binary, said: stdout };
}

/** Settings under which Deno cannot fetch anything: an empty cache, and a proxy at `port`. */
function withoutReleaseHost(directory: string, port: number): Record<string, string> {
  const proxy = `http://127.0.0.1:${port}`;
  return { DENO_DIR: directory, HTTPS_PROXY: proxy, https_proxy: proxy, NO_PROXY: "", no_proxy: "" };
}

Deno.test("compile makes a program that opens libSQL, starts children and names its engine when asked for bun", async () => {
  await using probe = await compiledProbe();
  assert.match(
    probe.said,
    /probe · \d+\.\d MB \(program \d+\.\d+ MB\) · bun \d+\.\d+\.\d+ · \S+ · \d+\.\d s\n$/,
  );
  assert.deepEqual((await readdir(join(probe.path, "made"))).sort(), ["bundle", "probe"]);
  const facts = await run(probe.binary, ["facts"]);
  assert.deepEqual(JSON.parse(facts.stdout), { engine: "bun", main: true, trap: null });
  assert.equal((await run(probe.binary, ["open"])).stdout, "42\n");
  assert.equal((await run(probe.binary, ["child"])).stdout, "through three\n");
});

Deno.test("compile makes a program that reads nothing around it when it starts", async () => {
  await using probe = await compiledProbe();
  const place = join(probe.path, "place");
  for (const name of ["bufferutil", "utf-8-validate", "@libsql/linux-x64-gnu", "libsql"]) {
    await mkdir(join(place, "node_modules", name), { recursive: true });
    await writeFile(join(place, "node_modules", name, "index.js"), "console.log('TRAPPED by a package')");
  }
  await writeFile(join(place, ".env"), "COMPILE_TRAP=dotenv\n");
  await writeFile(join(place, "preload.js"), "console.log('TRAPPED by bunfig.toml')");
  await writeFile(join(place, "bunfig.toml"), 'preload = ["./preload.js"]\n');
  await writeFile(join(place, "package.json"), '{ "type": "commonjs", "main": "preload.js" }');
  await writeFile(
    join(place, "tsconfig.json"),
    '{ "compilerOptions": { "paths": { "*": ["./preload.js"] } } }',
  );
  const facts = await run(probe.binary, ["facts"], { cwd: place });
  assert.deepEqual(JSON.parse(facts.stdout), { engine: "bun", main: true, trap: null });
  const opened = await run(probe.binary, ["open"], { cwd: place });
  assert.deepEqual(opened, { code: 0, stdout: "42\n", stderr: "" });
  const sockets = await run(probe.binary, ["sockets"], { cwd: place });
  assert.deepEqual(sockets, { code: 0, stdout: "0\n", stderr: "" });
});

for (const program of programs().filter(({ name }) => name === "binary")) {
  Deno.test("dist/glassbox takes nothing from a .env or bunfig.toml where it stands, and passes nothing of it on", async () => {
    await using sandbox = await newSandbox(program);
    await writeFile(join(sandbox.cwd, ".env"), "COMPILE_TRAP=dotenv\nGLASSBOX_DB=/nowhere/trap.db\n");
    await writeFile(join(sandbox.cwd, "preload.js"), "console.log('TRAPPED by bunfig.toml')");
    await writeFile(join(sandbox.cwd, "bunfig.toml"), 'preload = ["./preload.js"]\n');
    const ended = await sandbox.run(["run", "--", "sh", "-c", 'echo "[$COMPILE_TRAP]"']);
    assert.deepEqual([ended.code, ended.out], [0, "[]\n"], ended.err);
  });
}

Deno.test("compile makes a program that loads libSQL only when it opens a database", async () => {
  await using probe = await compiledProbe();
  const env = { TMPDIR: join(probe.path, "missing"), BUN_TMPDIR: join(probe.path, "missing") };
  assert.equal((await run(probe.binary, ["facts"], { env })).code, 0);
  const opened = await run(probe.binary, ["open"], { env });
  assert.notEqual(opened.code, 0);
  assert.match(opened.stderr, /Cannot load the libSQL library as the temporary directory must be writable/);
});

Deno.test("compile makes a program that speaks to a libSQL server by HTTP and by WebSocket", async () => {
  await using probe = await compiledProbe();
  await using server = await startSqld(join(probe.path, "server"));
  for (const url of [server.url, server.url.replace("http:", "ws:")]) {
    assert.deepEqual(await run(probe.binary, ["open", url]), { code: 0, stdout: "42\n", stderr: "" }, url);
  }
});

Deno.test("compile makes a program whose stack names its functions when it throws", async () => {
  await using probe = await compiledProbe();
  const { stderr } = await run(probe.binary, ["throw"]);
  assert.match(stderr, /thrown on purpose/);
  assert.match(stderr, /at throwFromDepth \(.*:\d+:\d+\)/);
});

Deno.test("compile makes an entry for deno that runs the same program when started by deno itself", async () => {
  await using probe = await compiledProbe();
  const entry = join(probe.path, "made", "bundle", "deno.mjs");
  const start = ["run", "-A", "--no-config", entry];
  const facts = await run(Deno.execPath(), [...start, "facts"]);
  assert.deepEqual(JSON.parse(facts.stdout), { engine: "deno", main: true, trap: null });
  assert.equal((await run(Deno.execPath(), [...start, "open"])).stdout, "42\n");
  assert.equal((await run(Deno.execPath(), [...start, "child"])).stdout, "through three\n");
  const { stderr } = await run(Deno.execPath(), [...start, "throw"]);
  assert.match(stderr, /at throwFromDepth \(.*glassbox\.mjs:\d+:\d+\)/);
});

Deno.test("compile embeds the program and the addon and nothing else when asked for deno", async () => {
  await using directory = await temporary();
  const binary = join(directory.path, "probe");
  // Any executable serves as the base: this shows what is embedded, not that it runs.
  const base = "/bin/true";
  const made = await compile(["--engine", "deno", "--main", PROBE, "--outfile", binary], {
    DENORT_BIN: base,
  });
  assert.equal(made.code, 0, made.stderr);
  const addon = await stat(join(directory.path, "bundle", "libsql.node"));
  const program = await readFile(join(directory.path, "bundle", "glassbox.mjs"));
  const bytes = await readFile(binary);
  assert.ok(bytes.includes(program), "the program is not in the binary");
  assert.ok(bytes.includes("libsql.node"), "the addon's name is not in the binary");
  const over = bytes.length - addon.size - program.length - (await stat(base)).size;
  assert.ok(over > 0 && over < 100_000, `${over} bytes beside program and addon`);
});

Deno.test("compile takes bun and says why in one line when no engine is named and deno's cannot be had", async () => {
  await using directory = await temporary();
  const env = withoutReleaseHost(join(directory.path, "cache"), 1);
  const made = await compile(["--main", PROBE, "--outfile", join(directory.path, "probe")], env);
  assert.equal(made.code, 0, made.stderr);
  assert.match(
    made.stderr,
    /^Cannot use deno compile as its base binary .* Compiling with bun \S+ instead\.\n$/m,
  );
  assert.doesNotMatch(made.stderr, /backtrace/i);
  assert.match(made.stdout, / · bun /);
});

Deno.test("compile ends with 69 and makes nothing when deno is named and its release host is silent", async () => {
  await using directory = await temporary();
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as { port: number };
  try {
    const env = withoutReleaseHost(join(directory.path, "cache"), port);
    const made = await compile([
      "--engine",
      "deno",
      "--main",
      PROBE,
      "--outfile",
      join(directory.path, "probe"),
    ], env);
    assert.equal(made.code, 69, made.stderr);
    assert.match(
      made.stderr,
      /^error: Cannot use deno compile as .* did not answer within 5 s\. .*DENORT_BIN/m,
    );
    assert.equal(made.stdout, "");
    assert.deepEqual((await readdir(directory.path)).sort(), ["bundle", "cache"]);
  } finally {
    silent.close();
  }
});

for (
  const [args, exit, message] of [
    [["--engine", "node"], 64, /--engine must be "deno" or "bun": current value is "node"/],
    [["--target", "vax"], 64, /Cannot compile for "vax": target must be one of x86_64-unknown-linux-gnu, /],
    [["--frobnicate"], 64, /--frobnicate/],
    [["--main", "no/such.ts"], 66, /no\/such\.ts: there is no such file/],
  ] as const
) {
  Deno.test(`compile ends with ${exit} when its arguments are "${args.join(" ")}"`, async () => {
    const { code, stderr } = await compile([...args]);
    assert.equal(code, exit, stderr);
    assert.match(stderr, message);
  });
}

const FOREIGN = {
  "aarch64-unknown-linux-gnu": [0x7f, 0x45, 0x4c, 0x46],
  "aarch64-apple-darwin": [0xcf, 0xfa, 0xed, 0xfe],
};

for (const [triple, magic] of Object.entries(FOREIGN)) {
  Deno.test(
    { name: `compile makes a file of its format when the target is ${triple}`, ignore: !IS_LONG },
    async () => {
      await using directory = await temporary();
      const binary = join(directory.path, "probe");
      const made = await compile([
        "--engine",
        "bun",
        "--target",
        triple,
        "--main",
        PROBE,
        "--outfile",
        binary,
      ]);
      assert.equal(made.code, 0, made.stderr);
      assert.deepEqual([...(await readFile(binary)).subarray(0, 4)], magic);
      assert.match(made.stdout, new RegExp(` · ${triple} · `));
    },
  );
}
