import { parse } from "yaml";
import { messageOf } from "../../core/errors.ts";
import type { Files } from "../../core/host.ts";
import type { Finding } from "./finding.ts";
import { Findings } from "./finding.ts";
import { checkCompileReport } from "./compile_report.ts";
import { checkDeployConfig } from "./deploy_cfg.ts";
import { checkDisplay } from "./display.ts";
import { checkDescriptor, type Descriptor } from "./kbase_yml.ts";
import { KidlError, type KidlModule, parseKidl } from "./kidl.ts";
import { checkLocalFunction, missingFunctions } from "./local_functions.ts";
import { checkSpec, type SpecParts } from "./method_spec.ts";
import { MODULE_FILES } from "../module.ts";

/** What was looked at, and what was found there. */
export interface Validation {
  readonly files: readonly string[];
  readonly findings: readonly Finding[];
}

const FILE_BYTES_MAX = 8 * 1024 * 1024;
const METHODS = "ui/narrative/methods";
const LOCAL_FUNCTIONS = "ui/local_functions";

/** What KBase's own tool wants in a module, and its catalog does not. */
const SDK_NAMES = ["Makefile", "lib", "scripts", "test", "ui"] as const;

/** Checks the files of a module by the rules of KBase's catalog, SDK and NarrativeMethodStore, without any of them. */
export async function validate(files: Files, directory: string): Promise<Validation> {
  return await new Validator(files, directory).run();
}

class Validator {
  readonly #files: Files;
  readonly #directory: string;
  readonly #looked: string[] = [];
  readonly #findings: Finding[] = [];

  constructor(files: Files, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  async run(): Promise<Validation> {
    const descriptor = await this.#descriptor();
    const kidl = await this.#kidl(descriptor);
    await this.#methods(kidl, descriptor);
    await this.#deployConfig(descriptor.name);
    await this.#compileReport(await this.#localFunctions());
    await this.#surroundings();
    return { files: this.#looked, findings: this.#findings };
  }

  async #descriptor(): Promise<Descriptor> {
    for (const name of MODULE_FILES) {
      const document = await this.#yaml(name);
      if (document === undefined) continue;
      const { found, descriptor } = checkDescriptor(document, name);
      this.#add(found);
      return descriptor;
    }
    this.#error("kbase.yml", "", "must be there");
    return { name: null, isDynamicService: false, hasOwnMethods: false };
  }

  async #kidl({ name }: Descriptor): Promise<KidlModule | null> {
    if (name === null) return null;
    const file = `${name}.spec`;
    const text = await this.#text(file);
    if (text === null) {
      this.#error(file, "", "must be there, called as module-name says");
      return null;
    }
    try {
      const modules = parseKidl(text);
      if (modules.length !== 1) {
        this.#error(file, "", `must hold exactly one module: it holds ${modules.length}`);
        return null;
      }
      const [module] = modules;
      if (module!.name !== name) {
        this.#error(file, "module", `must be called ${name}, as in kbase.yml: it is ${module!.name}`);
      }
      return module!;
    } catch (error) {
      if (!(error instanceof KidlError)) throw error;
      this.#error(file, `line ${error.line}`, error.message);
      return null;
    }
  }

