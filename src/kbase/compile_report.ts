import type { Files } from "../core/host.ts";
import type { KbaseType } from "../core/task.ts";
import { VERSION } from "../core/version.ts";
import { type Method, type Methods, moduleOf } from "./methods.ts";

/**
 * What KBase's catalog wants to read of a module in `report` mode. Its spec is the KIDL file beside kbase.yml, or
 * one made from the methods where there is none.
 */
export async function compileReport(files: Files, methods: Methods): Promise<object> {
  const module = mainModule(methods);
  const { directory } = methods.module;
  const bytes = await files.read(`${directory}/${module}.spec`, 4 * 1024 * 1024).catch(() => null);
  const own = methods.list().filter(({ name }) => moduleOf(name) === module);
  const content = bytes === null ? kidlOf(module, own) : new TextDecoder().decode(bytes);
  const functions = functionsOf(content);
  return {
    module_name: module,
    sdk_version: `glassbox ${VERSION}`,
    sdk_git_commit: "",
    impl_file_path: "glassbox",
    spec_files: [{ file_name: `${module}.spec`, content, is_main: 1 }],
    function_places: Object.fromEntries(functions.map(({ name, place }) => [name, place])),
    functions: Object.fromEntries(functions.map((described) => [described.name, described])),
  };
}

/** The module of the methods that only try glassbox out. */
const OWN = "Glassbox";

/** The name this container answers for: kbase.yml's, or that of the built-in methods. */
export function mainModule(methods: Methods): string {
  const built = [...methods.modules];
  return methods.module.name ?? built.find((name) => name !== OWN) ?? OWN;
}

const KIDL_TYPES: Readonly<Record<KbaseType, string>> = {
  int: "int",
  float: "float",
  string: "string",
  list: "list<UnspecifiedObject>",
  object: "mapping<string, UnspecifiedObject>",
  any: "UnspecifiedObject",
};

function kidlOf(module: string, methods: readonly Method[]): string {
  const functions = methods.map(({ name, authentication, parameters }) => {
    const types = (parameters ?? ["any"]).map((type, index) => `${KIDL_TYPES[type]} arg${index + 1}`);
    return `    funcdef ${name.slice(module.length + 1)}(${types.join(", ")})\n` +
      `        returns (UnspecifiedObject output) authentication ${authentication};\n`;
  });
  return `module ${module} {\n${functions.join("\n")}};\n`;
}

interface Described {
  readonly name: string;
  readonly comment: string;
  readonly place: { readonly start_line: number; readonly end_line: number };
  readonly input: readonly { readonly type: string; readonly comment: string }[];
  readonly output: readonly { readonly type: string; readonly comment: string }[];
}

const FUNCDEF = /funcdef\s+(\w+)\s*\(([^)]*)\)\s*(?:returns\s*\(([^)]*)\))?[^;]*;/g;

/** The functions of a KIDL text; comments are blanked first, so that places stay what they are. */
function functionsOf(kidl: string): Described[] {
  const bare = kidl.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "));
  return [...bare.matchAll(FUNCDEF)].map((found) => {
    const lineOf = (at: number) => bare.slice(0, at).split("\n").length;
    const [text, name, input, output] = found;
    const place = { start_line: lineOf(found.index), end_line: lineOf(found.index + text.length) };
    return { name: name!, comment: "", place, input: typesOf(input), output: typesOf(output) };
  });
}

function typesOf(list: string | undefined): { type: string; comment: string }[] {
  const parts: string[] = [];
  let depth = 0;
  let part = "";
  for (const character of list ?? "") {
    if (character === "<") depth += 1;
    if (character === ">") depth -= 1;
    if (character === "," && depth === 0) {
      parts.push(part);
      part = "";
    } else part += character;
  }
  return [...parts, part].map((text) => text.trim()).filter((text) => text !== "").map((text) => {
    const [, type, name] = /^(.*\S)\s+(\w+)$/.exec(text) ?? [null, text, ""];
    return { type: type!.replace(/\s+/g, " "), comment: name! };
  });
}
