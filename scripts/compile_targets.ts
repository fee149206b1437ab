/** The platforms a binary can be made for, and where each one's native parts come from. */
import { existsSync } from "node:fs";
import { copyFile, mkdir, readFile, realpath } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { EXIT, ROOT, runTool, say, ScriptError } from "./compile_steps.ts";

/** One platform, by the names its makers give it. */
export interface Target {
  /** The Rust triple, as `deno compile --target` takes it. */
  readonly triple: string;
  readonly os: "linux" | "darwin";
  readonly arch: "x64" | "arm64";
  /** As `bun build --target` takes it. */
  readonly bunTarget: string;
  /** The npm package that holds the bun executable. */
  readonly bunPackage: string;
  /** The npm package that holds the libSQL addon. */
  readonly addonPackage: string;
}

/** Linux x64 is tested; the others are built and not tested. */
export const TARGETS: readonly Target[] = [
  target("x86_64-unknown-linux-gnu", "linux", "x64", "linux-x64", "linux-x64-gnu"),
  target("aarch64-unknown-linux-gnu", "linux", "arm64", "linux-aarch64", "linux-arm64-gnu"),
  target("x86_64-apple-darwin", "darwin", "x64", "darwin-x64", "darwin-x64"),
  target("aarch64-apple-darwin", "darwin", "arm64", "darwin-aarch64", "darwin-arm64"),
];

function target(triple: string, os: Target["os"], arch: Target["arch"], bun: string, addon: string): Target {
  return {
    triple,
    os,
    arch,
    bunTarget: `bun-${os}-${arch}`,
    bunPackage: `@oven/bun-${bun}`,
    addonPackage: `@libsql/${addon}`,
  };
}

/** The target with this triple; this machine's own when none is named. */
export function findTarget(triple: string = Deno.build.target): Target {
  const found = TARGETS.find((one) => one.triple === triple);
  if (found !== undefined) return found;
  const known = TARGETS.map((one) => one.triple).join(", ");
  throw new ScriptError(EXIT.usage, `Cannot compile for "${triple}": target must be one of ${known}`);
}

export function isThisMachine(target: Target): boolean {
  return target.triple === Deno.build.target;
}

/** Native parts for a target: the bun executable and the libSQL addon, with the version of bun. */
export interface NativeParts {
  readonly bun: string;
  readonly bunVersion: string;
  readonly addon: string;
}

/**
 * Finds a target's native parts in node_modules. For another machine's target they are installed beside it first,
 * by the same frozen deno.lock, so that their integrity is checked in the same way.
 */
export async function findNativeParts(target: Target): Promise<NativeParts> {
  const home = isThisMachine(target) ? ROOT : await installFor(target);
  const bunHome = await packageHome(home, "bun", target.bunPackage);
  const addonHome = await packageHome(home, "libsql", target.addonPackage);
  const { version } = JSON.parse(await readFile(join(bunHome, "package.json"), "utf8"));
  return { bun: join(bunHome, "bin", "bun"), bunVersion: version, addon: join(addonHome, "index.node") };
}

/** Where an optional dependency of `owner` lies: only its owner can resolve it in an isolated node_modules. */
async function packageHome(home: string, owner: string, name: string): Promise<string> {
  const ownerHome = join(home, "node_modules", owner);
  try {
    const require = createRequire(join(await realpath(ownerHome), "package.json"));
    return join(require.resolve(`${name}/package.json`), "..");
  } catch {
    throw new ScriptError(
      EXIT.unavailable,
      `Cannot find npm package ${name} under ${ownerHome}: run "deno install" in the project and try again`,
    );
  }
}

async function installFor(target: Target): Promise<string> {
  const home = join(ROOT, ".cache", "targets", target.triple);
  await mkdir(home, { recursive: true });
  for (const file of ["deno.json", "deno.lock"]) await copyFile(join(ROOT, file), join(home, file));
  if (!existsSync(join(home, "node_modules"))) say(`Installing packages for ${target.triple} into ${home}`);
  const args = ["install", "--frozen", "--os", target.os, "--arch", target.arch];
  const { code, output } = await runTool(Deno.execPath(), args, { cwd: home });
  if (code !== 0) {
    throw new ScriptError(EXIT.unavailable, `Cannot install for ${target.triple}: ${output.trim()}`);
  }
  return home;
}
