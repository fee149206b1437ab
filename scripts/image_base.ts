/**
 * The image that the Dockerfile's build stage starts from: Deno's own where its registry can be reached, else a
 * stand-in of the same shape made from Debian packages and the Deno that runs this script.
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { EXIT, ROOT, runTool, say, ScriptError } from "./compile_steps.ts";

/** How long a registry may take before the stand-in is made instead. */
const PULL_MS = 120_000;

/** The name of an image that can start a build here, and whether it is the stand-in. */
export interface BuildBase {
  readonly image: string;
  readonly standIn: boolean;
}

/** Finds, pulls or makes the base. What it chose, and why, goes to stderr. */
export async function findBuildBase(): Promise<BuildBase> {
  const official = await officialImage();
  if (await isStored(official)) return { image: official, standIn: false };
  const { code, output } = await runTool("podman", ["pull", "--quiet", official], {
    signal: AbortSignal.timeout(PULL_MS),
  });
  if (code === 0) return { image: official, standIn: false };
  const image = `localhost/glassbox-build-base:deno-${Deno.version.deno}`;
  const why = output.trim().split(": ").at(-1) || `no answer within ${PULL_MS / 1000} s`;
  say(`Cannot pull ${official} (${why}). Using a stand-in for it, ${image}, made here from Debian packages.`);
  if (!await isStored(image)) await makeStandIn(image);
  return { image, standIn: true };
}

/** The Dockerfile is the one place that names the image users build from. */
async function officialImage(): Promise<string> {
  const name = /^ARG DENO_IMAGE=(\S+)$/m.exec(await Deno.readTextFile(join(ROOT, "Dockerfile")))?.[1];
  if (name === undefined) {
    throw new ScriptError(EXIT.software, "Cannot find ARG DENO_IMAGE in the Dockerfile");
  }
  return name;
}

async function isStored(image: string): Promise<boolean> {
  return (await runTool("podman", ["image", "exists", image])).code === 0;
}

/** The machine's certificates and npm registry go into the stand-in only: the Dockerfile stays true everywhere. */
async function makeStandIn(image: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "glassbox-base-"));
  try {
    const tar = join(directory, "base.tar");
    const hooks = [`upload ${Deno.execPath()} /usr/bin/deno`, 'chmod 755 "$1/usr/bin/deno"'];
    const certificates = machineCertificates();
    if (certificates !== null) hooks.push(`upload ${certificates} /etc/ssl/certs/ca-certificates.crt`);
    const options = ["--variant=minbase", "--include=ca-certificates", "--quiet"];
    await must("mmdebstrap", [
      ...options,
      ...hooks.map((hook) => `--customize-hook=${hook}`),
      "bookworm",
      tar,
    ]);
    const environment = { DENO_DIR: "/deno-dir", ...await registryEnvironment(certificates !== null) };
    const changes = Object.entries(environment).map(([name, value]) => `--change=ENV ${name}=${value}`);
    await must("podman", ["import", "--quiet", ...changes, tar, image]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A file of certificates this machine was told to trust besides the usual ones, or null. */
function machineCertificates(): string | null {
  const named = ["DENO_CERT", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"].map((name) => process.env[name]);
  return named.find((file) => file !== undefined && existsSync(file)) ?? null;
}

async function registryEnvironment(ownCertificates: boolean): Promise<Record<string, string>> {
  const asked = await runTool("npm", ["config", "get", "registry"]).catch(() => null);
  const registry = /^https?:\/\/\S+$/m.exec(asked?.output ?? "")?.[0];
  return {
    ...(registry === undefined ? {} : { NPM_CONFIG_REGISTRY: registry }),
    ...(ownCertificates ? { NODE_EXTRA_CA_CERTS: "/etc/ssl/certs/ca-certificates.crt" } : {}),
  };
}

async function must(program: string, args: readonly string[]): Promise<void> {
  const { code, output } = await runTool(program, args);
  if (code !== 0) {
    throw new ScriptError(EXIT.unavailable, `${program} ended with code ${code}:\n${output.trim()}`);
  }
}
