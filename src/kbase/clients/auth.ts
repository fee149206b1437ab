import { z } from "zod";
import { ask, type ClientSurroundings, withoutToken } from "./http.ts";
import { ServiceError } from "./service_error.ts";

const Token = z.looseObject({
  user: z.string().min(1),
  type: z.string(),
  /** Milliseconds since 1970. */
  expires: z.number(),
  name: z.string().nullish(),
});

const Me = z.looseObject({ user: z.string().min(1), display: z.string().nullish(), roles: z.unknown() });

const TIMEOUT_MS = 10_000;
const REPLY_BYTES_MAX = 256 * 1024;

/** KBase's auth service, by its newer interface. */
export class Auth {
  readonly #surroundings: ClientSurroundings;
  readonly #base: string;
  readonly #timeoutMs: number;

  /** `url` is the login URL that modules are given, or the service's base. */
  constructor(surroundings: ClientSurroundings, url: string, { timeoutMs = TIMEOUT_MS } = {}) {
    this.#surroundings = surroundings;
    const legacy = url.indexOf("api/legacy");
    this.#base = (legacy === -1 ? url : url.slice(0, legacy)).replace(/\/*$/, "/");
    this.#timeoutMs = timeoutMs;
  }

  /** Whose the token is, and until when. */
  token(): Promise<z.output<typeof Token>> {
    return this.#get("ask whose the token is", "api/V2/token", Token);
  }

  /** What the service knows of the token's owner. */
  me(): Promise<z.output<typeof Me>> {
    return this.#get("ask who the user is", "api/V2/me", Me);
  }

  async #get<Schema extends z.ZodType>(
    what: string,
    path: string,
    schema: Schema,
  ): Promise<z.output<Schema>> {
    const { token } = this.#surroundings;
    const reply = await ask(this.#surroundings, {
      what,
      url: `${this.#base}${path}`,
      headers: { accept: "application/json", ...(token === null ? {} : { authorization: token }) },
      timeoutMs: this.#timeoutMs,
    });
    const text = new TextDecoder().decode(await reply.bytes(REPLY_BYTES_MAX));
    let document: unknown;
    try {
      document = JSON.parse(text);
    } catch {
      throw new ServiceError(
        what,
        "not_json",
        `the auth service answered ${reply.status} with what is not JSON`,
      );
    }
    if (reply.status >= 400) {
      const error = z.object({ error: z.object({ message: z.string() }) }).safeParse(document);
      const why = withoutToken(error.data?.error.message.slice(0, 500) ?? "without saying why", token);
      const problem = reply.status >= 500 ? "unavailable" : "denied";
      throw new ServiceError(what, problem, `the auth service answered ${reply.status}: ${why}`);
    }
    const parsed = schema.safeParse(document);
    if (parsed.success) return parsed.data;
    throw new ServiceError(what, "bad_reply", "the auth service answered with JSON of another shape");
  }
}
