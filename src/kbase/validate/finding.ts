/** Something about a module's files that KBase refuses, or that will surprise. */
export interface Finding {
  readonly level: "error" | "warning";
  /** Relative to the module's directory. */
  readonly file: string;
  /** Where in it, as in `parameters[0].field_type`; empty for all of it. */
  readonly where: string;
  readonly message: string;
}

/** Collects what is found in one file. */
export class Findings {
  readonly list: Finding[] = [];
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  error(where: string, message: string): void {
    this.list.push({ level: "error", file: this.#file, where, message });
  }

  warning(where: string, message: string): void {
    this.list.push({ level: "warning", file: this.#file, where, message });
  }
}
