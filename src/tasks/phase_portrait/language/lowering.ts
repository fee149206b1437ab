import { latinTwin } from "./characters.ts";
import { CONSTANTS, FUNCTIONS, LOWER_FUNCTIONS, suggestion } from "./functions.ts";
import type { BinaryOperation, Graph, NodeId, UnaryOperation } from "./graph.ts";
import { fail, type ProblemCode, type Span, type Warning, warningAt } from "./problem.ts";
import type { ComparisonSign, Syntax } from "./syntax.ts";
import { quotedPiece } from "./tokens.ts";

/** What the names of an expression stand for. */
export interface Meanings {
  readonly text: string;
  readonly graph: Graph;
  readonly independent: string;
  /** The order of each variable's equation: 2 when x'' is what the equation gives. */
  readonly orders: ReadonlyMap<string, number>;
  /** The node of a state or leading derivative. */
  node(name: string, order: number): NodeId;
  /** The number of a parameter; undefined when there is no such parameter. */
  parameter(name: string): number | undefined;
  /** Makes an unknown name a parameter; undefined where unknown names are errors. */
  readonly adopt?: (name: string) => number;
  /** Names that may have been meant by an unknown one. */
  readonly known: readonly string[];
  readonly warnings: Warning[];
  /** True where neither states nor the independent variable may occur. */
  readonly constantOnly?: boolean;
}

/** The node that computes a number; throws EquationError where the expression has no meaning. */
export function lowerValue(syntax: Syntax, meanings: Meanings): NodeId {
  return new Lowering(meanings).value(syntax);
}

const UNARY_CALLS: ReadonlyMap<string, UnaryOperation> = new Map([
  ["Sin", "sin"],
  ["Cos", "cos"],
  ["Tan", "tan"],
  ["ArcSin", "asin"],
  ["ArcCos", "acos"],
  ["ArcTan", "atan"],
  ["Sinh", "sinh"],
  ["Cosh", "cosh"],
  ["Tanh", "tanh"],
  ["ArcSinh", "asinh"],
  ["ArcCosh", "acosh"],
  ["ArcTanh", "atanh"],
  ["Exp", "exp"],
  ["Log", "log"],
  ["Sqrt", "sqrt"],
  ["CubeRoot", "cbrt"],
  ["Abs", "abs"],
  ["Sign", "sign"],
  ["Floor", "floor"],
  ["Ceiling", "ceil"],
  ["Log10", "log10"],
  ["Log2", "log2"],
  ["UnitStep", "step"],
  ["HeavisideTheta", "step"],
]);

const RECIPROCALS: ReadonlyMap<string, UnaryOperation> = new Map([
  ["Cot", "tan"],
  ["Sec", "cos"],
  ["Csc", "sin"],
]);

const FACTORS: Readonly<Record<"*" | "/" | "%", BinaryOperation>> = { "*": "mul", "/": "div", "%": "mod" };

const CONDITION_KINDS: ReadonlySet<string> = new Set(["relation", "and", "or", "not"]);

class Lowering {
  readonly #meanings: Meanings;
  readonly #graph: Graph;

  constructor(meanings: Meanings) {
    this.#meanings = meanings;
    this.#graph = meanings.graph;
  }

  value(syntax: Syntax): NodeId {
    const graph = this.#graph;
    if (isCondition(syntax)) return this.#coerced(syntax);
    switch (syntax.kind) {
      case "number":
        return graph.constant(syntax.value);
      case "name":
        return this.#name(syntax.name, syntax);
      case "state":
        return this.#state(syntax.name, syntax.order, syntax);
      case "negation":
        return graph.unary("neg", this.value(syntax.operand));
      case "power":
        return graph.binary("pow", this.value(syntax.base), this.value(syntax.exponent));
      case "sum":
        return syntax.terms.map(({ minus, value }) => ({ minus, id: this.value(value) })).reduce((
          sum,
          term,
        ) => ({
          minus: false,
          id: graph.binary(term.minus ? "sub" : "add", sum.id, term.id),
        })).id;
      case "product":
        return syntax.factors.map(({ sign, value }) => ({ sign, id: this.value(value) })).reduce((
          left,
          right,
        ) => ({
          sign: "*",
          id: graph.binary(FACTORS[right.sign], left.id, right.id),
        })).id;
      case "call":
        return this.#call(syntax);
      case "initial":
        return this.#fail("E_IC_PLACE", syntax, "an initial value can only stand alone on a left side");
      case "list":
        return this.#fail("E_TYPE", syntax, "a list cannot stand here", "write a number");
    }
    throw new Error(`There is no meaning for ${syntax.kind}`);
  }

