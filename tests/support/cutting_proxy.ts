/**
 * A TCP proxy before a database server that does what networks do: it loses answers (the request arrives and is
 * acted on, but nobody hears of it), cuts requests off, is slow, goes silent, or answers in the server's place.
 */
export interface CuttingProxy extends AsyncDisposable {
  readonly url: string;
  /** From now on the connection is cut where an answer to a request that holds `text` would begin, `times` times. */
  cutAnswers(text: string, times: number): void;
  /** The same, once, and only after so many bytes of that answer have passed. */
  cutAnswerAfter(text: string, bytes: number): void;
  /** From now on answers that hold `text` are lost, `times` times. */
  cutAnswersHolding(text: string, times: number): void;
  /** From now on so large a share of the answers is lost, but no heartbeat's: three of those end a worker. 0 ends it. */
  loseAnswers(share: number, random: () => number): void;
  /** The next connection is cut after so many bytes on their way to the server. */
  cutRequestAfter(bytes: number): void;
  /** Bytes pass no faster than this in either direction, on each connection; null ends it. */
  slowDown(bytesPerMs: number | null): void;
  /** While true, nothing passes: connections are taken, and stay open. */
  goSilent(isSilent: boolean): void;
  /** Every request is answered with this status instead; null ends it. */
  answerWith(status: string | null): void;
  /** Answers that were cut so far. */
  readonly cuts: number;
  /** Requests that came so far. */
  readonly requests: number;
  /** The most connections that were open at once. */
  readonly peak: number;
}

