/** Callback servers that misbehave, each in its own way. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { gzipSync } from "node:zlib";
import type { ServiceProblem } from "../../src/kbase/clients/service_error.ts";
import { TOKEN } from "./kbase.ts";

export const JOB = "5c3b8a3e-7f5e-4d62-9b0a-0d5b6f3e8a11";

interface Asked {
  readonly id: string;
  readonly method: string;
  readonly params: readonly unknown[];
  readonly context?: unknown;
}

export type Answer = (response: ServerResponse, asked: Asked, request: IncomingMessage) => void;

export function json(document: unknown, status = 200, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(
      typeof document === "string" ? document : JSON.stringify(document),
    );
  };
}

export function text(body: string | Uint8Array, status = 200, headers: Record<string, string> = {}): Answer {
  return (response) => void response.writeHead(status, headers).end(body);
}

/** Pieces without end, until the other side goes away. */
function flood(piece: Uint8Array): Answer {
  return (response) => {
    response.writeHead(200, { "content-type": "application/json" });
    let isOpen = true;
    response.on("close", () => isOpen = false);
    const more = (): void => {
      while (isOpen && response.write(piece));
      if (isOpen) response.once("drain", more);
    };
    more();
  };
}

/** One byte now and then, of a head or of a body that never ends. */
function drip(part: "head" | "body"): Answer {
  return (response, _asked, { socket }) => {
    if (part === "head") socket.write("HTTP/1.1 200 OK\r\nx-slow: ");
    else response.writeHead(200);
    const timer = setInterval(() => part === "head" ? socket.write("h") : response.write(" "), 20);
    socket.on("close", () => clearInterval(timer));
  };
}

export const cut: Answer = (response, _asked, request) => {
  response.writeHead(200, { "content-length": "1000" });
  response.write('{"result":["');
  setTimeout(() => request.socket.destroy(), 20);
};

export const submitted: Answer = (response, asked) =>
  json({ version: "1.1", id: asked.id, result: [JOB] })(response, asked, null!);
export const running = json({ result: [{ finished: 0 }] });
export const done = json({
  result: [{ version: "1.1", id: "5d54bdcb9b402d15271b3208", result: [{ n: 1 }], finished: 1 }],
});

export interface Server extends AsyncDisposable {
  readonly url: string;
  readonly asked: Asked[];
  readonly authorizations: (string | undefined)[];
}

/** Answers the first requests with these, and all later ones with the last. */
export async function serverOf(...answers: Answer[]): Promise<Server> {
  const asked: Asked[] = [];
  const authorizations: (string | undefined)[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    let body = "";
    authorizations.push(request.headers.authorization);
    request.on("data", (piece) => body += piece);
    request.on("end", () => {
      const call = body === "" ? { id: "", method: "", params: [] } : JSON.parse(body);
      asked.push(call);
      answers[Math.min(asked.length, answers.length) - 1]!(response, call, request);
    });
    response.on("error", () => undefined);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked,
    authorizations,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const DEEP = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;

/** How a callback server may fail at a submit, and by which name it is known. */
export const AT_SUBMIT: readonly [string, Answer, ServiceProblem, RegExp?][] = [
  ["an empty 500", text("", 500), "unavailable"],
  ["a 503 page", text("<html>busy</html>", 503), "unavailable"],
  ["a 502 of a proxy", text("<html>Bad Gateway</html>", 502), "unavailable"],
  ["a 429", text("slow down", 429), "unavailable"],
  ["a 401", text("no", 401), "denied"],
  ["silence", () => undefined, "timeout"],
  ["a slow head", drip("head"), "timeout"],
  ["a slow body", drip("body"), "timeout"],
  ["garbage", text(crypto.getRandomValues(new Uint8Array(4096))), "not_json"],
  ["a page with status 200", text("<!DOCTYPE html><p>hello"), "not_json", /a page/],
  ["nothing with status 200", text(""), "not_json", /nothing/],
  ["NaN", json('{"result": [NaN]}'), "not_json"],
  ["half a document", json('{"result": ["abc'), "not_json"],
  ["two documents", json('{"result": ["a"]}{"result": ["b"]}'), "not_json"],
  ["a list", json([{ result: [JOB] }]), "bad_reply"],
  ["no result", json({ version: "1.1" }), "bad_reply"],
  ["no job id", json({ result: [{}] }), "bad_reply"],
  ["a job id that is a path", json({ result: ["../../etc/passwd"] }), "bad_reply"],
  ["too deep a result", json(`{"result": ${DEEP}}`), "bad_reply", /bad_reply|not_json/],
  ["the answer to another request", json({ id: "7", result: [JOB] }), "wrong_id"],
  ["a gigabyte", flood(new Uint8Array(64 * 1024).fill(0x20)), "too_large"],
  ["a gigabyte that it announces", text("x", 200, { "content-length": "1073741824" }), "too_large"],
  ["an answer that breaks off", cut, "cut_off"],
  [
    "a gzip bomb",
    text(gzipSync(new Uint8Array(64 * 1024 * 1024)), 200, { "content-encoding": "gzip" }),
    "encoded",
  ],
  ["a closed connection", (_response, _asked, request) => void request.socket.destroy(), "unreachable"],
  [
    "an error that says the token back",
    json({ error: { code: -32000, name: "E", message: `bad ${TOKEN}` } }, 500),
    "refused",
  ],
  ["an error of another shape", json({ error: "plain" }, 500), "refused", /plain/],
  ["an error without anything", json({ error: {} }, 500), "refused"],
];
