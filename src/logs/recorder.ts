import type { Clock } from "../core/host.ts";
import { displayCut } from "../core/display.ts";
import type { StreamName } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import type { Captured } from "../store/jobs.ts";
import type { LineChunk } from "../store/line_writes.ts";
import { FrameBuffer, type NewLine } from "./frames.ts";
import { Splitter } from "./splitter.ts";

export interface RecorderOptions {
  readonly clock: Clock;
  /** Number of the first line. */
  readonly firstSeq: number;
  /** Output above this is dropped from there on, and counted. */
  readonly outputBytesMax: number;
  /** Commits what was captured; resolves after COMMIT, and from then on its bytes are written over. */
  readonly store: (captured: Captured) => Promise<void>;
  /** Told after each commit how many bytes of each stream are stored by now. */
  readonly onStored?: (bytes: Readonly<Record<StreamName, number>>) => void;
  /** Called once when storing fails; what comes after it is only counted, as dropped. */
  readonly onFailure: (error: unknown) => void;
}

export interface OutputTotals {
  readonly lineCount: number;
  readonly outputBytes: number;
  readonly droppedLines: number;
  readonly droppedBytes: number;
  readonly lastLines: readonly string[];
}

interface StreamState {
  readonly splitter: Splitter;
  /** Bytes of its lines so far, stored or about to be. */
  bytes: number;
  /** Unfinished text came or went since it was last stored. */
  partialChanged: boolean;
  partialStored: boolean;
}

/**
 * Numbers the lines of one attempt and commits them as they come: at once when it is quiet, in company when it is
 * busy. What waits for its commit is bounded; `push` then waits, the pipe fills, and the program waits too.
 */
