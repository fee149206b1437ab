import { sha256Hex } from "../core/bytes.ts";
import { messageOf } from "../core/errors.ts";
import type { Clock } from "../core/host.ts";
import { isObject } from "./envelope.ts";

const CACHE_MS = 5 * 60_000;
const CACHE_ENTRIES_MAX = 2_000;
const TIMEOUT_MS = 5_000;
const REPLY_BYTES_MAX = 64 * 1024;

/** Why a token was not accepted. `refused` tells the service's own no from a service that did not answer. */
export class TokenError extends Error {
  readonly refused: boolean;

  constructor(message: string, refused: boolean) {
    super(message);
    this.refused = refused;
  }
}

/** Asks KBase's auth service who a token belongs to, and remembers the answer for five minutes. */
export class TokenChecker {
  readonly #clock: Clock;
  readonly #url: string;
  readonly #allowInsecure: boolean;
  readonly #known = new Map<string, { user: string; untilMs: number }>();

  /** `url` is the login URL of config.properties, or the base of the newer interface. */
  constructor(clock: Clock, url: string, allowInsecure: boolean) {
    this.#clock = clock;
    this.#url = url;
    this.#allowInsecure = allowInsecure;
  }

  /** For a module's settings; null where they name no auth service. */
  static from(clock: Clock, config: Readonly<Record<string, string>>): TokenChecker | null {
    const url = config["auth-service-url"] || config["auth_service_url"];
    const insecure = config["auth-service-url-allow-insecure"] ?? config["auth_service_url_allow_insecure"];
    return url ? new TokenChecker(clock, url, insecure?.toLowerCase() === "true") : null;
  }

  /** The user, or a TokenError. */
  async userOf(token: string, signal?: AbortSignal): Promise<string> {
    const key = await sha256Hex(token);
    const known = this.#known.get(key);
    if (known !== undefined && known.untilMs > this.#clock.monotonicMs()) return known.user;
    const user = await this.#ask(token, signal);
    this.#known.delete(key);
    this.#known.set(key, { user, untilMs: this.#clock.monotonicMs() + CACHE_MS });
    if (this.#known.size > CACHE_ENTRIES_MAX) this.#known.delete(this.#known.keys().next().value!);
    return user;
  }

  async #ask(token: string, signal?: AbortSignal): Promise<string> {
    const { url, init, field } = this.#request(token);
    const over = AbortSignal.any([
      AbortSignal.timeout(TIMEOUT_MS),
      ...(signal === undefined ? [] : [signal]),
    ]);
    let response: Response;
    let text: string;
    try {
      // A redirect would carry the token to wherever it points.
      response = await fetch(url, { ...init, redirect: "manual", signal: over });
      text = await boundedText(response);
    } catch (error) {
      throw new TokenError(`the auth service cannot be asked: ${messageOf(error)}`, false);
    }
    const document = parsed(text);
    const user = document?.[field];
    if (response.ok && typeof user === "string" && user !== "") return user;
    const refused = response.status === 401 || response.status === 403 || response.status === 400;
    const detail = isObject(document?.["error"]) ? document["error"]["message"] : document?.["error"];
    const why = typeof detail === "string" ? detail.slice(0, 200) : "no user in its answer";
    throw new TokenError(`the auth service answered ${response.status}: ${why}`, refused);
  }

  #request(token: string): { url: string; init: RequestInit; field: string } {
    const url = new URL(this.#url);
    if (url.protocol !== "https:" && !this.#allowInsecure && !isLoopback(url.hostname)) {
      throw new TokenError("auth-service-url must be https, or allow-insecure be true", false);
    }
    const legacy = this.#url.indexOf("api/legacy");
    if (legacy === -1) {
      const body = new URLSearchParams({ token, fields: "user_id" });
      return { url: this.#url, init: { method: "POST", body }, field: "user_id" };
    }
    const headers = { authorization: token, accept: "application/json" };
    return { url: `${this.#url.slice(0, legacy)}api/V2/token`, init: { headers }, field: "user" };
  }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

async function boundedText(response: Response): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of response.body) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > REPLY_BYTES_MAX) throw new Error(`its answer is longer than ${REPLY_BYTES_MAX} bytes`);
  }
  return text;
}
