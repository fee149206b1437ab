/**
 * The main job, twice: a real program over a real data file, first straight from the command line, then the same
 * request through `serve`. Shows both rows and that their digests agree; exits 1 when they do not.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

const root = new URL("..", import.meta.url).pathname;
const binary = join(root, "dist/glassbox");
const example = join(root, "examples/nile");
const directory = mkdtempSync(join(tmpdir(), "glassbox-demo-"));
const environment = { ...process.env, GLASSBOX_DB: join(directory, "demo.db"), TZ: "UTC" };
const program = [
  "awk",
  "-v",
  "svg=nile.svg",
  "-v",
  "pause=0.15",
  "-f",
  join(example, "analyse.awk"),
  join(example, "nile.csv"),
];

function say(text: string): void {
  console.error(`\n\x1b[1m${text}\x1b[0m`);
}

/** Runs the binary with our standard error, so that everything is seen as it comes; gives standard output. */
function glassbox(args: readonly string[], show: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    console.error(`\x1b[2m$ glassbox ${args.join(" ").replaceAll(root, "")}\x1b[0m`);
    const child = spawn(binary, args, {
      cwd: directory,
      env: environment,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let out = "";
    child.stdout.on("data", (bytes) => {
      out += bytes;
      if (show) process.stdout.write(bytes);
    });
    child.on("error", reject);
    child.on(
      "close",
      (code) => code === 0 ? resolve(out) : reject(new Error(`glassbox ${args[0]} ended with ${code}`)),
    );
  });
}

async function throughServe(request: unknown): Promise<string> {
  const server = spawn(binary, ["serve", "--port", "0", "--log-format", "json"], {
    cwd: directory,
    env: environment,
    stdio: ["ignore", "ignore", "pipe"],
  });
  try {
    const url = await listeningUrl(server.stderr);
    const submitted = await fetch(`${url}/api/v1/jobs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
    });
    assert.equal(submitted.status, 201, await submitted.clone().text());
    const { id } = await submitted.json();
    await watch(`${url}/api/v1/jobs/${id}/stream`);
    return id;
  } finally {
    server.kill("SIGTERM");
    await new Promise((resolve) => server.on("exit", resolve));
  }
}

async function listeningUrl(stderr: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const bytes of stderr) {
    text += new TextDecoder().decode(bytes);
    const found = /"url":"([^"]+)"/.exec(text);
    if (found !== null) return found[1]!.replace(/\/$/, "");
  }
  throw new Error(`serve ended before it listened: ${text}`);
}

/** Prints the lines of a server-sent event stream until its `end`. */
async function watch(url: string): Promise<void> {
  const response = await fetch(url, { headers: { accept: "text/event-stream" } });
  assert.equal(response.status, 200);
  let text = "";
  for await (const bytes of response.body!) {
    text += new TextDecoder().decode(bytes);
    const blocks = text.split("\n\n");
    text = blocks.pop()!;
    for (const block of blocks) {
      const kind = /^event: ?(.*)$/m.exec(block)?.[1];
      const data = /^data: ?(.*)$/m.exec(block)?.[1];
      if (kind === "line" && data !== undefined) console.log(JSON.parse(data).text);
      if (kind === "end") return;
    }
  }
}

try {
  if (!existsSync(binary)) throw new Error("dist/glassbox is not there: run `deno task compile` first");
  say("1. Straight from the command line");
  await glassbox(["run", "--artifact", "nile.svg", "--", ...program], true);
  const first = JSON.parse(await glassbox(["jobs", "show", "latest", "--json", "--quiet"], false));

  say("2. The same request through serve");
  const { task, input, graceMs, outputBytesMax } = first.job;
  const id = await throughServe({ task, input, graceMs, outputBytesMax });
  const second = JSON.parse(await glassbox(["jobs", "show", id, "--json", "--quiet"], false));

  say("3. Both rows");
  await glassbox(["jobs", "list", "--quiet"], true);
  await glassbox(["jobs", "artifacts", "latest", "nile.svg", "--to", join(root, "dist/nile.svg")], false);
  console.log(`digest of the first   ${first.digest}\ndigest of the second  ${second.digest}`);
  assert.equal(second.digest, first.digest, "The two launches left different records");
  console.log(
    "The digests agree: row, events, lines, result and artifact are the same. The chart is dist/nile.svg",
  );
} finally {
  rmSync(directory, { recursive: true, force: true });
}
