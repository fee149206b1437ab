import { BOUNDS } from "./bounds.ts";
import { type FunctionRule, FUNCTIONS, LOWER_FUNCTIONS, suggestion } from "./functions.ts";
import { withoutLeibniz } from "./leibniz.ts";
import {
  checkDerivedNames,
  isDerivativeCall,
  matches,
  type Outline,
  outlineOf,
  startsOnNewLine,
  tooDeep,
} from "./outline.ts";
import { fail, type ProblemCode, type Span, type Warning, warningAt } from "./problem.ts";
import type { ComparisonSign, Equation, Syntax } from "./syntax.ts";
import { quotedPiece, type Token, tokensOf } from "./tokens.ts";

/** What a parser must know about the names of a text. */
export interface Names {
  readonly independent: string;
  /** Names that were given a value. */
  readonly parameters: ReadonlySet<string>;
  /** Names that are states whatever the text says of them: those of the system an expression belongs to. */
  readonly states?: ReadonlySet<string>;
}

/** Equations as they were written. */
export interface ParsedEquations {
  readonly equations: readonly Equation[];
  readonly dependents: ReadonlySet<string>;
  readonly primeAssumed: boolean;
  readonly warnings: readonly Warning[];
}

/** Reads equations; throws EquationError at the first fault. */
export function parseEquations(text: string, names: Names): ParsedEquations {
  const tokens = withoutLeibniz(tokensOf(text), names);
  if (tokens.length === 1) fail(text, "E_EMPTY", { pos: 0, end: text.length }, "there are no equations");
  const outline = outlineOf(text, tokens, names.independent);
  const parser = new Parser(text, tokens, outline, outline.dependents, names);
  const equations = parser.system();
  checkDerivedNames(text, outline, names.independent);
  return { ...outline, equations, warnings: parser.warnings };
}

/** Reads one expression; throws EquationError at the first fault. */
export function parseExpression(text: string, names: Names): { value: Syntax; warnings: readonly Warning[] } {
  const tokens = withoutLeibniz(tokensOf(text), names);
  if (tokens.length === 1) fail(text, "E_EMPTY", { pos: 0, end: text.length }, "there is no expression");
  const outline = outlineOf(text, tokens, names.independent);
  const parser = new Parser(text, tokens, outline, names.states ?? new Set(), names);
  return { value: parser.wholeExpression(), warnings: parser.warnings };
}

const CONTINUATIONS: ReadonlySet<string> = new Set([",", ";", "&&"]);
const TOP_COMPARISONS: ReadonlySet<string> = new Set(["<", "<=", ">", ">="]);
const COMPARISONS: ReadonlySet<string> = new Set([...TOP_COMPARISONS, "==", "!="]);

class Parser {
  readonly warnings: Warning[] = [];
  readonly #text: string;
  readonly #tokens: readonly Token[];
  readonly #outline: Outline;
  readonly #dependents: ReadonlySet<string>;
  readonly #names: Names;
  #index = 0;
  #depth = 0;
  /** How many brackets are open, not counting the braces around all equations. */
  #brackets = 0;

  constructor(
    text: string,
    tokens: readonly Token[],
    outline: Outline,
    dependents: ReadonlySet<string>,
    names: Names,
  ) {
    this.#text = text;
    this.#tokens = tokens;
    this.#outline = outline;
    this.#dependents = dependents;
    this.#names = names;
  }

  // Systems and equations