export class Recorder {
  #options: RecorderOptions;
  #streams: Record<StreamName, StreamState>;
  #frames = new FrameBuffer(LIMITS.chunkBytesMax);
  /** Chunks whose commit failed; they are given back by `close`, so that no number is missing. */
  #unstored: readonly LineChunk[] = [];
  /** What was left when the streams ended. */
  #last: LineChunk[] = [];
  #nextSeq: number;
  #totals = { lineCount: 0, outputBytes: 0, droppedLines: 0, droppedBytes: 0 };
  #tail = new Tail();
  #flushing: Promise<void> | null = null;
  #room: (() => void)[] = [];
  #failed = false;
  #isStoring = false;
  #closed = new AbortController();

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#nextSeq = options.firstSeq;
    this.#streams = { stdout: newStream(), stderr: newStream() };
  }

  /** Takes bytes of a stream; resolves when there is room for more. */
  async push(stream: StreamName, bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    const state = this.#streams[stream];
    state.splitter.push(bytes, (line, end) => this.#add(stream, line, end));
    state.partialChanged = true;
    if (this.#failed) return;
    this.#flushing ??= this.#flushLoop();
    while (this.#frames.bytes > LIMITS.captureBytesMax && !this.#failed) {
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
  }

  /** True while a commit is under way, which takes long when another program holds the database. */
  get isStoring(): boolean {
    return this.#isStoring;
  }

  /** Ends both streams and gives all that is not known to be stored, without waiting for the commit under way. */
  end(): Captured {
    this.#closed.abort();
    for (const stream of ["stdout", "stderr"] as const) {
      this.#streams[stream].splitter.end((line, end) => this.#add(stream, line, end));
      this.#streams[stream].partialChanged = true;
    }
    this.#last.push(...this.#frames.take());
    this.#wakeWaiting();
    return { chunks: [...this.#unstored, ...this.#last], partials: { stdout: null, stderr: null } };
  }

  /** Ends both streams and gives what is not stored yet, to be committed together with the final state. */
  async close(): Promise<Captured> {
    this.end();
    await this.#flushing;
    return { chunks: [...this.#unstored, ...this.#last], partials: this.#takePartials() };
  }

  get totals(): OutputTotals {
    return { ...this.#totals, lastLines: this.#tail.lines };
  }

  /** The output bound is reached: nothing that comes from now on will be stored. */
  get isFull(): boolean {
    return !this.#failed && this.#totals.droppedLines > 0;
  }

  get isDropping(): boolean {
    return this.#failed || this.#totals.droppedLines > 0;
  }

  #add(stream: StreamName, bytes: Uint8Array, end: NewLine["end"]): void {
    const size = bytes.length + (end === "newline" ? 1 : 0);
    if (this.#exceeds(size)) {
      this.#totals.droppedLines++;
      this.#totals.droppedBytes += size;
      return;
    }
    this.#streams[stream].bytes += size;
    this.#frames.add({ seq: this.#nextSeq++, stream, atMs: this.#options.clock.nowMs(), end, bytes });
    this.#totals.lineCount++;
    this.#totals.outputBytes += size;
    this.#tail.add(bytes);
  }

  /** One line too many ends the record: what came after a hole would read as if it had followed. */
  #exceeds(bytes: number): boolean {
    return this.isDropping || this.#totals.outputBytes + bytes > this.#options.outputBytesMax;
  }

  async #flushLoop(): Promise<void> {
    const { clock, store, onFailure } = this.#options;
    try {
      // The first line after a quiet time goes at once; those right behind it travel together.
      await clock.turn();
      while (this.#hasNews() && !this.#closed.signal.aborted) {
        const captured = this.#take();
        this.#unstored = captured.chunks;
        const bytes = { stdout: this.#streams.stdout.bytes, stderr: this.#streams.stderr.bytes };
        this.#isStoring = true;
        if (captured.chunks.length > 0 || Object.keys(captured.partials).length > 0) await store(captured);
        this.#isStoring = false;
        this.#unstored = [];
        // Whoever ended the streams meanwhile was given these chunks too.
        if (!this.#closed.signal.aborted) this.#frames.reuse(captured.chunks);
        this.#options.onStored?.(bytes);
        if (this.#frames.bytes < LIMITS.chunkBytesMax) {
          await clock.sleep(LIMITS.captureFlushMs, this.#closed.signal);
        }
      }
    } catch (error) {
      this.#failed = true;
      onFailure(error);
    } finally {
      // In the same turn as the last look for news: whoever pushes from now on starts the next loop.
      this.#flushing = null;
      this.#wakeWaiting();
    }
  }

  #hasNews(): boolean {
    return this.#frames.bytes > 0 || Object.values(this.#streams).some((state) => state.partialChanged);
  }

  #take(): Captured {
    const chunks = this.#frames.take();
    this.#wakeWaiting();
    return { chunks, partials: this.#takePartials() };
  }

  #wakeWaiting(): void {
    for (const wake of this.#room.splice(0)) wake();
  }

  #takePartials(): Captured["partials"] {
    const partials: Partial<Record<StreamName, Uint8Array | null>> = {};
    for (const stream of ["stdout", "stderr"] as const) {
      const state = this.#streams[stream];
      if (!state.partialChanged) continue;
      state.partialChanged = false;
      const text = state.splitter.partial;
      const show = text.length > 0 && !this.#exceeds(text.length);
      if (show) partials[stream] = text;
      // What a failed commit was to remove may still be there, so then it is removed once more.
      else if (state.partialStored || this.#failed) partials[stream] = null;
      state.partialStored = show;
    }
    return partials;
  }
}

function newStream(): StreamState {
  return {
    splitter: new Splitter(LIMITS.lineBytesMax),
    bytes: 0,
    partialChanged: false,
    partialStored: false,
  };
}

const TAIL_CHARACTERS = 200;
/** As much of a line as so many characters can take. */
const TAIL_BYTES = 4 * TAIL_CHARACTERS;

/** The last lines. Decoding every line of a flood would cost more than storing it, so bytes are kept until asked for. */
class Tail {
  readonly #bytes = new Uint8Array(LIMITS.lastLinesKept * TAIL_BYTES);
  readonly #lengths: number[] = new Array(LIMITS.lastLinesKept).fill(0);
  #count = 0;

  add(line: Uint8Array): void {
    const slot = this.#count++ % LIMITS.lastLinesKept;
    this.#lengths[slot] = Math.min(line.length, TAIL_BYTES);
    this.#bytes.set(line.length > TAIL_BYTES ? line.subarray(0, TAIL_BYTES) : line, slot * TAIL_BYTES);
  }

  get lines(): string[] {
    const kept = Math.min(this.#count, LIMITS.lastLinesKept);
    return Array.from({ length: kept }, (_, index) => {
      const slot = (this.#count - kept + index) % LIMITS.lastLinesKept;
      const start = slot * TAIL_BYTES;
      return displayCut(this.#bytes.subarray(start, start + this.#lengths[slot]!), TAIL_CHARACTERS);
    });
  }
}
