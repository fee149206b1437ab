/** `deno task image`: the container image is built from scratch and does in a container what the binary does. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chown, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { preparePodman } from "../../scripts/image_podman.ts";
import { makeDashboardData, METHOD } from "../support/dashboard_data.ts";
import { newSandbox, programs, ROOT } from "../support/glassbox.ts";

/** Only root may install podman and the like, so for others this needs them to be there. */
const CAN_BUILD = Deno.build.os === "linux" &&
  (process.getuid?.() === 0 ? existsSync("/usr/bin/apt-get") : existsSync("/usr/bin/buildah"));

/** A container that has not answered by then never will, and the test says so. */
const HANGING_MS = 300_000;
/** What the image may weigh, in bytes. */
const SIZE_MAX = 130e6;
/** A container is asked to stop and killed after this many seconds. */
const STOP_GRACE_S = 30;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Image extends AsyncDisposable {
  readonly name: string;
  readonly said: string;
  /** `podman ARGS`, with the flags that `podman run` needs on this machine put in. */
  podman(command: string, ...args: string[]): Promise<Ended>;
  config(): Promise<Config>;
}

interface Config {
  readonly User: string;
  readonly Entrypoint: string[];
  readonly WorkingDir: string;
  readonly StopSignal: string;
  readonly Labels: Record<string, string>;
  readonly health: string[];
}

