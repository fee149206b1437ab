/** As much of KBase's interface language as its own checks look at: types, methods, and which needs whom to sign in. */

export type KidlType =
  | { readonly kind: "scalar"; readonly name: string }
  | { readonly kind: "named"; readonly name: string }
  | { readonly kind: "list"; readonly of: KidlType }
  | { readonly kind: "mapping"; readonly key: KidlType; readonly value: KidlType }
  | { readonly kind: "tuple"; readonly of: readonly KidlType[] }
  | { readonly kind: "structure"; readonly fields: readonly string[] };

export interface KidlFunction {
  readonly name: string;
  readonly parameters: readonly KidlType[];
  readonly returns: readonly KidlType[];
  readonly authentication: string;
  readonly line: number;
}

export interface KidlModule {
  readonly name: string;
  readonly types: ReadonlyMap<string, KidlType>;
  readonly functions: readonly KidlFunction[];
}

/** What is wrong with a text, and in which line. */
export class KidlError extends Error {
  readonly line: number;

  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

interface Token {
  readonly text: string;
  readonly line: number;
}

const SCALARS: ReadonlySet<string> = new Set(["int", "float", "string", "UnspecifiedObject"]);
const AUTHENTICATION: ReadonlySet<string> = new Set(["required", "optional", "none"]);
const DEPTH_MAX = 50;

export function parseKidl(text: string): readonly KidlModule[] {
  return new Parser(tokensOf(text)).modules();
}

function tokensOf(text: string): Token[] {
  const bare = text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "));
  const open = bare.indexOf("/*");
  if (open !== -1) throw new KidlError("a comment is not closed", lineAt(bare, open));
  const plain = bare.replace(/^\s*#include\b[^\n]*/gm, (line) => line.replace(/[^\n]/g, " "));
  return [...plain.matchAll(/[A-Za-z_][\w.]*|[{}()<>;:,]|\S/g)].map(({ 0: word, index }) => ({
    text: word,
    line: lineAt(plain, index),
  }));
}

function lineAt(text: string, at: number): number {
  return text.slice(0, at).split("\n").length;
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  modules(): KidlModule[] {
    const modules: KidlModule[] = [];
    while (this.#at < this.#tokens.length) modules.push(this.#module());
    return modules;
  }

  #module(): KidlModule {
    this.#demand("module");
    let name = this.#word("a module's name");
    // An older form gives the service's name before the module's.
    if (this.#take(":")) name = this.#word("a module's name");
    this.#demand("{");
    const types = new Map<string, KidlType>();
    const functions: KidlFunction[] = [];
    let authentication = "none";
    while (!this.#take("}")) {
      if (this.#take("typedef")) this.#typedef(types);
      else if (this.#take("authentication") || this.#take("auth_default")) {
        authentication = this.#authentication();
        this.#demand(";");
      } else functions.push(this.#function(authentication));
    }
    this.#take(";");
    return { name, types, functions };
  }

  #typedef(types: Map<string, KidlType>): void {
    const type = this.#type(0);
    const { text: name, line } = this.#peek();
    this.#word("a type's name");
    if (types.has(name)) throw new KidlError(`the type ${name} is there twice`, line);
    this.#known(type, types, line);
    types.set(name, type);
    this.#demand(";");
  }

  #known(type: KidlType, types: ReadonlyMap<string, KidlType>, line: number): void {
    const inner = type.kind === "list"
      ? [type.of]
      : type.kind === "mapping"
      ? [type.key, type.value]
      : type.kind === "tuple"
      ? type.of
      : [];
    for (const one of inner) this.#known(one, types, line);
    if (type.kind === "named" && !type.name.includes(".") && !types.has(type.name)) {
      throw new KidlError(`the type ${type.name} is not known here`, line);
    }
  }

  #function(authenticationBefore: string): KidlFunction {
    this.#take("async");
    const { line } = this.#peek();
    this.#demand("funcdef");
    const name = this.#word("a method's name");
    const parameters = this.#arguments();
    const returns = this.#take("returns") ? this.#arguments() : [];
    const authentication = this.#take("authentication") ? this.#authentication() : authenticationBefore;
    this.#demand(";");
    return { name, parameters, returns, authentication, line };
  }

  #authentication(): string {
    const { text, line } = this.#next();
    if (AUTHENTICATION.has(text)) return text;
    throw new KidlError(`authentication must be required, optional or none: it is ${text}`, line);
  }

  #arguments(): KidlType[] {
    const found: KidlType[] = [];
    this.#demand("(");
    while (!this.#take(")")) {
      found.push(this.#type(0));
      if (![",", ")"].includes(this.#peek().text)) this.#word("an argument's name");
      if (!this.#take(",") && this.#peek().text !== ")") throw this.#unexpected("a comma or )");
    }
    return found;
  }

  #type(depth: number): KidlType {
    const { text, line } = this.#next();
    if (depth > DEPTH_MAX) throw new KidlError("types are nested too deeply", line);
    if (SCALARS.has(text)) return { kind: "scalar", name: text };
    if (text === "structure") return this.#structure(depth);
    if (text === "list") return { kind: "list", of: this.#inner(depth, 1)[0]! };
    if (text === "tuple") return { kind: "tuple", of: this.#inner(depth, null) };
    if (text === "mapping") {
      const [key, value] = this.#inner(depth, 2);
      return { kind: "mapping", key: key!, value: value! };
    }
    if (/^[A-Za-z_]/.test(text)) return { kind: "named", name: text };
    throw new KidlError(`a type is expected: there is ${text}`, line);
  }

  #inner(depth: number, count: number | null): KidlType[] {
    const found: KidlType[] = [];
    const { line } = this.#peek();
    this.#demand("<");
    do {
      found.push(this.#type(depth + 1));
      if (![",", ">"].includes(this.#peek().text)) this.#word("a name");
    } while (this.#take(","));
    this.#demand(">");
    if (count === null || found.length === count) return found;
    throw new KidlError(`${count} types are expected between < and >: there are ${found.length}`, line);
  }

  #structure(depth: number): KidlType {
    const fields: string[] = [];
    this.#demand("{");
    while (!this.#take("}")) {
      this.#type(depth + 1);
      fields.push(this.#word("a field's name"));
      this.#demand(";");
    }
    return { kind: "structure", fields };
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { text: "", line: this.#tokens.at(-1)?.line ?? 1 };
  }

  #next(): Token {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }

  #take(text: string): boolean {
    if (this.#peek().text !== text) return false;
    this.#at += 1;
    return true;
  }

  #demand(text: string): void {
    if (!this.#take(text)) throw this.#unexpected(text);
  }

  #word(what: string): string {
    if (!/^[A-Za-z_]\w*$/.test(this.#peek().text)) throw this.#unexpected(what);
    return this.#next().text;
  }

  #unexpected(wanted: string): KidlError {
    const { text, line } = this.#peek();
    return new KidlError(`${wanted} is expected: there is ${text === "" ? "nothing more" : text}`, line);
  }
}
