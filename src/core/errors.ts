/**
 * One class and one list of stable codes for every error a user can meet. A code never changes; wording may
 * improve. At the doors a code becomes an exit code (sysexits.h) or an HTTP status, and nowhere else.
 */

/** Exit codes: sysexits.h from 64 to 78, `timeout(1)`'s 124, and 128 + signal. */
export const EXIT = {
  completed: 0,
  failed: 1,
  usage: 64,
  data: 65,
  noInput: 66,
  unavailable: 69,
  software: 70,
  cannotCreate: 73,
  io: 74,
  tryLater: 75,
  denied: 77,
  configuration: 78,
  timeout: 124,
  interrupted: 130,
  terminated: 143,
} as const;

const CATALOGUE = {
  usage: { exit: EXIT.usage, status: 400 },
  invalid_input: { exit: EXIT.data, status: 422 },
  bad_json: { exit: EXIT.data, status: 400 },
  too_large: { exit: EXIT.data, status: 413 },
  too_deep: { exit: EXIT.data, status: 400 },
  input_missing: { exit: EXIT.noInput, status: 400 },
  input_denied: { exit: EXIT.denied, status: 400 },
  task_unknown: { exit: EXIT.usage, status: 404 },
  job_not_found: { exit: EXIT.usage, status: 404 },
  artifact_not_found: { exit: EXIT.usage, status: 404 },
  schedule_not_found: { exit: EXIT.usage, status: 404 },
  schedule_exists: { exit: EXIT.cannotCreate, status: 409 },
  job_final: { exit: EXIT.failed, status: 409 },
  job_not_final: { exit: EXIT.usage, status: 409 },
  key_conflict: { exit: EXIT.data, status: 409 },
  not_found: { exit: EXIT.usage, status: 404 },
  method_not_allowed: { exit: EXIT.usage, status: 405 },
  not_acceptable: { exit: EXIT.usage, status: 406 },
  request_timeout: { exit: EXIT.tryLater, status: 408 },
  unsupported_media_type: { exit: EXIT.usage, status: 415 },
  header_too_large: { exit: EXIT.usage, status: 431 },
  url_too_long: { exit: EXIT.usage, status: 414 },
  foreign_host: { exit: EXIT.denied, status: 421 },
  foreign_origin: { exit: EXIT.denied, status: 403 },
  storage_cannot_create: { exit: EXIT.cannotCreate, status: 503 },
  storage_not_database: { exit: EXIT.io, status: 503 },
  storage_newer_schema: { exit: EXIT.configuration, status: 503 },
  storage_foreign: { exit: EXIT.configuration, status: 503 },
  storage_other_database: { exit: EXIT.configuration, status: 503 },
  storage_full: { exit: EXIT.io, status: 507 },
  storage_readonly: { exit: EXIT.cannotCreate, status: 503 },
  storage_busy: { exit: EXIT.tryLater, status: 503 },
  storage_io: { exit: EXIT.io, status: 500 },
  storage_damaged: { exit: EXIT.io, status: 500 },
  storage_gone: { exit: EXIT.io, status: 503 },
  storage_denied: { exit: EXIT.denied, status: 503 },
  storage_unreachable: { exit: EXIT.unavailable, status: 503 },
  configuration: { exit: EXIT.configuration, status: 500 },
  listen_failed: { exit: EXIT.unavailable, status: 500 },
  service_failed: { exit: EXIT.unavailable, status: 502 },
  not_built: { exit: EXIT.unavailable, status: 501 },
  output_failed: { exit: EXIT.io, status: 500 },
  lease_lost: { exit: EXIT.tryLater, status: 503 },
  fenced: { exit: EXIT.software, status: 409 },
  too_many_connections: { exit: EXIT.tryLater, status: 503 },
  queue_full: { exit: EXIT.tryLater, status: 429 },
  rate_limited: { exit: EXIT.tryLater, status: 429 },
  too_many_watchers: { exit: EXIT.tryLater, status: 503 },
  shutting_down: { exit: EXIT.tryLater, status: 503 },
  internal: { exit: EXIT.software, status: 500 },
} as const satisfies Record<string, { exit: number; status: number }>;

export type ErrorCode = keyof typeof CATALOGUE;

/** One bad field: where it is (`input.args[2]`), what is wrong, and what was expected. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** Every error glassbox shows to a user. `message` never holds a stack, a secret or a path the user did not name. */
export class GlassboxError extends Error {
  readonly code: ErrorCode;
  readonly fields: readonly FieldError[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { fields?: readonly FieldError[]; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "GlassboxError";
    this.code = code;
    this.fields = options.fields ?? [];
  }

  get exitCode(): number {
    return CATALOGUE[this.code].exit;
  }

  get status(): number {
    return CATALOGUE[this.code].status;
  }
}

/** True for a GlassboxError, and for one of `code` when a code is given. */
export function isGlassboxError(error: unknown, code?: ErrorCode): error is GlassboxError {
  return error instanceof GlassboxError && (code === undefined || error.code === code);
}

/** The message of anything thrown, for wrapping; never its stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Anything thrown as one of our errors; what is not ours becomes `internal`, with the original as its cause. */
export function asGlassboxError(error: unknown): GlassboxError {
  if (error instanceof GlassboxError) return error;
  const message = `Cannot go on after an unexpected fault: ${messageOf(error)}. Please report it`;
  return new GlassboxError("internal", message, { cause: error });
}

/** Quotes user input for a message: at most 200 characters, control characters escaped. */
export function quoted(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? String(value);
  const cut = text.length > 200 ? `${text.slice(0, 197)}...` : text;
  return JSON.stringify(cut);
}