  condition(syntax: Syntax): NodeId {
    const graph = this.#graph;
    switch (syntax.kind) {
      case "relation":
        return this.#relation(syntax.operands.map((operand) => this.value(operand)), syntax.signs);
      case "and":
      case "or":
        return syntax.operands.map((operand) => this.condition(operand))
          .reduce((left, right) => graph.logical(syntax.kind as "and" | "or", left, right));
      case "not":
        return graph.not(this.condition(syntax.operand));
    }
    if (isCondition(syntax)) return graph.constant((syntax as { name: string }).name === "True" ? 1 : 0);
    return this.#fail("E_TYPE", syntax, "a condition is wanted here", "compare the value, as in x[t] > 0");
  }

  /** A condition where a number is wanted: conditions are 1 or 0 already. */
  #coerced(syntax: Syntax): NodeId {
    const { text, warnings } = this.#meanings;
    warnings.push(
      warningAt(text, "W_BOOL_COERCED", syntax, "this condition counts as 1 where it holds, else 0"),
    );
    return this.condition(syntax);
  }

  #relation(operands: readonly NodeId[], signs: readonly ComparisonSign[]): NodeId {
    const links = signs.map((sign, index) => this.#comparison(sign, operands[index]!, operands[index + 1]!));
    return links.reduce((left, right) => this.#graph.logical("and", left, right));
  }

  #comparison(sign: ComparisonSign, a: NodeId, b: NodeId): NodeId {
    const graph = this.#graph;
    switch (sign) {
      case "<":
        return graph.binary("lt", a, b);
      case "<=":
        return graph.binary("le", a, b);
      case ">":
        return graph.binary("lt", b, a);
      case ">=":
        return graph.binary("le", b, a);
      case "==":
        return graph.binary("eq", a, b);
      case "!=":
        return graph.binary("ne", a, b);
    }
  }

  #name(name: string, span: Span): NodeId {
    const { independent, orders, constantOnly } = this.#meanings;
    if (orders.has(name)) return this.#state(name, 0, span);
    if (name === independent) {
      if (constantOnly) this.#notConstant(name, span);
      return this.#graph.time();
    }
    const parameter = this.#meanings.parameter(name);
    if (parameter !== undefined) return this.#graph.parameter(parameter);
    const constant = CONSTANTS.get(name);
    if (constant !== undefined) return this.#graph.constant(constant);
    return this.#unknown(name, span);
  }

  #unknown(name: string, span: Span): NodeId {
    if (FUNCTIONS.has(name) || (LOWER_FUNCTIONS.has(name) && this.#meanings.adopt === undefined)) {
      this.#fail("E_FUNC_ARGS", span, `${name} is a function`, `write its arguments: ${name}[...]`);
    }
    if (name === "Derivative") {
      this.#fail("E_EXPECTED", span, "Derivative stands alone", "write Derivative[1][x][t]");
    }
    if (name === "I") {
      const hint = "give a parameter I, or choose another name";
      this.#fail("E_COMPLEX", span, "I is the imaginary unit, and values are real", hint);
    }
    const { adopt, text, warnings } = this.#meanings;
    if (adopt === undefined) this.#unknownName(name, span);
    warnings.push(
      warningAt(text, "W_UNBOUND_ZERO", span, `${quotedPiece(name)} was given no value and counts as 0`),
    );
    return this.#graph.parameter(adopt(name));
  }

  #unknownName(name: string, span: Span): never {
    const candidates = [...this.#meanings.known, ...CONSTANTS.keys()];
    const twin = latinTwin(name);
    const hint = twin !== null && candidates.includes(twin)
      ? `it has Cyrillic letters, ${twin} in Latin letters is known`
      : suggestion(name, candidates) ?? "give it a value as a parameter";
    this.#fail("E_UNKNOWN_NAME", span, `unknown name ${quotedPiece(name)}`, hint);
  }

  #state(name: string, order: number, span: Span): NodeId {
    const { orders, constantOnly, independent } = this.#meanings;
    const leading = orders.get(name);
    if (constantOnly) this.#notConstant(name, span);
    if (leading !== undefined && order <= leading) return this.#meanings.node(name, order);
    const what = `there is no equation for ${quotedPiece(`${name}${"'".repeat(order)}`)}`;
    const isParameter = this.#meanings.parameter(name) !== undefined;
    const hint = isParameter ? `write the parameter as ${name}` : `add ${name}'[${independent}] == ...`;
    return this.#fail("E_NO_EQUATION", span, what, hint);
  }

  #notConstant(name: string, span: Span): never {
    const what = `an initial value cannot depend on ${quotedPiece(name)}`;
    this.#fail("E_IC_VALUE", span, what, "use numbers and parameters");
  }

  #call({ rule, args, ...span }: Syntax & { kind: "call" }): NodeId {
    switch (rule.shape) {
      case "Boole":
        return this.condition(args[0]!);
      case "If":
        return this.#graph.choice(this.condition(args[0]!), this.value(args[1]!), this.value(args[2]!));
      case "Which":
        return this.#which(args);
      case "Piecewise":
        return this.#piecewise(args);
      case "Clip":
        return this.#clip(args);
      case "values":
        return this.#function(rule.name, args.map((argument) => this.value(argument)), span);
    }
  }

  /** Where no condition holds there is no value. */
  #which(args: readonly Syntax[]): NodeId {
    const pairs = args.flatMap((condition, index) =>
      index % 2 === 0 ? [[condition, args[index + 1]!] as const] : []
    );
    return this.#choices(pairs, this.#graph.constant(NaN));
  }

  #piecewise([pieces, otherwise]: readonly Syntax[]): NodeId {
    const pairs = this.#listItems(pieces!, "a list of {value, condition} pairs").map((piece) => {
      const [value, condition, ...more] = this.#listItems(piece, "a pair {value, condition}");
      if (value === undefined || condition === undefined || more.length > 0) {
        this.#fail("E_TYPE", piece, "a pair {value, condition} is wanted here");
      }
      return [condition, value] as const;
    });
    return this.#choices(pairs, otherwise === undefined ? this.#graph.constant(0) : this.value(otherwise));
  }

  #choices(pairs: readonly (readonly [condition: Syntax, value: Syntax])[], otherwise: NodeId): NodeId {
    return pairs.map(([condition, value]) => [this.condition(condition), this.value(value)] as const)
      .reduceRight((rest, [condition, value]) => this.#graph.choice(condition, value, rest), otherwise);
  }

  #clip([argument, range]: readonly Syntax[]): NodeId {
    const graph = this.#graph;
    const [low, high, ...more] = range === undefined
      ? [graph.constant(-1), graph.constant(1)]
      : this.#listItems(range, "a pair {lowest, highest}").map((bound) => this.value(bound));
    if (low === undefined || high === undefined || more.length > 0) {
      this.#fail("E_TYPE", range!, "a pair {lowest, highest} is wanted here");
    }
    return graph.binary("min", graph.binary("max", this.value(argument!), low), high);
  }

  #listItems(syntax: Syntax, wanted: string): readonly Syntax[] {
    if (syntax.kind === "list") return syntax.items;
    return this.#fail("E_TYPE", syntax, `${wanted} is wanted here`);
  }

  #function(name: string, args: readonly NodeId[], span: Span): NodeId {
    const graph = this.#graph;
    const [a, b] = args as [NodeId, NodeId];
    if (name === "Min" || name === "Max") {
      return args.reduce((left, right) => graph.binary(name === "Min" ? "min" : "max", left, right));
    }
    if (name === "Mod") return graph.binary("mod", a, b);
    if (name === "Power") return graph.binary("pow", a, b);
    if (name === "ArcTan" && args.length === 2) return graph.binary("atan2", b, a);
    if (name === "Log" && args.length === 2) return this.#logarithm(a, b);
    const reciprocal = RECIPROCALS.get(name);
    if (reciprocal !== undefined) return graph.binary("div", graph.constant(1), graph.unary(reciprocal, a));
    const operation = UNARY_CALLS.get(name);
    if (operation === undefined) {
      this.#fail("E_UNKNOWN_FUNCTION", span, `unknown function ${quotedPiece(name)}`);
    }
    return graph.unary(operation, a);
  }

  #logarithm(base: NodeId, a: NodeId): NodeId {
    const graph = this.#graph;
    const known = graph.constantOf(base);
    if (known === 2) return graph.unary("log2", a);
    if (known === 10) return graph.unary("log10", a);
    return graph.binary("div", graph.unary("log", a), graph.unary("log", base));
  }

  #fail(code: ProblemCode, span: Span, what: string, hint?: string): never {
    fail(this.#meanings.text, code, span, what, hint);
  }
}

function isCondition(syntax: Syntax): boolean {
  return CONDITION_KINDS.has(syntax.kind) ||
    (syntax.kind === "name" && (syntax.name === "True" || syntax.name === "False"));
}
