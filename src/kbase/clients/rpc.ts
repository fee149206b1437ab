import type { z } from "zod";
import { displayCut } from "../../core/display.ts";
import { fieldErrors } from "../../core/schema.ts";
import { isObject } from "../envelope.ts";
import { ask, type ClientSurroundings, withoutToken } from "./http.ts";
import { ServiceError, type ServiceProblem } from "./service_error.ts";

export interface RpcOptions {
  readonly timeoutMs?: number;
  readonly replyBytesMax?: number;
}

export interface RpcCall extends RpcOptions {
  /** `Module.method`. */
  readonly method: string;
  readonly params: readonly unknown[];
  readonly context?: unknown;
  /** False for an answer that carries the id of something else, as the callback server's do. */
  readonly checksId?: boolean;
  /** True for a method that is called without a token. */
  readonly isOpen?: boolean;
}

const TIMEOUT_MS = 5 * 60_000;
const REPLY_BYTES_MAX = 256 * 1024 * 1024;
const MESSAGE_LENGTH_MAX = 1_000;

/** KBase's JSON-RPC 1.1 at one address, with the raw token that KBase wants. */
export class RpcClient {
  readonly surroundings: ClientSurroundings;
  readonly #url: string;
  readonly #name: string;
  readonly #options: RpcOptions;

  /** `name` is what the service is called in errors. */
  constructor(surroundings: ClientSurroundings, url: string, name: string, options: RpcOptions = {}) {
    this.surroundings = surroundings;
    this.#url = url;
    this.#name = name;
    this.#options = options;
  }

  /** The return values of a call, checked; a method that returns nothing gives an empty list. */
  async call<Schema extends z.ZodType>(call: RpcCall, schema: Schema): Promise<z.output<Schema>> {
    const what = `call ${call.method}`;
    const result = await this.document(call);
    const parsed = schema.safeParse(result["result"] ?? []);
    if (parsed.success) return parsed.data;
    const [first] = fieldErrors("result", parsed.error);
    throw this.#error(what, "bad_reply", `${this.#name} answered with ${first!.field}: ${first!.message}`);
  }

  /** The whole answer of a call that went well. */
  async document(call: RpcCall): Promise<Record<string, unknown>> {
    const { method, params, context, checksId = true } = call;
    const what = `call ${method}`;
    const id = String(Math.floor(Math.random() * 1e15)).padStart(15, "1");
    const body = JSON.stringify({
      version: "1.1",
      id,
      method,
      params,
      ...(context === undefined ? {} : { context }),
    });
    const { status, document } = await this.#exchange(what, body, call);
    const error = document["error"];
    if (error !== undefined && error !== null) throw this.#refused(what, status, error);
    if (status >= 400) throw this.#status(what, status);
    if (!("result" in document)) throw this.#error(what, "bad_reply", `${this.#name} gave no result`);
    const answered = document["id"];
    if (checksId && answered !== undefined && answered !== null && String(answered) !== id) {
      throw this.#error(what, "wrong_id", `${this.#name} answered a request of another id`);
    }
    return document;
  }

  async #exchange(
    what: string,
    body: string,
    call: RpcCall,
  ): Promise<{ status: number; document: Record<string, unknown> }> {
    const { token } = this.surroundings;
    const authorization = token === null || call.isOpen ? {} : { authorization: token };
    const reply = await ask(this.surroundings, {
      what,
      url: this.#url,
      method: "POST",
      headers: { "content-type": "application/json", ...authorization },
      body,
      timeoutMs: call.timeoutMs ?? this.#options.timeoutMs ?? TIMEOUT_MS,
    });
    const bytesMax = call.replyBytesMax ?? this.#options.replyBytesMax ?? REPLY_BYTES_MAX;
    const text = new TextDecoder().decode(await reply.bytes(bytesMax));
    const document = parsed(text);
    if (document === undefined) throw this.#notJson(what, reply.status, text);
    if (isObject(document)) return { status: reply.status, document };
    throw this.#error(what, "bad_reply", `${this.#name} answered with JSON that is no object`);
  }

  #notJson(what: string, status: number, text: string): ServiceError {
    if (status === 401 || status === 403) {
      return this.#error(what, "denied", `${this.#name} answered ${status}`);
    }
    if (status >= 500 || status === 429) return this.#status(what, status);
    const kind = /^\s*</.test(text) ? "a page" : text.trim() === "" ? "nothing" : "what is not JSON";
    return this.#error(what, "not_json", `${this.#name} answered ${status} with ${kind}`);
  }

  #status(what: string, status: number): ServiceError {
    return this.#error(what, "unavailable", `${this.#name} answered ${status} without saying why`);
  }

  /** The error as the service words it; both of KBase's families, and servers that give only a text. */
  #refused(what: string, status: number, error: unknown): ServiceError {
    const fields = isObject(error) ? error : { message: error };
    const { code, name, message, error: trace, data } = fields;
    const { token } = this.surroundings;
    const shown = (value: unknown) =>
      withoutToken(typeof value === "string" ? value : JSON.stringify(value) ?? "", token);
    const text = message === undefined || message === null ? shown(trace ?? name ?? error) : shown(message);
    const told = trace ?? data;
    const answered = {
      code: Number(code) || 0,
      name: typeof name === "string" ? shown(name) : "JSONRPCError",
      trace: told === undefined || told === null ? null : shown(told),
    };
    const denied = status === 401 || status === 403;
    const why = `${this.#name} answered ${displayCut(text, MESSAGE_LENGTH_MAX)}`;
    return new ServiceError(what, denied ? "denied" : "refused", why, { answered });
  }

  #error(what: string, problem: ServiceProblem, why: string): ServiceError {
    return new ServiceError(what, problem, why);
  }
}

/** Undefined for what is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
