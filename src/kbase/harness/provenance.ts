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

/** What the runner tells about a job: what ran, with what, and which modules took part. */
export class Provenance {
  readonly #action: Readonly<Record<string, unknown>>;
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
      description: "KBase SDK method run via the KBase Execution Engine",
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