  system(): Equation[] {
    const equations = this.#isAt("{") && this.#bracket().equals
      ? this.#listOfEquations()
      : this.#equationLines();
    if (!this.#isEnd()) this.#expected("the end of the equations");
    return equations;
  }

  wholeExpression(): Syntax {
    const value = this.#value();
    if (!this.#isEnd()) this.#expected("the end of the expression");
    return value;
  }

  #listOfEquations(): Equation[] {
    this.#advance();
    const equations = this.#equation();
    while (this.#accept(",") || this.#accept("&&")) {
      if (this.#isAt("}")) break;
      equations.push(...this.#equation());
    }
    this.#require("}", "a comma or the closing }");
    return equations;
  }

  #equationLines(): Equation[] {
    const equations = this.#equation();
    while (this.#acceptSeparator()) {
      if (this.#isEnd()) break;
      equations.push(...this.#equation());
    }
    return equations;
  }

  #acceptSeparator(): boolean {
    if (CONTINUATIONS.has(this.#token.text)) return this.#advance() !== undefined;
    return startsOnNewLine(this.#token);
  }

  #equation(): Equation[] {
    const left = this.#side();
    const sign = this.#token;
    if (sign.text !== "==") this.#noEquals();
    this.#advance();
    const right = this.#side();
    if (this.#isAt("==")) {
      this.#fail("E_CHAINED", this.#token, "an equation has two sides only", "write two equations");
    }
    return this.#expanded(left, right, sign);
  }

  #noEquals(): never {
    const ends = this.#isEnd() || CONTINUATIONS.has(this.#token.text) || this.#isAt("}") ||
      startsOnNewLine(this.#token);
    if (!ends) this.#expected("== or an operator");
    this.#fail("E_NO_EQUALS", this.#token, "this equation has no ==", "write it as x'[t] == ...");
  }

  #expanded(left: Syntax, right: Syntax, sign: Token): Equation[] {
    const lefts = left.kind === "list" ? left.items : [left];
    const rights = right.kind === "list" ? right.items : [right];
    if (lefts.length !== rights.length) {
      const what = `the left side has length ${lefts.length} and the right side ${rights.length}`;
      this.#fail("E_COUNT", sign, what, "give both sides the same length");
    }
    return lefts.map((item, index) => ({ left: item, right: rights[index]! }));
  }

  #side(): Syntax {
    const isVector = this.#isAt("{") || (this.#isAt("(") && this.#bracket().comma);
    if (!isVector) return this.#value();
    const open = this.#advance();
    const close = open.text === "{" ? "}" : ")";
    return this.#inBrackets(() => {
      const items = [this.#value()];
      while (this.#accept(",") && !this.#isAt(close)) items.push(this.#value());
      this.#require(close, `a comma or the closing ${close}`);
      return { kind: "list", items, ...this.#since(open) };
    });
  }

  // Values and conditions

  #value(): Syntax {
    return this.#relation(TOP_COMPARISONS);
  }

  #condition(): Syntax {
    return this.#logical("or", "||", () => this.#logical("and", "&&", () => this.#not()));
  }

  #logical(kind: "and" | "or", sign: string, operand: () => Syntax): Syntax {
    const start = this.#token;
    const operands = [operand()];
    while (this.#accept(sign)) operands.push(operand());
    return operands.length === 1 ? operands[0]! : { kind, operands, ...this.#since(start) };
  }

  #not(): Syntax {
    const start = this.#token;
    if (!this.#accept("!")) return this.#relation(COMPARISONS);
    const operand = this.#nested(() => this.#not());
    return { kind: "not", operand, ...this.#since(start) };
  }

  #relation(allowed: ReadonlySet<string>): Syntax {
    const start = this.#token;
    const operands = [this.#sum()];
    const signs: ComparisonSign[] = [];
    while (this.#token.kind === "sign" && allowed.has(this.#token.text)) {
      signs.push(this.#advance().text as ComparisonSign);
      operands.push(this.#sum());
    }
    return signs.length === 0 ? operands[0]! : { kind: "relation", operands, signs, ...this.#since(start) };
  }

  #sum(): Syntax {
    const start = this.#token;
    const terms = [{ minus: false, value: this.#product() }];
    while (this.#isAt("+") || this.#isAt("-")) {
      const minus = this.#advance().text === "-";
      terms.push({ minus, value: this.#product() });
    }
    return terms.length === 1 ? terms[0]!.value : { kind: "sum", terms, ...this.#since(start) };
  }

  #product(): Syntax {
    const start = this.#token;
    const factors: { sign: "*" | "/" | "%"; value: Syntax }[] = [{ sign: "*", value: this.#signed() }];
    for (let afterSlash = false;;) {
      const sign = this.#token.text;
      if (this.#token.kind === "sign" && (sign === "*" || sign === "/" || sign === "%")) {
        this.#advance();
        factors.push({ sign, value: this.#signed() });
        afterSlash = sign === "/";
      } else if (this.#startsImplicit()) {
        if (afterSlash) this.#warnAfterSlash();
        factors.push({ sign: "*", value: this.#power() });
        afterSlash = false;
      } else break;
    }
    return factors.length === 1 ? factors[0]!.value : { kind: "product", factors, ...this.#since(start) };
  }

  #startsImplicit(): boolean {
    const { kind, text } = this.#token;
    if (kind !== "number" && kind !== "name" && text !== "(") return false;
    if (startsOnNewLine(this.#token) && this.#brackets === 0) return false;
    if (kind === "number" && this.#tokens[this.#index - 1]!.kind === "number") {
      this.#expected("an operator between two numbers");
    }
    return true;
  }

  #warnAfterSlash(): void {
    const what = "the factor after this quotient multiplies all of it: a/b c is (a/b) c";
    this.warnings.push(warningAt(this.#text, "W_IMPLICIT_AFTER_SLASH", this.#token, what));
  }

  #signed(): Syntax {
    const start = this.#token;
    if (this.#accept("+")) return this.#nested(() => this.#signed());
    if (!this.#accept("-")) return this.#power();
    const operand = this.#nested(() => this.#signed());
    return { kind: "negation", operand, ...this.#since(start) };
  }

  #power(): Syntax {
    const start = this.#token;
    let base = this.#operand();
    while (this.#token.kind === "superscript") {
      const { value, pos, end } = this.#advance();
      base = { kind: "power", base, exponent: { kind: "number", value, pos, end }, ...this.#since(start) };
    }
    if (!this.#accept("^") && !this.#accept("**")) return base;
    const exponent = this.#nested(() => this.#signed());
    return { kind: "power", base, exponent, ...this.#since(start) };
  }

  // Operands

  #operand(): Syntax {
    const { kind, value, pos, end } = this.#token;
    if (kind === "number") {
      this.#advance();
      return { kind: "number", value, pos, end };
    }
    if (kind === "name") return this.#named();
    if (!this.#accept("(")) this.#expected("a value");
    return this.#inBrackets(() => {
      const inner = this.#condition();
      this.#require(")", "the closing )");
      return inner;
    });
  }

  #named(): Syntax {
    const name = this.#token.text;
    if (isDerivativeCall(this.#tokens, this.#index, this.#names.independent)) return this.#derivativeCall();
    if (name === "Derivative" && this.#tokens[this.#index + 1]!.text === "[") {
      return this.#derivativeOperator();
    }
    const start = this.#advance();
    if (this.#isAt("'")) return this.#primed(start);
    if (this.#token.text === "[" || (this.#token.text === "(" && this.#isBracketHere())) {
      return this.#applied(start);
    }
    return { kind: "name", name, ...this.#since(start) };
  }

  /** A round bracket on a new line begins an equation instead. */
  #isBracketHere(): boolean {
    return this.#brackets > 0 || !startsOnNewLine(this.#token);
  }

  #applied(start: Token): Syntax {
    const name = start.text;
    const isState = this.#dependents.has(name);
    const rule = isState ? undefined : this.#functionNamed(name);
    if (rule !== undefined) return this.#call(rule, start);
    if (this.#token.text === "[") return isState ? this.#argument(start, 0) : this.#unknownApplied(start);
    if (!isState) return { kind: "name", name, ...this.#since(start) };
    if (this.#matches("(", this.#names.independent, ")")) return this.#argument(start, 0);
    if (
      this.#matches("(", this.#names.independent, "-") || this.#matches("(", this.#names.independent, "+")
    ) {
      this.#delay(this.#tokens[this.#index + 1]!);
    }
    return { kind: "name", name, ...this.#since(start) };
  }

  #functionNamed(name: string): FunctionRule | undefined {
    return FUNCTIONS.get(name) ?? (this.#names.parameters.has(name) ? undefined : LOWER_FUNCTIONS.get(name));
  }

  /** `name[...]` where the name is neither a function nor a state with a derivative in the text. */
  #unknownApplied(start: Token): Syntax {
    const hint = suggestion(start.text, [...FUNCTIONS.keys(), ...LOWER_FUNCTIONS.keys()]);
    const isState = this.#matches("[", this.#names.independent, "]");
    if (hint === undefined && (isState || this.#isInitialOnLeft())) return this.#argument(start, 0);
    this.#fail("E_UNKNOWN_FUNCTION", start, `unknown function ${quotedPiece(start.text)}`, hint);
  }

  #isInitialOnLeft(): boolean {
    return this.#matches("[", "#", "]", "==") || this.#matches("[", "-", "#", "]", "==");
  }

  #primed(start: Token): Syntax {
    let order = 0;
    for (; this.#accept("'"); order++);
    return this.#argument(start, order);
  }

  /** The argument after a state, if there is one: the independent variable, or a number for an initial value. */
  #argument(start: Token, order: number): Syntax {
    const name = start.text;
    const { independent } = this.#names;
    if (this.#isAt("[")) {
      if (this.#matches("[", "#", "]")) return this.#initial(start, order, 1);
      if (this.#matches("[", "-", "#", "]")) return this.#initial(start, order, -1);
      if (!this.#matches("[", independent, "]")) this.#badArgument(name);
      this.#skip(3);
    } else if (this.#isAt("(") && this.#matches("(", independent, ")") && this.#isBracketHere()) {
      this.#skip(3);
    }
    return { kind: "state", name, order, ...this.#since(start) };
  }

  #initial(start: Token, order: number, sign: 1 | -1): Syntax {
    this.#skip(sign === 1 ? 1 : 2);
    const at = sign * this.#advance().value;
    this.#skip(1);
    return { kind: "initial", name: start.text, order, at, ...this.#since(start) };
  }

  #badArgument(name: string): never {
    const { independent } = this.#names;
    const { close } = this.#bracket();
    const first = this.#tokens[this.#index + 1]!;
    const inside = this.#tokens.slice(this.#index + 1, close);
    if (inside.length === 0) this.#fail("E_EXPECTED", first, `expected ${independent} between the brackets`);
    if (inside.some((token) => token.text === independent)) this.#delay(first);
    const what = `${quotedPiece(name)} is a function of ${independent} only`;
    this.#fail("E_INDEP", first, what, `write ${name}[${independent}]`);
  }

  #delay(at: Token): never {
    const { independent } = this.#names;
    const hint = `write only ${independent} between the brackets`;
    this.#fail("E_DELAY", at, `a state can only be taken at ${independent} itself`, hint);
  }

  #derivativeCall(): Syntax {
    const start = this.#advance();
    const open = this.#advance().text;
    const name = this.#advance().text;
    if (this.#isAt("[") || this.#isAt("(")) this.#skip(3);
    this.#require(",", "a comma");
    const order = this.#matches("{", this.#names.independent, ",", "#", "}") ? this.#orderInBraces() : 1;
    if (order === 1 && !this.#isAt(")") && !this.#isAt("]")) this.#derivativeVariable();
    this.#require(open === "[" ? "]" : ")", "the closing bracket");
    return { kind: "state", name, order, ...this.#since(start) };
  }

  #derivativeVariable(): void {
    const { independent } = this.#names;
    if (this.#token.kind === "name" && this.#token.text !== independent) {
      this.#fail("E_INDEP", this.#token, `derivatives are by ${independent} only`, `write ${independent}`);
    }
    this.#require(independent, independent);
  }

  #orderInBraces(): number {
    this.#skip(3);
    const order = this.#order();
    this.#skip(1);
    return order;
  }

  #derivativeOperator(): Syntax {
    const start = this.#advance();
    this.#skip(1);
    const order = this.#order();
    this.#require("]", "]");
    this.#require("[", "[");
    if (this.#token.kind !== "name") this.#expected("the name of a state");
    const name = this.#advance().text;
    this.#require("]", "]");
    return { ...this.#argument({ ...start, text: name }, order), ...this.#since(start) };
  }

  #order(): number {
    const { kind, value } = this.#token;
    if (kind !== "number" || !Number.isInteger(value) || value < 1) this.#expected("a whole number from 1");
    if (value > BOUNDS.states) {
      this.#fail("E_LIMIT", this.#token, `a derivative may be of order ${BOUNDS.states} at most`);
    }
    this.#advance();
    return value;
  }

  #call(rule: FunctionRule, start: Token): Syntax {
    const close = this.#advance().text === "[" ? "]" : ")";
    return this.#inBrackets(() => {
      const args = this.#isAt(close) ? [] : this.#items();
      this.#require(close, `a comma or the closing ${close}`);
      this.#checkArity(rule, args.length, start);
      return { kind: "call", rule, args, ...this.#since(start) };
    });
  }

  #checkArity({ name, least, most, shape }: FunctionRule, count: number, start: Token): void {
    const fits = count >= least && count <= most && (shape !== "Which" || count % 2 === 0);
    if (fits) return;
    const wanted = shape === "Which"
      ? "pairs of a condition and a value"
      : least === most
      ? plural(least)
      : most === Infinity
      ? `${plural(least)} or more`
      : `${least} or ${plural(most)}`;
    this.#fail("E_ARITY", start, `${name} takes ${wanted}, not ${count}`);
  }

  #items(): Syntax[] {
    const items = [this.#argumentOrList()];
    while (this.#accept(",")) items.push(this.#argumentOrList());
    return items;
  }

  #argumentOrList(): Syntax {
    const start = this.#token;
    if (!this.#accept("{")) return this.#condition();
    return this.#inBrackets(() => {
      const items = this.#isAt("}") ? [] : this.#items();
      this.#require("}", "a comma or the closing }");
      return { kind: "list", items, ...this.#since(start) };
    });
  }

  // Tokens

  get #token(): Token {
    return this.#tokens[this.#index]!;
  }

  #isEnd(): boolean {
    return this.#token.kind === "end";
  }

  #isAt(text: string): boolean {
    return this.#token.text === text;
  }

  #matches(...pattern: string[]): boolean {
    return matches(this.#tokens, this.#index, pattern);
  }

  #bracket() {
    return this.#outline.brackets.get(this.#index)!;
  }

  #advance(): Token {
    return this.#tokens[this.#index++]!;
  }

  #skip(count: number): void {
    this.#index += count;
  }

  #accept(text: string): boolean {
    if (!this.#isAt(text)) return false;
    this.#index++;
    return true;
  }

  #require(text: string, wanted: string): void {
    if (!this.#accept(text)) this.#expected(wanted);
  }

  #since(start: Span): Span {
    return { pos: start.pos, end: this.#tokens[this.#index - 1]!.end };
  }

  #nested<T>(inner: () => T): T {
    if (++this.#depth > BOUNDS.nesting) {
      this.#fail("E_DEPTH", this.#tokens[this.#index - 1]!, tooDeep());
    }
    const result = inner();
    this.#depth--;
    return result;
  }

  /** Inside further brackets a new line is a space. */
  #inBrackets<T>(inner: () => T): T {
    this.#brackets++;
    const result = this.#nested(inner);
    this.#brackets--;
    return result;
  }

  #expected(wanted: string): never {
    const seen = this.#isEnd() ? "the text ends" : `found ${quotedPiece(sourceOf(this.#text, this.#token))}`;
    this.#fail("E_EXPECTED", this.#token, `expected ${wanted}, but ${seen}`);
  }

  #fail(code: ProblemCode, span: Span, what: string, hint?: string): never {
    fail(this.#text, code, span, what, hint);
  }
}

function plural(count: number): string {
  return count === 1 ? "1 argument" : `${count} arguments`;
}

function sourceOf(text: string, { pos, end }: Span): string {
  return text.slice(pos, end);
}