  async #methods(kidl: KidlModule | null, { isDynamicService }: Descriptor): Promise<void> {
    const names = await this.#listed(METHODS);
    if (names.length === 0 && !isDynamicService) {
      this.#warning(METHODS, "", "holds no method, so no Narrative shows an app of this module");
    }
    for (const name of names) {
      const at = `${METHODS}/${name}`;
      if (!/^[A-Za-z0-9_]+$/.test(name)) {
        this.#error(at, "", "must be called by letters, digits and underscores");
      }
      const spec = await this.#json(`${at}/spec.json`);
      if (spec === undefined) this.#error(`${at}/spec.json`, "", "must be there");
      const { found, parts } = spec === undefined || spec === BROKEN
        ? { found: new Findings(at), parts: NOTHING }
        : checkSpec(spec, `${at}/spec.json`, kidl);
      this.#add(found);
      await this.#display(at, parts);
    }
  }

  async #display(at: string, parts: SpecParts): Promise<void> {
    const file = `${at}/display.yaml`;
    const document = await this.#yaml(file);
    if (document === undefined) return this.#error(file, "", "must be there");
    if (document === BROKEN) return;
    const pages = (await this.#listed(at)).filter((name) => name.endsWith(".html"));
    this.#add(checkDisplay(document, file, parts, pages));
  }

  async #deployConfig(module: string | null): Promise<void> {
    const text = await this.#text("deploy.cfg");
    if (text === null) {
      return this.#warning(
        "deploy.cfg",
        "",
        "is not there: glassbox takes KBase's usual one, generated servers crash",
      );
    }
    this.#add(checkDeployConfig(text, "deploy.cfg", module));
  }

  /** The names of the functions that are declared. */
  async #localFunctions(): Promise<string[]> {
    const files = (await this.#listed(LOCAL_FUNCTIONS)).filter((name) => name.endsWith(".json"));
    for (const name of files) {
      const file = `${LOCAL_FUNCTIONS}/${name}`;
      const document = await this.#json(file);
      if (document !== BROKEN) this.#add(checkLocalFunction(document, file));
    }
    return files.map((name) => name.replace(/\.json$/, ""));
  }

  /** Only what a `report` left behind; the catalog makes its own. */
  async #compileReport(functions: readonly string[]): Promise<void> {
    const file = "work/compile_report.json";
    const document = await this.#json(file);
    if (document === undefined || document === BROKEN) return;
    this.#add(checkCompileReport(document, file));
    this.#add(missingFunctions(functions, document, file));
  }

  async #surroundings(): Promise<void> {
    if (!await this.#isThere("Dockerfile")) {
      this.#error("Dockerfile", "", "must be there: the catalog builds the image from it");
    }
    for (const name of SDK_NAMES) {
      if (!await this.#isThere(name)) {
        this.#warning(name, "", "is not there: kb-sdk wants it, the catalog does not");
      }
    }
  }

  #add({ list }: Findings): void {
    this.#findings.push(...list);
  }

  #error(file: string, where: string, message: string): void {
    this.#findings.push({ level: "error", file, where, message });
  }

  #warning(file: string, where: string, message: string): void {
    this.#findings.push({ level: "warning", file, where, message });
  }

  async #isThere(name: string): Promise<boolean> {
    return await this.#files.info(`${this.#directory}/${name}`).catch(() => null) !== null;
  }

  async #listed(name: string): Promise<string[]> {
    const names = await this.#files.list(`${this.#directory}/${name}`).catch(() => [] as string[]);
    return names.filter((one) => !one.startsWith("."));
  }

  async #text(name: string): Promise<string | null> {
    const path = `${this.#directory}/${name}`;
    if ((await this.#files.info(path).catch(() => null))?.kind !== "file") return null;
    this.#looked.push(name);
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(await this.#files.read(path, FILE_BYTES_MAX));
    } catch (error) {
      this.#error(
        name,
        "",
        `cannot be read as UTF-8 of at most ${FILE_BYTES_MAX} bytes: ${messageOf(error)}`,
      );
      return null;
    }
  }

  async #json(name: string): Promise<unknown> {
    const text = await this.#text(name);
    return text === null ? undefined : this.#parsed(name, () => JSON.parse(text));
  }

  async #yaml(name: string): Promise<unknown> {
    const text = await this.#text(name);
    return text === null ? undefined : this.#parsed(name, () => parse(text, { maxAliasCount: 100 }) ?? null);
  }

  #parsed(name: string, work: () => unknown): unknown {
    try {
      return work();
    } catch (error) {
      this.#error(name, "", `cannot be read: ${messageOf(error).split("\n")[0]}`);
      return BROKEN;
    }
  }
}

/** Stands for a document that is there and was complained about. */
const BROKEN = Symbol("broken");

const NOTHING: SpecParts = { parameters: [], groups: [], repeated: new Set() };
