/** Listeners without a network: a test hands requests straight to them. */

import type { Listener, ListenRequest, Network, Socket, SocketHandler } from "../core/host.ts";
import { nodeError } from "./node_error.ts";

const PORT_FIRST = 40_001;

/** The other end of an accepted WebSocket. */
export interface MemorySocketClient {
  /** What the server has sent, in order. */
  readonly received: readonly string[];
  /** What the server said when it closed; null while it has not. */
  readonly closedWith: { readonly code: number; readonly reason: string } | null;
  /** Sends a text frame; null stands for a binary one. */
  send(text: string | null): void;
  close(): void;
}

export interface MemoryListener extends Listener {
  readonly open: boolean;
  /** Answers as the server would, without any connection. */
  fetch(request: Request): Promise<Response>;
  /** Asks for a WebSocket: the client's end, or the Response that refused it. */
  connect(request: Request): Promise<MemorySocketClient | Response>;
}

/** A network whose listeners are reached through `listeners`. */
export class MemoryNetwork implements Network {
  readonly listeners: MemoryListener[] = [];

  // deno-lint-ignore require-await
  async listen(request: ListenRequest): Promise<MemoryListener> {
    const port = request.port || PORT_FIRST + this.listeners.length;
    if (this.listeners.some((listener) => listener.open && listener.port === port)) {
      throw nodeError("EADDRINUSE", `address already in use ${request.host}:${port}`);
    }
    const listener = createListener(request, port);
    this.listeners.push(listener);
    return listener;
  }
}

function createListener(request: ListenRequest, port: number): MemoryListener {
  const sockets = new Set<MemorySocket>();
  let open = true;
  const refuseWhenClosed = () => {
    if (!open) throw nodeError("ECONNREFUSED", `connection refused ${request.host}:${port}`);
  };
  return {
    host: request.host,
    port,
    get open() {
      return open;
    },
    async fetch(asked) {
      refuseWhenClosed();
      return await request.fetch(asked);
    },
    async connect(asked) {
      refuseWhenClosed();
      const answer = await request.upgrade(asked);
      return answer instanceof Response ? answer : new MemorySocket(answer, sockets);
    },
    // deno-lint-ignore require-await
    async close() {
      open = false;
      for (const socket of [...sockets]) socket.end(1001, "shutting down");
    },
  };
}

class MemorySocket implements MemorySocketClient {
  readonly received: string[] = [];
  closedWith: { code: number; reason: string } | null = null;
  readonly #handler: SocketHandler;
  readonly #open: Set<MemorySocket>;
  readonly #server: Socket;

  constructor(handler: SocketHandler, open: Set<MemorySocket>) {
    this.#handler = handler;
    this.#open = open;
    this.#server = {
      send: (text) => {
        if (open.has(this)) this.received.push(text);
      },
      bufferedBytes: 0,
      close: (code, reason) => this.end(code, reason),
    };
    open.add(this);
    handler.open(this.#server);
  }

  send(text: string | null): void {
    if (this.#open.has(this)) this.#handler.message(this.#server, text);
  }

  close(): void {
    if (this.#open.delete(this)) this.#handler.closed(this.#server);
  }

  /** Closed by the server. */
  end(code: number, reason: string): void {
    if (!this.#open.has(this)) return;
    this.closedWith = { code, reason };
    this.close();
  }
}
