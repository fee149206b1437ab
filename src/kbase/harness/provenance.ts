import { isObject } from "../envelope.ts";
import { moduleOf } from "../methods.ts";

export interface ModuleVersion {
  /** A semantic version. */
  readonly version: string;
  /** The version that was asked for, or a tag. */
  readonly tag: string;
  readonly url: string;
  readonly commit: string;
}

interface SubAction {
  readonly name: string;
  readonly ver: string;
  readonly code_url: string;
  readonly commit: string;
}

const DESCRIPTION = "KBase SDK method run via the KBase Execution Engine";

/** What the runner tells about a job: what ran, with what, and which modules took part. */
export class Provenance {
  #action: Readonly<Record<string, unknown>>;
  readonly #subactions = new Map<string, SubAction>();

  constructor(
    job: { readonly method: string; readonly params: readonly unknown[]; readonly version: string },
    time: string,
    inputs: readonly string[],
  ) {
    this.#action = {
      time,
      service: moduleOf(job.method),
      service_ver: job.version,
      method: job.method.split(".")[1],
      method_params: job.params,
      input_ws_objects: inputs,
      description: DESCRIPTION,
    };
  }

  /** Replaces the action by one that a caller tells, in the words of an action or of a job's input. */
  set(told: Readonly<Record<string, unknown>>, now: string): void {
    const { method, params, source_ws_objects: sources } = told;
    const [module, name] = typeof method === "string" && method.includes(".")
      ? method.split(".")
      : [told["service"], method];
    this.#action = {
      time: told["time"] ?? now,
      service: module,
      service_ver: told["service_ver"] ?? "dev",
      method: name,
      method_params: params ?? told["method_params"] ?? [],
      input_ws_objects: sources ?? told["input_ws_objects"] ?? [],
      description: told["description"] ?? DESCRIPTION,
    };
  }

  /** One entry for each module: the first version stays. */
  add(module: string, { version, tag, url, commit }: ModuleVersion): void {
    if (this.#subactions.has(module)) return;
    this.#subactions.set(module, { name: module, ver: `${version}-${tag}`, code_url: url, commit });
  }

  get actions(): readonly Readonly<Record<string, unknown>>[] {
    return [{ ...this.#action, subactions: [...this.#subactions.values()] }];
  }
}

/** The objects that a job's arguments name, as the Narrative would tell of them. */
export function referencesIn(params: readonly unknown[]): string[] {
  const found: string[] = [];
  const visit = (value: unknown): void => {
    if (typeof value === "string" && /^[^\s/]+\/[^\s/]+(\/\d+)?$/.test(value)) found.push(value);
    else if (Array.isArray(value)) value.forEach(visit);
    else if (isObject(value)) Object.values(value).forEach(visit);
  };
  params.forEach(visit);
  return found;
}
