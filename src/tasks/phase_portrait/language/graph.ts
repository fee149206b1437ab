import { BOUNDS } from "./bounds.ts";

/** The index of a node in its graph. Operands always have smaller numbers than what is made of them. */
export type NodeId = number;

/** Operations of one number. */
export const UNARY_OPERATIONS = [
  "neg",
  "abs",
  "sign",
  "step",
  "floor",
  "ceil",
  "sqrt",
  "cbrt",
  "exp",
  "log",
  "log2",
  "log10",
  "sin",
  "cos",
  "tan",
  "asin",
  "acos",
  "atan",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "acosh",
  "atanh",
] as const;

/** Operations of two numbers. `atan2(a, b)` is as in JavaScript; `mod` takes the sign of its second operand. */
export const BINARY_OPERATIONS = ["add", "sub", "mul", "div", "pow", "atan2", "mod", "min", "max"] as const;

/** Comparisons of two numbers; like all conditions they are 1 or 0. */
export const COMPARISON_OPERATIONS = ["lt", "le", "eq", "ne"] as const;

export type UnaryOperation = typeof UNARY_OPERATIONS[number];
export type BinaryOperation = typeof BINARY_OPERATIONS[number];
export type ComparisonOperation = typeof COMPARISON_OPERATIONS[number];

/** The closed set of operations. Nothing else can be evaluated. */
export type Operation =
  | "constant"
  | "time"
  | "state"
  | "parameter"
  | UnaryOperation
  | BinaryOperation
  | ComparisonOperation
  | "not"
  | "and"
  | "or"
  | "if";

/** One operation. Operands that it does not have are -1. */
export interface GraphNode {
  readonly operation: Operation;
  /** Of a constant; of a state or parameter its number. */
  readonly value: number;
  readonly a: NodeId;
  readonly b: NodeId;
  readonly c: NodeId;
}

/** Thrown when more nodes are asked for than a graph may have. */
export class GraphFull extends Error {}

/** What each operation of numbers does; both back ends and folding use these very functions. */
export const UNARY_FUNCTIONS: Readonly<Record<UnaryOperation, (a: number) => number>> = {
  neg: (a) => -a,
  abs: Math.abs,
  sign: Math.sign,
  step: (a) => a >= 0 ? 1 : a < 0 ? 0 : NaN,
  floor: Math.floor,
  ceil: Math.ceil,
  sqrt: Math.sqrt,
  cbrt: Math.cbrt,
  exp: Math.exp,
  log: Math.log,
  log2: Math.log2,
  log10: Math.log10,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
};

export const BINARY_FUNCTIONS: Readonly<
  Record<BinaryOperation | ComparisonOperation, (a: number, b: number) => number>
> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  pow: Math.pow,
  atan2: Math.atan2,
  mod: modulo,
  min: Math.min,
  max: Math.max,
  lt: (a, b) => a < b ? 1 : 0,
  le: (a, b) => a <= b ? 1 : 0,
  eq: (a, b) => a === b ? 1 : 0,
  ne: (a, b) => a !== b ? 1 : 0,
};

function modulo(a: number, b: number): number {
  const rest = a % b;
  return rest !== 0 && (rest < 0) !== (b < 0) ? rest + b : rest;
}

export function isUnary(operation: Operation): operation is UnaryOperation {
  return Object.hasOwn(UNARY_FUNCTIONS, operation);
}

export function isBinary(operation: Operation): operation is BinaryOperation | ComparisonOperation {
  return Object.hasOwn(BINARY_FUNCTIONS, operation);
}

const COMMUTATIVE: ReadonlySet<Operation> = new Set(["add", "mul", "min", "max", "eq", "ne", "and", "or"]);

/**
 * Expressions over the independent variable, states and parameters, as one graph: equal subexpressions are one node,
 * and constants are folded as they come. Only rewritings that keep every finite value are made.
 */
export class Graph {
  readonly nodes: GraphNode[] = [];
  readonly #known = new Map<string, NodeId>();
  #limit: number = BOUNDS.nodes;

  /** Runs `work` with room for that many more nodes; throws GraphFull when they do not suffice. */
  withRoom<T>(more: number, work: () => T): T {
    const before = this.#limit;
    this.#limit = this.nodes.length + more;
    try {
      return work();
    } finally {
      this.#limit = before;
    }
  }

  constant(value: number): NodeId {
    return this.#node("constant", Object.is(value, -0) ? "-0" : String(value), value);
  }

  time(): NodeId {
    return this.#node("time", "", 0);
  }

  state(index: number): NodeId {
    return this.#node("state", String(index), index);
  }

  parameter(index: number): NodeId {
    return this.#node("parameter", String(index), index);
  }

  /** The value of a constant node; undefined for any other. */
  constantOf(id: NodeId): number | undefined {
    const { operation, value } = this.nodes[id]!;
    return operation === "constant" ? value : undefined;
  }