async function run(program: string, args: string[], env: Record<string, string> = {}): Promise<Ended> {
  const options = { args, env, stdin: "null", signal: AbortSignal.timeout(HANGING_MS) } as const;
  const { code, stdout, stderr } = await new Deno.Command(program, options).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** Builds an image of the test's own; disposing removes it. */
async function build(target: "glassbox" | "kbase"): Promise<Image> {
  const name = `localhost/glassbox-test-${crypto.randomUUID().slice(0, 8)}:${target}`;
  const made = await run(Deno.execPath(), [
    "run",
    "-A",
    join(ROOT, "scripts/image.ts"),
    "--target",
    target,
    "--tag",
    name,
  ]);
  assert.equal(made.code, 0, made.stderr);
  const settings = await preparePodman();
  const podman = (command: string, ...args: string[]) =>
    run("podman", [command, ...(command === "run" ? settings.runFlags : []), ...args], settings.env);
  return {
    name,
    said: made.stdout,
    podman,
    config: async () => {
      const [inspected] = JSON.parse((await podman("image", "inspect", name)).stdout);
      return { ...inspected.Config, health: inspected.Healthcheck.Test };
    },
    [Symbol.asyncDispose]: async () => {
      await podman("rmi", "--force", name);
      await settings[Symbol.asyncDispose]();
    },
  };
}

async function temporary(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "glassbox-image-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** The names at the top of the image's file system, and the files that are no library. */
async function contents(image: Image): Promise<{ top: string[]; files: string[] }> {
  await using directory = await temporary();
  const tar = join(directory.path, "image.tar");
  const { stdout } = await image.podman("create", image.name);
  const container = stdout.trim();
  try {
    assert.equal((await image.podman("export", "--output", tar, container)).code, 0);
  } finally {
    await image.podman("rm", container);
  }
  const listed = (await run("tar", ["-tf", tar])).stdout.split("\n").filter((name) => name !== "");
  const top = [...new Set(listed.map((name) => name.split("/")[0] ?? ""))];
  return { top, files: listed.filter((name) => !name.endsWith("/") && !/^lib(64)?\//.test(name)) };
}

Deno.test({
  name: "image makes a container that runs as 65532 when its target is glassbox",
  ignore: !CAN_BUILD,
}, async (t) => {
  await using image = await build("glassbox");
  assert.match(image.said, / · \d+\.\d MB · glassbox · \d+ s\n$/);
  const { stdout: size } = await image.podman("image", "inspect", "--format", "{{.Size}}", image.name);
  assert.ok(Number(size) > 0 && Number(size) <= SIZE_MAX, `the image has ${size.trim()} bytes`);
  const config = await image.config();
  assert.equal(config.User, "65532:65532");
  assert.equal(config.StopSignal, "SIGTERM");
  assert.deepEqual(config.Entrypoint, ["/glassbox"]);
  assert.equal(config.Labels["org.opencontainers.image.licenses"], "MIT");

  await t.step("it holds the binary, its libraries and a few names, and nothing else", async () => {
    const { top, files } = await contents(image);
    const mountPoints = ["dev", "proc", "run", "sys"];
    const own = ["etc", "glassbox", "kb", "lib", "lib64", "tmp", "var"];
    assert.deepEqual(top.filter((name) => !mountPoints.includes(name)).sort(), own);
    assert.deepEqual(files.filter((name) => !name.startsWith("etc/")), ["glassbox"]);
  });

  await t.step("it keeps its rows in a volume, with everything else read-only", async () => {
    await using volume = await temporary();
    await chown(volume.path, 65532, 65532);
    const keep = ["--rm", "--read-only", "--volume", `${volume.path}:/var/lib/glassbox`, image.name];
    const ran = await image.podman("run", ...keep, "run", "--", "/glassbox", "version");
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stdout, /^glassbox \d/);
    assert.equal((await stat(join(volume.path, "glassbox.db"))).uid, 65532);
    const listed = await image.podman("run", ...keep, "jobs", "list", "--json");
    assert.match(listed.stdout, /"completed"/);
  });

  await t.step("it is healthy while it serves, and ends by itself when told to stop", async () => {
    const started = await image.podman("run", "--detach", image.name, "serve", "--port", "0");
    assert.equal(started.code, 0, started.stderr);
    const container = started.stdout.trim();
    try {
      await listening(image, container);
      assert.equal(config.health[0], "CMD");
      const checked = await image.podman("exec", container, ...config.health.slice(1));
      assert.equal(checked.code, 0, checked.stdout + checked.stderr);
      assert.equal((await image.podman("stop", "--time", String(STOP_GRACE_S), container)).code, 0);
      const { stdout } = await image.podman("inspect", "--format", "{{.State.ExitCode}}", container);
      assert.equal(stdout, "0\n");
    } finally {
      await image.podman("rm", "--force", container);
    }
  });
});

Deno.test({
  name: "image makes a container that runs as root in /kb/module when its target is kbase",
  ignore: !CAN_BUILD,
}, async (t) => {
  await using image = await build("kbase");
  const config = await image.config();
  assert.equal(config.User, "0:0");
  assert.equal(config.WorkingDir, "/kb/module");
  assert.deepEqual(config.health, ["NONE"]);

  await using work = await temporary();
  const database = "/kb/module/work/rows.db";
  const mount = ["--rm", "--volume", `${work.path}:/kb/module/work`, image.name];
  const ran = await image.podman("run", ...mount, "run", "--db", database, "--", "/glassbox", "version");
  assert.equal(ran.code, 0, ran.stderr);
  assert.equal((await stat(join(work.path, "rows.db"))).uid, process.getuid?.());

  await t.step(
    "it runs the dashboard for the harness as it would for KBase, and finds its own module",
    async () => {
      await using sandbox = await newSandbox(programs().at(-1)!);
      const data = await makeDashboardData(sandbox);
      const settings = await preparePodman();
      const flags = settings.runFlags.map((flag) => `--podman=${flag}`);
      const job = join(sandbox.directory, "job");
      const params = JSON.stringify({ workspace_name: "lab", input_ref: "lab/tables" });
      const args = ["kbase", "test", "--image", image.name, "--data", data, "--dir", job, "--params", params];
      // podman keeps its images by the home directory of who built them.
      const env = { ...settings.env, HOME: Deno.env.get("HOME"), TMPDIR: Deno.env.get("TMPDIR") };
      const ended = await sandbox.run([...args, "--json", ...flags, METHOD], { env });
      assert.equal(ended.code, 0, ended.err);
      const { verdict, output, saved } = JSON.parse(ended.out);
      assert.deepEqual([verdict.state, verdict.warnings], ["completed", []]);
      assert.equal(output.result[0].report_ref, saved[0].ref);
      assert.match(ended.err, /section \[KBDatalakeDashboard\] of deploy\.cfg, as the module is called/);
      assert.match(ended.err, /^Output directory: \/kb\/module\/work\/tmp\//m);
      await settings[Symbol.asyncDispose]();
    },
  );

  await t.step(
    "it runs a job that waits there when it is started without an argument, and never listens",
    async () => {
      await using waiting = await temporary();
      const input = { version: "1.1", method: "Glassbox.selftest", params: [{ steps: 1 }] };
      await writeFile(join(waiting.path, "input.json"), JSON.stringify(input));
      await writeFile(join(waiting.path, "token"), "TOKEN");
      const ran = await image.podman(
        "run",
        "--rm",
        "--volume",
        `${waiting.path}:/kb/module/work`,
        image.name,
      );
      assert.equal(ran.code, 0, ran.stderr);
      assert.match(ran.stderr, /^START Glassbox\.selftest /m);
      assert.doesNotMatch(ran.stderr, /listening/i);
      const output = JSON.parse(await readFile(join(waiting.path, "output.json"), "utf8"));
      assert.deepEqual(output.result, [{ steps: 1, cancelled: false }]);
    },
  );
});

/** Follows the container's log until the server says that it listens. */
async function listening(image: Image, container: string): Promise<void> {
  const args = ["logs", "--follow", container];
  const command = new Deno.Command("podman", { args, stdin: "null", stdout: "null", stderr: "piped" });
  const logs = command.spawn();
  const told = new TextDecoderStream();
  let text = "";
  try {
    for await (
      const piece of logs.stderr.pipeThrough(told as ReadableWritablePair<string, Uint8Array<ArrayBuffer>>)
    ) {
      text += piece;
      if (/listening on http/.test(text)) return;
    }
    assert.fail(`${image.name} ended before it listened:\n${text}`);
  } finally {
    logs.kill("SIGKILL");
    await logs.status;
  }
}
