import type { Clock, Files } from "../core/host.ts";
import type { StreamName } from "../core/job.ts";
import type { Captured } from "../store/jobs.ts";
import type { Store } from "../store/store.ts";
import { streamBytes } from "./frames.ts";
import { type OutputTotals, Recorder } from "./recorder.ts";
import { Secrets, type SecretStream } from "./secrets.ts";

const PAGE = { chunks: 16, events: 0 };
const PIECE_BYTES = 256 * 1024;

/** An attempt that died, and where its output was kept. */
export interface Kept {
  readonly jobId: string;
  readonly epoch: number;
  readonly outputBytesMax: number;
  /** The file of each stream, which holds all that the stream gave, from its first byte. */
  readonly files: Readonly<Record<StreamName, string>>;
  /** Takes away, from each stream, what must not be recorded. */
  readonly cleaner?: (() => SecretStream) | undefined;
}

/**
 * Records the output that was kept in files but not committed before its attempt died. Where the record ends is
 * read from the stored lines themselves, so this may itself be cut off anywhere and be done again. Gives what is
 * left to be committed with the final state, or null when no file holds more than is stored.
 */
export async function replayKept(
  store: Store,
  host: { readonly clock: Clock; readonly files: Files },
  kept: Kept,
  commit: (captured: Captured) => Promise<void>,
): Promise<{ last: Captured; totals: OutputTotals } | null> {
  const stored = await storedBytes(store, kept.jobId, kept.epoch);
  const rest = await Promise.all(STREAMS.map(async (stream) => {
    const info = await host.files.info(kept.files[stream]);
    return { stream, from: stored[stream], more: (info?.sizeBytes ?? 0) > stored[stream] };
  }));
  if (!rest.some(({ more }) => more)) return null;
  let failure: { readonly error: unknown } | null = null;
  const recorder = new Recorder({
    clock: host.clock,
    firstSeq: await store.lines.lastSeq(kept.jobId) + 1,
    outputBytesMax: kept.outputBytesMax - stored.stdout - stored.stderr,
    store: commit,
    onFailure: (error) => failure = { error },
  });
  let last: Captured;
  try {
    for (const { stream, from, more } of rest) {
      if (!more) continue;
      const cleaning = kept.cleaner?.() ?? Secrets.none.stream();
      for await (const piece of host.files.readPieces(kept.files[stream], PIECE_BYTES, from)) {
        await recorder.push(stream, cleaning.push(piece));
      }
      await recorder.push(stream, cleaning.end());
    }
  } finally {
    // Also after a file that cannot be read: a commit that came later would meet whoever does all this again.
    last = await recorder.close();
  }
  // Thrown only now, as every promise of the recorder is settled: what was committed is found stored next time.
  if (failure !== null) throw (failure as { error: unknown }).error;
  return { last, totals: recorder.totals };
}

const STREAMS: readonly StreamName[] = ["stdout", "stderr"];

/** How many bytes of each stream the stored lines of an attempt hold. */
export async function storedBytes(
  store: Store,
  jobId: string,
  epoch: number,
): Promise<Record<StreamName, number>> {
  const bytes = { stdout: 0, stderr: 0 };
  for (let after = 0;;) {
    const { chunks } = await store.lines.after(jobId, after, 0, PAGE);
    for (const chunk of chunks.filter((chunk) => chunk.epoch === epoch)) {
      const { stdout, stderr } = streamBytes(chunk.frames);
      bytes.stdout += stdout;
      bytes.stderr += stderr;
    }
    if (chunks.length < PAGE.chunks) return bytes;
    after = chunks.at(-1)!.lastSeq;
  }
}
