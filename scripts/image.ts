/** `deno task image`: builds the container image from the Dockerfile, then runs it to show that it works. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { EXIT, ROOT, runScript, runTool, say, ScriptError } from "./compile_steps.ts";
import { type DebianPackages, installMissing } from "./debian_packages.ts";
import { findBuildBase } from "./image_base.ts";
import { preparePodman } from "./image_podman.ts";

const HELP = `deno task image [--target glassbox|kbase] [--engine deno|bun] [--tag NAME]

Builds the container image with buildah and runs it with podman. Missing tools are installed by apt-get when run as
root. Where Deno's image cannot be pulled, a stand-in for it is made from Debian packages.

  --target NAME       glassbox (runs as user 65532) or kbase (runs as root in /kb/module); glassbox when left out
  --engine deno|bun   as for "deno task compile"; with none named deno first, then bun
  --tag NAME          localhost/glassbox:VERSION, or localhost/glassbox-kbase:VERSION, when left out

Exit: 0 built and ran, 64 wrong arguments, 69 a part cannot be had here, 70 the build or the image failed.`;

const PACKAGES: DebianPackages = {
  podman: "podman",
  buildah: "buildah",
  runc: "runc",
  mmdebstrap: "mmdebstrap",
  catatonit: "catatonit",
  netavark: "/usr/lib/podman/netavark",
  "aardvark-dns": "/usr/lib/podman/aardvark-dns",
  iptables: "iptables",
};

/** What the image is asked to do, once it is built: it must answer each with exit code 0. */
const TRIALS: readonly (readonly string[])[] = [
  ["version"],
  ["run", "--", "/glassbox", "version"],
  ["doctor"],
];

interface Options {
  readonly target: string;
  readonly engine: string;
  readonly tag: string;
}

await runScript(async () => {
  const options = await parseOptions(Deno.args);
  if (options === null) return console.log(HELP);
  const startedMs = performance.now();
  await installMissing(PACKAGES, "build an image");
  const { image: base } = await findBuildBase();
  await build(options, base);
  await tryImage(options);
  const size = await runTool("podman", ["image", "inspect", "--format", "{{.Size}}", options.tag]);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
  console.log(
    `${options.tag} · ${(Number(size.output) / 1e6).toFixed(1)} MB · ${options.target} · ${seconds} s`,
  );
});

async function parseOptions(args: string[]): Promise<Options | null> {
  const { values } = parsed(args);
  if (values.help) return null;
  const target = oneOf("--target", values.target ?? "glassbox", ["glassbox", "kbase"]);
  const engine = oneOf("--engine", values.engine ?? "", ["deno", "bun", ""]);
  const { version } = JSON.parse(await readFile(join(ROOT, "deno.json"), "utf8"));
  const name = target === "kbase" ? "glassbox-kbase" : "glassbox";
  return { target, engine, tag: values.tag ?? `localhost/${name}:${version}` };
}

function parsed(args: string[]) {
  const text = { type: "string" } as const;
  try {
    return parseArgs({ args, options: { target: text, engine: text, tag: text, help: { type: "boolean" } } });
  } catch (error) {
    throw new ScriptError(EXIT.usage, `${(error as Error).message}\n\n${HELP}`);
  }
}

function oneOf(flag: string, value: string, allowed: readonly string[]): string {
  if (allowed.includes(value)) return value;
  const known = allowed.filter((one) => one !== "").map((one) => `"${one}"`).join(" or ");
  throw new ScriptError(EXIT.usage, `${flag} must be ${known}: current value is "${value}"`);
}

/**
 * The docker format keeps the health check, which the OCI format has no place for. No layers are kept, as a build
 * from nothing takes seconds and they take hundreds of megabytes; nor is the image that had this name before.
 */
async function build(options: Options, base: string): Promise<void> {
  const before = await imageId(options.tag);
  const { version } = JSON.parse(await readFile(join(ROOT, "deno.json"), "utf8"));
  const where = ["--pull-never", "--isolation=chroot", "--network=host", "--format=docker", "--layers=false"];
  const what = ["--build-arg", `DENO_IMAGE=${base}`, "--build-arg", `ENGINE=${options.engine}`];
  const label = ["--label", `org.opencontainers.image.version=${version}`];
  const args = ["build", ...where, ...what, ...label, "--target", options.target, "--tag", options.tag, ROOT];
  if (await runShown("buildah", args) !== 0) {
    throw new ScriptError(EXIT.software, `Cannot build ${options.tag}: see the lines above`);
  }
  if (before !== "" && before !== await imageId(options.tag)) await runTool("podman", ["rmi", before]);
}

/** Empty when there is no image of that name. */
async function imageId(name: string): Promise<string> {
  const { output } = await runTool("podman", ["images", "--quiet", "--no-trunc", name]);
  return output.trim();
}

async function tryImage(options: Options): Promise<void> {
  await using podman = await preparePodman();
  for (const trial of TRIALS) {
    const code = await runShown(
      "podman",
      ["run", "--rm", ...podman.runFlags, options.tag, ...trial],
      podman.env,
    );
    if (code === 0) continue;
    throw new ScriptError(EXIT.software, `${options.tag} answered "${trial.join(" ")}" with code ${code}`);
  }
}

/** Runs a tool with its output going straight to ours. */
async function runShown(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<number> {
  say(`$ ${program} ${args.join(" ")}`);
  const child = new Deno.Command(program, { args: [...args], env, stdin: "null" }).spawn();
  return (await child.status).code;
}
