import { concatBytes } from "../../core/bytes.ts";
import { displayCut } from "../../core/display.ts";
import { messageOf } from "../../core/errors.ts";
import type { Clock } from "../../core/host.ts";
import { ServiceError, type ServiceProblem } from "./service_error.ts";

/** What every client is given. */
export interface ClientSurroundings {
  readonly clock: Clock;
  /** Ends whatever is under way. */
  readonly signal: AbortSignal;
  /** The caller's token; null where there is none. It goes to the services that were configured, and nowhere else. */
  readonly token: string | null;
}

/** One exchange with a service. */
export interface ServiceRequest {
  /** For errors: what is tried, as in `call Workspace.get_objects2`. */
  readonly what: string;
  readonly url: string;
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: BodyInit;
  /** A body that comes in pieces; its length belongs in the headers. */
  readonly stream?: AsyncIterable<Uint8Array>;
  /** From the request to the last byte of the answer; for a transfer, from the last piece sent to the first of the answer. */
  readonly timeoutMs: number;
  /** Makes it a transfer: it may go on as long as it likes, if only no pause in its answer is longer than this. */
  readonly idleMs?: number;
}

export interface ServiceReply {
  readonly status: number;
  readonly contentType: string;
  /** The body as it comes; a problem with it is a ServiceError. */
  pieces(bytesMax: number): AsyncGenerator<Uint8Array>;
  bytes(bytesMax: number): Promise<Uint8Array>;
  /** Lets go of an answer that is not read. */
  close(): void;
}

/** Asks a service. Redirects are refused, packed answers too, and time and size are bounded. */
export async function ask(
  { clock, signal, token }: ClientSurroundings,
  request: ServiceRequest,
): Promise<ServiceReply> {
  const url = checkedUrl(request);
  const watch = new Watch(clock, signal, request);
  const fail = (problem: ServiceProblem, why: string, cause?: unknown) =>
    new ServiceError(request.what, problem, withoutToken(why, token), { cause });
  let response: Response;
  try {
    response = await fetch(url, initOf(request, watch));
  } catch (error) {
    watch.end();
    throw watch.failure(fail) ?? fail("unreachable", reasonOf(error), error);
  }
  const refusal = refusalOf(response, fail);
  if (refusal !== null) {
    watch.abandon();
    throw refusal;
  }
  const pieces = (bytesMax: number) => read(response, watch, bytesMax, fail);
  return {
    status: response.status,
    contentType: response.headers.get("content-type") ?? "",
    pieces,
    bytes: async (bytesMax) => {
      const parts: Uint8Array[] = [];
      for await (const piece of pieces(bytesMax)) parts.push(piece);
      return concatBytes(parts);
    },
    close: () => watch.abandon(),
  };
}

type Fail = (problem: ServiceProblem, why: string, cause?: unknown) => ServiceError;

function checkedUrl({ url, what }: ServiceRequest): URL {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const isHttp = parsed?.protocol === "http:" || parsed?.protocol === "https:";
  if (parsed === null || !isHttp || parsed.username !== "" || parsed.password !== "") {
    throw new ServiceError(what, "unreachable", "its address must be a plain http or https URL");
  }
  return parsed;
}

function initOf({ method, headers, body, stream }: ServiceRequest, watch: Watch): RequestInit {
  const init = {
    method: method ?? "GET",
    // A packed answer of a few bytes may hold gigabytes.
    headers: { "accept-encoding": "identity", ...headers },
    // A redirect would carry the token to wherever it points.
    redirect: "manual",
    signal: watch.signal,
    // Only known to Bun: without it packed answers are unpacked before anyone can look at their size.
    decompress: false,
  } as const;
  if (stream !== undefined) {
    return { ...init, body: ReadableStream.from(watch.touched(stream)), duplex: "half" } as RequestInit;
  }
  return body === undefined ? init : { ...init, body };
}

function refusalOf(response: Response, fail: Fail): ServiceError | null {
  const { status, headers, type } = response;
  if (type === "opaqueredirect" || (status >= 300 && status < 400)) {
    const to = displayCut(headers.get("location") ?? "somewhere", 200);
    return fail("redirected", `it answered ${status} and points to ${to}, which is not followed`);
  }
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding !== "" && encoding.toLowerCase() !== "identity") {
    const shown = displayCut(encoding, 50);
    return fail("encoded", `its answer is packed by ${shown}, which was not asked for`);
  }
  return null;
}

