import type { KbaseAuthentication, KbaseType, TaskRegistry } from "../core/task.ts";
import { VERSION } from "../core/version.ts";
import type { Module } from "./module.ts";
import { RPC, RpcError } from "./rpc_error.ts";

/** One method that can be called here, and what carries it out. */
export interface Method {
  /** `Module.method`. */
  readonly name: string;
  readonly authentication: KbaseAuthentication;
  /** What its arguments must be; null takes any. */
  readonly parameters: readonly KbaseType[] | null;
  readonly work: MethodWork;
}

export type MethodWork =
  | { readonly kind: "task"; readonly task: string }
  /** A program with `{input}`, `{output}`, `{token}`, `{params}` and `{config}` in its words. */
  | { readonly kind: "program"; readonly command: readonly string[]; readonly directory: string };

/** The methods of this module: those of its kbase.yml, and those that built-in tasks declare. */
export class Methods {
  readonly module: Module;
  readonly #byName: ReadonlyMap<string, Method>;

  constructor(registry: TaskRegistry, module: Module) {
    this.module = module;
    const declared = registry.list().flatMap((task) =>
      task.kbase === undefined ? [] : [{
        name: task.kbase.method,
        authentication: task.kbase.authentication,
        parameters: task.kbase.parameters,
        work: { kind: "task", task: task.name } as const,
      }]
    );
    this.#byName = new Map([...declared, ...module.methods].map((method) => [method.name, method]));
  }

  list(): readonly Method[] {
    return [...this.#byName.values()];
  }

  /** The names before the dot: each answers `status`. */
  get modules(): ReadonlySet<string> {
    const named = this.module.name === null ? [] : [this.module.name];
    return new Set([...named, ...this.list().map(({ name }) => moduleOf(name))]);
  }

  /** Throws −32601 for one that is not here. */
  get(name: string): Method {
    const method = this.#byName.get(name);
    if (method !== undefined) return method;
    const known = this.list().map((known) => known.name).join(", ");
    throw new RpcError(RPC.method, null, { trace: `there are ${known}`, exitCode: 65 });
  }

  /**
   * What `Module.status` returns, or null for any other call: every module answers it, without a token and without a
   * job, unless it has a method of that name.
   */
  status(name: string, params: readonly unknown[]): readonly unknown[] | null {
    const isStatus = name === `${moduleOf(name)}.status` && this.modules.has(moduleOf(name)) &&
      !this.#byName.has(name);
    if (!isStatus) return null;
    if (params.length > 0) throw badArguments("too many arguments");
    const version = this.module.version ?? VERSION;
    return [{ state: "OK", message: "", version, git_url: "", git_commit_hash: "" }];
  }

  /** True when any method of the module wants to know who calls: then a job's token is checked before it runs. */
  wantsToken(module: string): boolean {
    return this.list().some(({ name, authentication }) =>
      moduleOf(name) === module && authentication !== "none"
    );
  }
}

export function moduleOf(method: string): string {
  return method.slice(0, method.indexOf("."));
}

/** Checks number and types of arguments as KBase's servers do: null passes for anything. */
export function checkArguments({ parameters }: Method, params: readonly unknown[]): void {
  if (parameters === null) return;
  if (params.length < parameters.length) throw badArguments("not enough arguments");
  if (params.length > parameters.length) throw badArguments("too many arguments");
  parameters.forEach((type, index) => {
    const value = params[index];
    if (value === null || CHECKS[type](value)) return;
    throw badArguments(`positional arg #${index + 1} is the wrong type`);
  });
}

const CHECKS: Readonly<Record<KbaseType, (value: unknown) => boolean>> = {
  int: (value) => Number.isInteger(value) || typeof value === "boolean",
  float: (value) => typeof value === "number",
  string: (value) => typeof value === "string",
  list: Array.isArray,
  object: (value) => typeof value === "object" && !Array.isArray(value),
  any: () => true,
};

function badArguments(message: string): RpcError {
  return new RpcError(RPC.params, message, { exitCode: 65 });
}

/** Files that a program may be given by name. */
export interface MethodFiles {
  /** The request, as KBase's runner writes it. */
  readonly input: string;
  /** Where the program writes its answer. */
  readonly output: string;
  /** Holds the caller's token, without a newline. */
  readonly token: string;
  /** The arguments alone, as a JSON array. */
  readonly params: string;
  /** The rendered deploy.cfg; empty where there is none. */
  readonly config: string;
}

/** The job that carries out a call, as a request to run a task. */
export function methodRequest(
  { work }: Method,
  params: readonly unknown[],
  files: MethodFiles,
): { task: string; input: unknown } {
  if (work.kind === "task") return { task: work.task, input: params[0] ?? {} };
  const [program, ...args] = work.command.map((word) => filled(word, files));
  const outputs = answersInFile(work)
    ? [{ path: files.output, name: "output.json", mediaType: "application/json" }]
    : [];
  return { task: "exec", input: { program, args, cwd: work.directory, outputs } };
}

/** True for a program that is told where to write its answer. */
export function answersInFile(work: MethodWork): boolean {
  return names(work, "{output}");
}

/** True for a program one of whose words holds this one. */
export function names(work: MethodWork, word: string): boolean {
  return work.kind === "program" && work.command.some((one) => one.includes(word));
}

function filled(word: string, files: MethodFiles): string {
  return word.replace(/\{(input|output|token|params|config)\}/g, (_, name: keyof MethodFiles) => files[name]);
}
