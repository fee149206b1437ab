/** A plain client of the seed tool's API: what its old page did with fetch and a WebSocket. */
import assert from "node:assert/strict";

export interface PortraitStatus {
  readonly job_id: string;
  readonly status: string;
  readonly error?: string;
  readonly error_details?: Record<string, unknown>;
  readonly warnings?: readonly string[];
}

// deno-lint-ignore no-explicit-any
export type Json = any;

/** What a socket sent, in order, and how it was closed. */
export interface Heard {
  readonly messages: readonly { readonly type: string; readonly status?: string; readonly payload: Json }[];
  readonly code: number;
}

export class PortraitClient {
  constructor(readonly url: string) {}

  async post(path: string, body: unknown): Promise<{ status: number; body: Json }> {
    const response = await fetch(`${this.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }

  async get(path: string): Promise<{ status: number; body: Json }> {
    const response = await fetch(`${this.url}${path}`);
    return { status: response.status, body: await response.json() };
  }

  async bytes(path: string): Promise<Uint8Array> {
    const response = await fetch(`${this.url}${path}`);
    assert.equal(response.status, 200, path);
    return new Uint8Array(await response.arrayBuffer());
  }

  /** Submits a request that must be accepted, and gives the job's id. */
  async submit(request: unknown): Promise<string> {
    const { status, body } = await this.post("/submit", request);
    assert.equal(status, 200, JSON.stringify(body));
    return body.job_id;
  }

  async status(id: string): Promise<PortraitStatus> {
    const { status, body } = await this.get(`/status/${id}`);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }

  /** Listens on a job's socket until it is closed; `onMessage` hears each message as it comes. */
  listen(id: string, onMessage: (message: Json) => void = () => {}, query = ""): Promise<Heard> {
    const socket = new WebSocket(`${this.url.replace("http", "ws")}/ws/${id}${query}`);
    const messages: Json[] = [];
    return new Promise((resolve, reject) => {
      socket.onmessage = ({ data }) => {
        messages.push(JSON.parse(data));
        onMessage(messages.at(-1));
      };
      socket.onclose = ({ code }) => resolve({ messages, code });
      socket.onerror = () => {
        if (socket.readyState === WebSocket.CLOSED) {
          reject(new Error(`The socket of ${id} could not be opened`));
        }
      };
    });
  }
}
