import { Secrets } from "../logs/secrets.ts";

/** What one job is given that its row must not hold. */
export interface ConfidentialPart {
  /** Added to the environment of what the job starts. */
  readonly environment: Readonly<Record<string, string>>;
  readonly secrets: Secrets;
}

/**
 * What jobs of this process know and nobody else may: it lives in memory only, and everything a job leaves (lines,
 * events, result, failure, artifacts) is cleaned of it before it is stored. A job that needs it must run in this
 * process.
 */
export class Confidential {
  /** What no job of this process may leave. */
  readonly everywhere: Secrets;
  readonly #parts = new Map<string, ConfidentialPart>();

  constructor(everywhere: Secrets = Secrets.none) {
    this.everywhere = everywhere;
  }

  give(jobId: string, part: ConfidentialPart): void {
    this.#parts.set(jobId, part);
  }

  /** Forgets a job that is final. */
  drop(jobId: string): void {
    this.#parts.delete(jobId);
  }

  environmentOf(jobId: string): Readonly<Record<string, string>> {
    return this.#parts.get(jobId)?.environment ?? {};
  }

  secretsOf(jobId: string): Secrets {
    const own = this.#parts.get(jobId)?.secrets;
    return own === undefined ? this.everywhere : this.everywhere.and(own);
  }
}
