/** The binary by `deno compile`: the release build. It needs Deno's base binary, which Deno downloads once. */
import { mkdtemp, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Bundle } from "./bundle.ts";
import { EXIT, runTool, ScriptError } from "./compile_steps.ts";
import type { Target } from "./compile_targets.ts";

/** How long the release host may take to answer at all, before it counts as out of reach. */
const PROBE_MS = 5_000;

/** Says why Deno's base binary cannot be had here; every other failure is thrown. */
export interface NoBaseBinary {
  readonly missing: string;
}

/** Compiles `bundle` into `outfile`. An older file there is replaced only by a finished one. */
export async function compileWithDeno(
  bundle: Bundle,
  target: Target,
  outfile: string,
): Promise<{ made: string } | NoBaseBinary> {
  const directory = await mkdtemp(join(dirname(outfile), ".compile-"));
  try {
    const made = join(directory, basename(outfile));
    const missing = await runCompile(bundle, target, made);
    if (missing !== null) return { missing };
    await rename(made, outfile);
    return { made: outfile };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Null when `made` was written, else why there is no base binary. */
async function runCompile(bundle: Bundle, target: Target, made: string): Promise<string | null> {
  const stop = new AbortController();
  let unreachable: string | null = null;
  let probing = false;
  const onOutput = (output: string) => {
    const url = /^Download (\S*denort\S*)/m.exec(output)?.[1];
    if (url === undefined || probing) return;
    probing = true;
    probe(url, stop.signal).then((reason) => {
      if (reason === null || stop.signal.aborted) return;
      unreachable = reason;
      stop.abort();
    });
  };
  const { code, output } = await runTool(Deno.execPath(), compileArgs(bundle, target, made), {
    cwd: dirname(bundle.entries.deno),
    signal: stop.signal,
    onOutput,
  });
  stop.abort();
  if (code === 0) return null;
  if (unreachable !== null) return unreachable;
  if (/Setting up base binary|Could not find denort/.test(output)) return baseBinaryReason(output);
  throw new ScriptError(EXIT.software, `deno compile ended with code ${code}:\n${withoutBacktrace(output)}`);
}

/** With node_modules in reach `deno compile` would embed all of it, development packages included. */
function compileArgs(bundle: Bundle, target: Target, made: string): string[] {
  const place = ["--target", target.triple, "--output", made];
  const files = ["--include", bundle.addon, "--include", bundle.texts];
  const flags = ["-A", "--no-config", "--no-lock", "--node-modules-dir=none", "--app-name", "glassbox"];
  return ["compile", ...flags, ...place, ...files, bundle.entries.deno];
}

/** A host that swallows packets would hold `deno compile` for minutes, so it is asked for its answer beside it. */
async function probe(url: string, signal: AbortSignal): Promise<string | null> {
  const timeout = AbortSignal.timeout(PROBE_MS);
  try {
    const response = await fetch(url, { method: "HEAD", signal: AbortSignal.any([signal, timeout]) });
    await response.body?.cancel();
    return null;
  } catch (error) {
    if (timeout.aborted) return `${new URL(url).host} did not answer within ${PROBE_MS / 1000} s`;
    return `${new URL(url).host} cannot be reached (${lastCause(innermost(error))})`;
  }
}

function baseBinaryReason(output: string): string {
  const causes = [...output.matchAll(/^\s+\d+: (.+)$/gm)].map((one) => one[1] ?? "");
  const url = causes.map((one) => /for url \((\S+)\)/.exec(one)?.[1]).find((one) => one !== undefined);
  if (url === undefined) return causes.find((one) => /denort/.test(one)) ?? "deno compile cannot set it up";
  return `${new URL(url).host} cannot be reached (${lastCause(causes.at(-1) ?? "no reason given")})`;
}

function innermost(error: unknown): string {
  return error instanceof Error && error.cause !== undefined ? innermost(error.cause) : String(error);
}

/** The innermost reason of a chain like "error sending request …: client error (Connect): dns error: failed …". */
function lastCause(text: string): string {
  return text.split(": ").at(-1)?.replace(/^Error /, "") ?? text;
}

function withoutBacktrace(output: string): string {
  return output.split("Stack backtrace:")[0]?.trim() ?? "";
}
