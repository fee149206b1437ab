import { GlassboxError } from "../../core/errors.ts";

/** What can go wrong with a service, by names that stay. */
export type ServiceProblem =
  /** Nobody answers at its address. */
  | "unreachable"
  /** It answered too late, or its answer came too slowly. */
  | "timeout"
  /** Its answer is larger than it may be. */
  | "too_large"
  /** Its answer broke off. */
  | "cut_off"
  /** Its answer is packed, which was not asked for. */
  | "encoded"
  /** It points elsewhere; a token is carried nowhere. */
  | "redirected"
  /** Its answer is no JSON, such as a page of HTML. */
  | "not_json"
  /** Its answer is JSON of another shape than agreed. */
  | "bad_reply"
  /** Its answer is to another request. */
  | "wrong_id"
  /** It is overloaded or down. */
  | "unavailable"
  /** It does not accept the token. */
  | "denied"
  /** It understood, and says no. */
  | "refused";

export interface ServiceErrorOptions {
  readonly cause?: unknown;
  /** The service's own error, where it gave one. */
  readonly answered?: ServiceAnswer;
}

/** A service's own error. */
export interface ServiceAnswer {
  readonly code: number;
  readonly name: string;
  readonly trace: string | null;
}

/** A call that a service did not carry out. Its message ends with the problem's name and never holds a token. */
export class ServiceError extends GlassboxError {
  readonly problem: ServiceProblem;
  readonly answered: ServiceAnswer | null;

  constructor(what: string, problem: ServiceProblem, why: string, options: ServiceErrorOptions = {}) {
    super("service_failed", `Cannot ${what}: ${why} (service_${problem})`, options);
    this.problem = problem;
    this.answered = options.answered ?? null;
  }

  /** True when the same question may get an answer a moment later. */
  get isPassing(): boolean {
    return PASSING.has(this.problem);
  }
}

const PASSING: ReadonlySet<ServiceProblem> = new Set([
  "unreachable",
  "timeout",
  "cut_off",
  "not_json",
  "bad_reply",
  "wrong_id",
  "unavailable",
]);
