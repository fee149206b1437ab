/** What every host must do, written once and run under each engine. */

import assert from "node:assert/strict";
import type { Child, Host, SpawnRequest } from "../../../src/core/host.ts";

export interface CheckContext {
  readonly host: Host;
  /** An empty directory of this check's own. */
  readonly directory: string;
  /** Starts `host_program.ts` under the same engine. */
  readonly program: readonly [string, ...string[]];
}

export type Checks = Readonly<Record<string, (context: CheckContext) => Promise<void>>>;

/** Everything an iterable of bytes yields, as text. */
export async function textOf(source: AsyncIterable<Uint8Array> | null): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of source ?? []) text += decoder.decode(piece, { stream: true });
  return text + decoder.decode();
}

/** Reads until `wanted` has been seen and returns all that was read; leaves the rest of the source unread. */
export async function readUntil(source: AsyncIterable<Uint8Array>, wanted: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  const iterator = source[Symbol.asyncIterator]();
  while (!text.includes(wanted)) {
    const { done, value } = await iterator.next();
    if (done) assert.fail(`ended before ${wanted} was seen: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  return text;
}

export interface Finished {
  readonly out: string;
  readonly err: string;
  readonly control: string;
  readonly code: number | null;
  readonly signal: string | null;
}

export async function finish(child: Child): Promise<Finished> {
  const [out, err, control, exit] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    textOf(child.control),
    child.exited,
  ]);
  return { out, err, control, ...exit };
}

const started = new Set<Child>();

export async function start(
  host: Host,
  command: readonly string[],
  more: Partial<SpawnRequest> = {},
): Promise<Child> {
  const [program, ...args] = command;
  const env = host.processes.environment;
  const request = { program: program!, args, cwd: "/", env, stdin: null, control: false, ...more };
  const child = await host.processes.spawn(request);
  started.add(child);
  return child;
}

/** Ends what a failed check has left running. */
export function endStarted(): void {
  for (const child of started) {
    child.signalGroup("SIGKILL");
    child.abandonPipes();
  }
  started.clear();
}

export function shell(host: Host, script: string, more: Partial<SpawnRequest> = {}): Promise<Child> {
  return start(host, ["/bin/sh", "-c", script], more);
}

/** Looks again and again until `condition` holds; fails after a minute. */
export async function waitUntil(
  host: Host,
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const untilMs = host.clock.monotonicMs() + 60_000;
  while (!await condition()) {
    assert.ok(host.clock.monotonicMs() < untilMs, `did not happen within 60 s: ${what}`);
    await host.clock.sleep(2);
  }
}

export function rejectsWith(code: string | readonly string[], action: Promise<unknown>): Promise<void> {
  const codes = typeof code === "string" ? [code] : code;
  return assert.rejects(action, (error: Error & { code?: string }) => {
    assert.ok(codes.includes(error.code ?? ""), `code ${error.code} is not ${codes}: ${error.message}`);
    return true;
  });
}