export function startCuttingProxy(target: string): CuttingProxy {
  const { hostname, port } = new URL(target);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const clients = new Set<Deno.Conn>();
  const state = {
    text: "",
    left: 0,
    answerBytes: 0,
    held: "",
    heldLeft: 0,
    cuts: 0,
    share: 0,
    random: () => 1,
    requestBytes: null as number | null,
    bytesPerMs: null as number | null,
    status: null as string | null,
    requests: 0,
    peak: 0,
  };
  let silence: PromiseWithResolvers<void> | null = null;
  const close = (conn: Deno.Conn) => {
    clients.delete(conn);
    if (open.delete(conn)) conn.close();
  };

  const serve = async (client: Deno.Conn) => {
    open.add(client);
    clients.add(client);
    state.peak = Math.max(state.peak, clients.size);
    const server = await Deno.connect({ hostname, port: Number(port) });
    open.add(server);
    let isDoomed = false;
    let answered = 0;
    let isDrawn = false;
    let isCut = false;
    // Each as far as it has come: a text may be cut where one read ends and the next begins.
    let request = "";
    let answer = "";
    let passed = 0;
    const bytesMax = state.requestBytes;
    state.requestBytes = null;
    const upward = pump(client, server, async (bytes) => {
      const text = new TextDecoder("latin1").decode(bytes);
      askForPlainText(bytes, text);
      const begins = /^(POST|GET) /.test(text);
      if (begins) {
        state.requests++;
        request = answer = "";
        isDrawn = state.share > 0 && state.random() < state.share;
      }
      request += text;
      if (state.status !== null) {
        // Whoever is still sending when the connection is closed may never read the answer.
        if (!isWhole(request)) return NOTHING;
        const own = `HTTP/1.1 ${state.status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`;
        await client.write(new TextEncoder().encode(own));
        return null;
      }
      if (state.left > 0 && !isDoomed && request.includes(state.text)) {
        state.left--;
        isDoomed = true;
        answered = 0;
      }
      await pass(bytes);
      passed += bytes.length;
      if (bytesMax !== null && passed > bytesMax) {
        return bytes.subarray(0, bytes.length - (passed - bytesMax));
      }
      return bytes;
    }, () => bytesMax !== null && passed >= bytesMax);
    const downward = pump(server, client, async (bytes) => {
      if (state.heldLeft > 0) answer += new TextDecoder("latin1").decode(bytes);
      if (state.heldLeft > 0 && !isDoomed && answer.includes(state.held)) {
        state.heldLeft--;
        isDoomed = true;
      }
      if (isDrawn && !request.includes("heartbeat_seq")) isDoomed = true;
      if (!isDoomed) await pass(bytes);
      else if ((answered += bytes.length) >= state.answerBytes) {
        state.cuts++;
        isCut = true;
        const passing = bytes.length - (answered - state.answerBytes);
        return passing > 0 ? bytes.subarray(0, passing) : null;
      }
      return bytes;
    }, () => isCut);
    await Promise.race([upward, downward]);
    close(client);
    close(server);
    await Promise.all([upward, downward]);
  };

  const pass = async (bytes: Uint8Array) => {
    await silence?.promise;
    if (state.bytesPerMs !== null) {
      await new Promise((resolve) => setTimeout(resolve, bytes.length / state.bytesPerMs!));
    }
  };

  const serving: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const client of listener) serving.push(serve(client).catch(() => close(client)));
  })().catch(() => undefined);

  return {
    url: `http://127.0.0.1:${listener.addr.port}`,
    cutAnswers: (text, times) => Object.assign(state, { text, left: times, answerBytes: 0 }),
    cutAnswerAfter: (text, bytes) => Object.assign(state, { text, left: 1, answerBytes: bytes }),
    cutAnswersHolding: (text, times) => Object.assign(state, { held: text, heldLeft: times, answerBytes: 0 }),
    loseAnswers: (share, random) => Object.assign(state, { share, random, answerBytes: 0 }),
    cutRequestAfter: (bytes) => {
      state.requestBytes = bytes;
      // A connection that is kept alive would carry the next request past the cut.
      for (const conn of [...open]) close(conn);
    },
    slowDown: (bytesPerMs) => Object.assign(state, { bytesPerMs }),
    goSilent: (isSilent) => {
      silence?.resolve();
      silence = isSilent ? Promise.withResolvers() : null;
    },
    answerWith: (status) => Object.assign(state, { status }),
    get cuts() {
      return state.cuts;
    },
    get requests() {
      return state.requests;
    },
    get peak() {
      return state.peak;
    },
    [Symbol.asyncDispose]: async () => {
      listener.close();
      silence?.resolve();
      await accepting;
      for (const conn of [...open]) close(conn);
      await Promise.all(serving);
    },
  };
}

/** Answers are looked into, so they must not come compressed; the request keeps its length. */
function askForPlainText(bytes: Uint8Array, text: string): void {
  const wish = /accept-encoding: ([^\r]+)/i.exec(text);
  if (wish === null) return;
  const instead = "identity".padEnd(wish[1]!.length).slice(0, wish[1]!.length);
  bytes.set(new TextEncoder().encode(instead), wish.index + wish[0].length - wish[1]!.length);
}

const NOTHING = new Uint8Array();

/** True when the request, as Latin-1, has come to the end that its fields announce. */
function isWhole(request: string): boolean {
  const headBytes = request.indexOf("\r\n\r\n") + 4;
  if (headBytes < 4) return false;
  const bodyBytes = Number(/^content-length: (\d+)\r$/im.exec(request.slice(0, headBytes))?.[1] ?? 0);
  return request.length >= headBytes + bodyBytes;
}

/** Copies until the end, an error, or until `passing` gives null; `isDone` ends it after a piece. */
async function pump(
  from: Deno.Conn,
  to: Deno.Conn,
  passing: (bytes: Uint8Array) => Promise<Uint8Array | null>,
  isDone: () => boolean = () => false,
): Promise<void> {
  const buffer = new Uint8Array(65_536);
  try {
    for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
      const bytes = await passing(buffer.slice(0, count));
      if (bytes === null) return;
      for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
      if (isDone()) return;
    }
  } catch {
    // One side was closed while the other was read: the end of this connection.
  }
}