  unary(operation: UnaryOperation, a: NodeId): NodeId {
    const value = this.constantOf(a);
    if (value !== undefined) return this.constant(UNARY_FUNCTIONS[operation](value));
    const { operation: inner, a: under } = this.nodes[a]!;
    if (operation === "neg" && inner === "neg") return under;
    if (operation === "abs" && (inner === "neg" || inner === "abs")) return this.unary("abs", under);
    return this.#node(operation, "", 0, a);
  }

  binary(operation: BinaryOperation | ComparisonOperation, a: NodeId, b: NodeId): NodeId {
    const [left, right] = [this.constantOf(a), this.constantOf(b)];
    if (left !== undefined && right !== undefined) {
      return this.constant(BINARY_FUNCTIONS[operation](left, right));
    }
    const simpler = this.#simpler(operation, a, b, left, right);
    return simpler ?? this.#node(operation, "", 0, a, b);
  }

  #simpler(operation: Operation, a: NodeId, b: NodeId, left?: number, right?: number): NodeId | undefined {
    switch (operation) {
      case "add":
        if (right === 0) return a;
        if (left === 0) return b;
        return this.nodes[b]!.operation === "neg" ? this.binary("sub", a, this.nodes[b]!.a) : undefined;
      case "sub":
        if (right === 0) return a;
        if (left === 0) return this.unary("neg", b);
        return this.nodes[b]!.operation === "neg" ? this.binary("add", a, this.nodes[b]!.a) : undefined;
      case "mul":
        if (right === 1) return a;
        if (left === 1) return b;
        if (right === -1) return this.unary("neg", a);
        return left === -1 ? this.unary("neg", b) : undefined;
      case "div":
        return right === 1 ? a : right === -1 ? this.unary("neg", a) : undefined;
      case "pow":
        return left === Math.E ? this.unary("exp", b) : this.#smallPower(a, right);
      case "min":
      case "max":
        return a === b ? a : undefined;
    }
    return undefined;
  }

  /** Products, quotients and roots are faster and more accurate than the general power. */
  #smallPower(a: NodeId, exponent: number | undefined): NodeId | undefined {
    const square = () => this.binary("mul", a, a);
    switch (exponent) {
      case 0:
        return this.constant(1);
      case 1:
        return a;
      case 2:
        return square();
      case 3:
        return this.binary("mul", square(), a);
      case 4:
        return this.binary("mul", square(), square());
      case 0.5:
        return this.unary("sqrt", a);
      case -0.5:
        return this.binary("div", this.constant(1), this.unary("sqrt", a));
      case -1:
        return this.binary("div", this.constant(1), a);
      case -2:
        return this.binary("div", this.constant(1), square());
    }
    return undefined;
  }

  not(a: NodeId): NodeId {
    const value = this.constantOf(a);
    if (value !== undefined) return this.constant(value === 0 ? 1 : 0);
    return this.nodes[a]!.operation === "not" ? this.nodes[a]!.a : this.#node("not", "", 0, a);
  }

  logical(operation: "and" | "or", a: NodeId, b: NodeId): NodeId {
    for (const [one, other] of [[a, b], [b, a]] as const) {
      const value = this.constantOf(one);
      if (value !== undefined) return (value !== 0) === (operation === "and") ? other : one;
    }
    return a === b ? a : this.#node(operation, "", 0, a, b);
  }

  /** `a` where the condition holds, else `b`; the other one is not looked at. */
  choice(condition: NodeId, a: NodeId, b: NodeId): NodeId {
    const value = this.constantOf(condition);
    if (value !== undefined) return value !== 0 ? a : b;
    return a === b ? a : this.#node("if", "", 0, condition, a, b);
  }

  #node(operation: Operation, name: string, value: number, a = -1, b = -1, c = -1): NodeId {
    const [first, second] = COMMUTATIVE.has(operation) && a > b ? [b, a] : [a, b];
    const key = `${operation} ${name} ${first} ${second} ${c}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.nodes.length >= this.#limit) throw new GraphFull("the graph has as many nodes as it may have");
    this.nodes.push({ operation, value, a, b, c });
    this.#known.set(key, this.nodes.length - 1);
    return this.nodes.length - 1;
  }
}

/** The operands of a node, in order. */
export function operandsOf({ a, b, c }: GraphNode): NodeId[] {
  return [a, b, c].filter((id) => id >= 0);
}

/** For every node up to the largest of `roots`, whether a root needs it. */
export function neededFor(graph: Graph, roots: readonly NodeId[]): Uint8Array {
  const needed = new Uint8Array(graph.nodes.length);
  for (const root of roots) needed[root] = 1;
  for (let id = needed.length - 1; id >= 0; id--) {
    if (needed[id] === 0) continue;
    for (const operand of operandsOf(graph.nodes[id]!)) needed[operand] = 1;
  }
  return needed;
}