async function* read(
  response: Response,
  watch: Watch,
  bytesMax: number,
  fail: Fail,
): AsyncGenerator<Uint8Array> {
  const stated = response.headers.get("content-length");
  const length = stated !== null && /^\d+$/.test(stated) ? Number(stated) : null;
  const tooLarge = () => fail("too_large", `its answer is larger than ${bytesMax} bytes`);
  let isWhole = false;
  let bytes = 0;
  try {
    if (length !== null && length > bytesMax) throw tooLarge();
    for await (const piece of response.body ?? []) {
      watch.touch();
      bytes += piece.length;
      if (bytes > bytesMax) throw tooLarge();
      yield piece;
    }
    // An engine may take an early end for the end.
    if (length !== null && bytes < length) throw fail("cut_off", `only ${bytes} of ${length} bytes came`);
    isWhole = true;
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    throw watch.failure(fail) ?? fail("cut_off", `its answer broke off after ${bytes} bytes`, error);
  } finally {
    if (isWhole) watch.end();
    else watch.abandon();
  }
}

/** Bounds the time of one exchange. */
class Watch {
  readonly #clock: Clock;
  readonly #request: ServiceRequest;
  readonly #outer: AbortSignal;
  readonly #over = new AbortController();
  readonly #ended = new AbortController();
  #touchedMs: number;
  /** How long the next thing may take. */
  #boundMs: number;
  #isLate = false;

  constructor(clock: Clock, outer: AbortSignal, request: ServiceRequest) {
    this.#clock = clock;
    this.#request = request;
    this.#outer = outer;
    this.#touchedMs = clock.monotonicMs();
    this.#boundMs = request.timeoutMs;
    void this.#run();
  }

  get signal(): AbortSignal {
    return AbortSignal.any([this.#over.signal, this.#outer]);
  }

  /** A piece of the answer came. */
  touch(): void {
    const { idleMs } = this.#request;
    // What is no transfer has its time for all of it.
    if (idleMs === undefined) return;
    this.#boundMs = idleMs;
    this.#touchedMs = this.#clock.monotonicMs();
  }

  /** Pieces of the request; each that is taken gives more time. */
  async *touched(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      this.#touchedMs = this.#clock.monotonicMs();
      yield piece;
    }
    this.#touchedMs = this.#clock.monotonicMs();
  }

  end(): void {
    this.#ended.abort();
  }

  /** Ends it, and the connection with it. */
  abandon(): void {
    this.end();
    this.#over.abort();
  }

  /** What ended the exchange from this side; null when nothing did. */
  failure(fail: Fail): Error | null {
    if (this.#isLate) {
      const { idleMs } = this.#request;
      const why = idleMs === undefined ? "it has not answered fully within" : "nothing came for";
      return fail("timeout", `${why} ${this.#boundMs} ms`);
    }
    return this.#outer.aborted ? new Error(`Cannot ${this.#request.what}: the job was stopped`) : null;
  }

  async #run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      const leftMs = this.#touchedMs + this.#boundMs - this.#clock.monotonicMs();
      if (leftMs <= 0) {
        this.#isLate = true;
        this.#over.abort();
        return;
      }
      await this.#clock.sleep(Math.min(leftMs, LOOK_MS), this.#ended.signal);
    }
  }
}

/** A timer's longest time is about 24 days; a bound may be longer. */
const LOOK_MS = 3_600_000;

function reasonOf(error: unknown): string {
  const cause = (error as { cause?: unknown } | null)?.cause;
  const text = cause === undefined || messageOf(cause) === "" ? messageOf(error) : messageOf(cause);
  // One engine adds how its own callers could learn more.
  const [plain] = text.split(" For more information, pass");
  return `it cannot be reached: ${displayCut(plain!, 300)}`;
}

/** A service may say back what it was told. */
export function withoutToken(text: string, token: string | null): string {
  return token === null || token === "" ? text : text.replaceAll(token, "*".repeat(8));
}
