import { isObject } from "../envelope.ts";

/** What KBase's execution engine makes of a job that has ended. */
export interface Verdict {
  readonly state: "completed" | "error" | "terminated";
  /** As EE2 numbers them; null for a completed job. */
  readonly errorCode: number | null;
  /** What it means, for the author. */
  readonly text: string;
  /** What works here but is asking for trouble. */
  readonly warnings: readonly string[];
  /** What a caller gets: the document, or the error that the runner makes up. */
  readonly document: Record<string, unknown>;
}

/** Above this the runner throws an output away. */
export const OUTPUT_BYTES_MAX = 1_073_741_824;
const MONGO_BYTES = 16 * 1024 * 1024;

/** What is known of an output that is not read, as it has more bytes than may be. */
export interface TooLarge {
  readonly sizeBytes: number;
}

/** Reads output.json as JobRunner and EE2 do: the exit code of the container is never looked at. */
export function verdictOf(output: Uint8Array | TooLarge | null): Verdict {
  if (output === null) return missing();
  if (!(output instanceof Uint8Array)) return tooLarge(output);
  let document: unknown;
  try {
    // A byte order mark is no JSON to the runner.
    document = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(output));
  } catch {
    const text =
      "output.json is not JSON: the runner crashes on it, and the job ends as Unexpected Job Error";
    return failed(2, text, made("Unexpected Job Error", text));
  }
  if (!isObject(document)) {
    const text =
      "output.json is JSON but no object: the runner crashes on it, and the job ends as Unexpected Job Error";
    return failed(2, text, made("Unexpected Job Error", text));
  }
  return judged(document, output.length);
}

function judged(document: Record<string, unknown>, bytes: number): Verdict {
  if ("error" in document) return withError(document);
  if (Object.keys(document).length === 0) {
    const text = "output.json is an empty object, which EE2 accepts as the end of a job without a result";
    return { state: "completed", errorCode: null, text, warnings: [], document };
  }
  const wrong = wrongWith(document);
  if (wrong !== null) {
    return { ...failed(4, `Something was wrong with the output object: ${wrong}`, document), document };
  }
  const { id } = document;
  if (id !== undefined && id !== null && !isObjectId(id)) {
    const text =
      `EE2 cannot take the output: id must be the one of input.json, 24 hexadecimal digits: it is ${
        JSON.stringify(id)
      }`;
    return failed(2, text, document);
  }
  const warnings = warningsFor(document, bytes);
  return { state: "completed", errorCode: null, text: "the job completed", warnings, document };
}

function withError(document: Record<string, unknown>): Verdict {
  const { error } = document;
  if (!isObject(error)) {
    const text = `output.json has the key error with ${
      JSON.stringify(error)
    } in it: the runner crashes on it, so the job ends as Unexpected Job Error. A success must not have that key`;
    return failed(2, text, made("Unexpected Job Error", text));
  }
  const told = error["message"] ?? error["name"] ?? "without a message";
  const warnings = "result" in document ? ["result stands beside error, which Java clients cannot read"] : [];
  return { ...failed(1, `Job output contains an error: ${told}`, document), warnings };
}

/** As MongoDB reads one. */
function isObjectId(id: unknown): boolean {
  return typeof id === "string" && /^[0-9a-f]{24}$/i.test(id);
}

function wrongWith({ version, result }: Record<string, unknown>): string | null {
  if (typeof version !== "string") return "version must be there, and be a string";
  if (result === undefined || result === null) {
    return "result must be there, and not be null: return [] for a method without a result";
  }
  return null;
}

function warningsFor({ result }: Record<string, unknown>, bytes: number): string[] {
  const warnings: string[] = [];
  if (!Array.isArray(result)) warnings.push("result is no list: clients take it for one");
  else {
    const hasReport = result.some((one) => isObject(one) && "report_name" in one && "report_ref" in one);
    if (!hasReport) {
      warnings.push("no element of result has report_name and report_ref, so the Narrative shows no report");
    }
    if (!result.every(isObject)) {
      warnings.push("an element of result is no object, which the Narrative's table of results fails on");
    }
  }
  if (bytes > MONGO_BYTES) {
    warnings.push(`output.json has ${bytes} bytes: EE2 keeps it in one document of at most 16 MiB`);
  }
  return warnings;
}

function missing(): Verdict {
  const name = "Output not found";
  const message = "No output generated. Check logs for more details";
  const error = { code: -32601, name, message, error: "No output generated" };
  return failed(1, "output.json is not there: the caller hears Output not found", { error });
}

function tooLarge({ sizeBytes }: TooLarge): Verdict {
  const message = `Method returned too much output (${sizeBytes} > ${OUTPUT_BYTES_MAX})`;
  const error = { code: -32601, name: "Too much output from a method", message, error: message };
  return failed(1, message, { error });
}

function made(name: string, message: string): Record<string, unknown> {
  return { error: { code: -32601, name, message, error: message } };
}

function failed(errorCode: number, text: string, document: Record<string, unknown>): Verdict {
  return { state: "error", errorCode, text, warnings: [], document };
}

/** A job that did not end by itself. */
export function stoppedVerdict(why: "cancelled" | "timeout"): Verdict {
  const [state, errorCode, text] = why === "timeout"
    ? [
      "error",
      3,
      "the job ran over its time limit: the container was killed, without a grace period",
    ] as const
    : [
      "terminated",
      null,
      "the job was cancelled: the container was killed, without a grace period",
    ] as const;
  return { state, errorCode, text, warnings: [], document: made("Canceled or unexpected error", text) };
}
