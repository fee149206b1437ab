import {
  BINARY_OPERATIONS,
  type BinaryOperation,
  type Graph,
  neededFor,
  type NodeId,
  type UnaryOperation,
} from "./graph.ts";

/** The derivatives of one node, by the number of the variable; those that are 0 everywhere are left out. */
export type Gradient = ReadonlyMap<number, NodeId>;

const NONE: Gradient = new Map();

/** The gradients of `roots` by `variables`. Throws GraphFull when the graph has no room for them. */
export function gradientsOf(
  graph: Graph,
  roots: readonly NodeId[],
  variables: readonly NodeId[],
): Gradient[] {
  const needed = neededFor(graph, roots);
  const numberOf = new Map(variables.map((variable, number) => [variable, number]));
  const gradients: Gradient[] = [];
  const rules = new Rules(graph);
  // Operands have smaller numbers than what is made of them, so one pass upwards meets them first.
  for (let id = 0; id < needed.length; id++) {
    const number = numberOf.get(id);
    if (needed[id] === 0) gradients.push(NONE);
    else if (number !== undefined) gradients.push(new Map([[number, graph.constant(1)]]));
    else gradients.push(gradientOf(rules, graph, id, gradients));
  }
  return roots.map((root) => gradients[root]!);
}

function gradientOf(rules: Rules, graph: Graph, id: NodeId, gradients: readonly Gradient[]): Gradient {
  const { operation, a, b, c } = graph.nodes[id]!;
  const of = (operand: NodeId): Gradient => operand < 0 ? NONE : gradients[operand]!;
  if (operation === "if") return merged(of(b), of(c), (left, right) => rules.choice(a, left, right));
  if (BINARY_OPERATIONS.includes(operation as BinaryOperation)) {
    return merged(
      of(a),
      of(b),
      (left, right) => rules.binary(operation as BinaryOperation, id, a, b, left, right),
    );
  }
  if (b >= 0 || of(a).size === 0) return NONE;
  return merged(of(a), NONE, (inner) => rules.unary(operation as UnaryOperation, id, a, inner!));
}

type Part = NodeId | undefined;

function merged(a: Gradient, b: Gradient, make: (left: Part, right: Part) => Part): Gradient {
  if (a.size === 0 && b.size === 0) return NONE;
  const result = new Map<number, NodeId>();
  for (const number of new Set([...a.keys(), ...b.keys()])) {
    const node = make(a.get(number), b.get(number));
    if (node !== undefined) result.set(number, node);
  }
  return result;
}

/** The rules of differentiation. `undefined` is a derivative that is 0 whatever the values, so it never meets a NaN. */
class Rules {
  readonly #graph: Graph;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** Branch by branch; the condition itself has no derivative. */
  choice(condition: NodeId, left: Part, right: Part): Part {
    if (left === undefined && right === undefined) return undefined;
    const zero = this.#constant(0);
    return this.#graph.choice(condition, left ?? zero, right ?? zero);
  }

  unary(operation: UnaryOperation, id: NodeId, a: NodeId, inner: NodeId): Part {
    const one = this.#constant(1);
    const square = () => this.#times(a, a);
    const times = (factor: NodeId) => this.#times(factor, inner);
    const over = (divisor: NodeId) => this.#over(inner, divisor);
    switch (operation) {
      case "neg":
        return this.#neg(inner);
      case "abs":
        return times(this.#graph.unary("sign", a));
      case "sqrt":
        return over(this.#times(this.#constant(2), id));
      case "cbrt":
        return over(this.#times(this.#constant(3), this.#times(id, id)));
      case "exp":
        return times(id);
      case "log":
        return over(a);
      case "log2":
        return over(this.#times(this.#constant(Math.LN2), a));
      case "log10":
        return over(this.#times(this.#constant(Math.LN10), a));
      case "sin":
        return times(this.#graph.unary("cos", a));
      case "cos":
        return this.#neg(times(this.#graph.unary("sin", a)));
      case "tan":
        return times(this.#plus(one, this.#times(id, id)));
      case "asin":
        return over(this.#root(this.#minus(one, square())));
      case "acos":
        return this.#neg(over(this.#root(this.#minus(one, square()))));
      case "atan":
        return over(this.#plus(one, square()));
      case "sinh":
        return times(this.#graph.unary("cosh", a));
      case "cosh":
        return times(this.#graph.unary("sinh", a));
      case "tanh":
        return times(this.#minus(one, this.#times(id, id)));
      case "asinh":
        return over(this.#root(this.#plus(square(), one)));
      case "acosh":
        return over(this.#times(this.#root(this.#minus(a, one)), this.#root(this.#plus(a, one))));
      case "atanh":
        return over(this.#minus(one, square()));
      case "sign":
      case "step":
      case "floor":
      case "ceil":
        return undefined;
    }
  }

  binary(operation: BinaryOperation, id: NodeId, a: NodeId, b: NodeId, left: Part, right: Part): Part {
    const graph = this.#graph;
    switch (operation) {
      case "add":
        return this.#sum(left, right);
      case "sub":
        return this.#difference(left, right);
      case "mul":
        return this.#sum(left && this.#times(left, b), right && this.#times(a, right));
      case "div":
        return this.#quotient(id, b, left, right);
      case "pow":
        return this.#power(id, a, b, left, right);
      case "atan2": {
        const distance = this.#plus(this.#times(a, a), this.#times(b, b));
        const top = this.#difference(left && this.#times(b, left), right && this.#times(a, right));
        return top && this.#over(top, distance);
      }
      case "mod": {
        const whole = () => graph.unary("floor", this.#over(a, b));
        return this.#difference(left, right && this.#times(whole(), right));
      }
      case "min":
        return this.choice(graph.binary("le", a, b), left, right);
      case "max":
        return this.choice(graph.binary("le", b, a), left, right);
    }
  }

  #quotient(id: NodeId, b: NodeId, left: Part, right: Part): Part {
    const top = this.#difference(left, right && this.#times(id, right));
    return top && this.#over(top, b);
  }

  #power(id: NodeId, a: NodeId, b: NodeId, left: Part, right: Part): Part {
    const graph = this.#graph;
    const byBase = left &&
      this.#times(this.#times(b, graph.binary("pow", a, this.#minus(b, this.#constant(1)))), left);
    if (right === undefined) return byBase;
    // 0^b has the derivative 0 by b, where the product with Log[0] would have no value.
    const zero = this.#constant(0);
    const slope = graph.choice(graph.binary("eq", id, zero), zero, this.#times(id, graph.unary("log", a)));
    return this.#sum(byBase, this.#times(slope, right));
  }

  #sum(left: Part, right: Part): Part {
    return left === undefined ? right : right === undefined ? left : this.#plus(left, right);
  }

  #difference(left: Part, right: Part): Part {
    if (right === undefined) return left;
    return left === undefined ? this.#neg(right) : this.#minus(left, right);
  }

  #constant(value: number): NodeId {
    return this.#graph.constant(value);
  }

  #neg(a: NodeId): NodeId {
    return this.#graph.unary("neg", a);
  }

  #root(a: NodeId): NodeId {
    return this.#graph.unary("sqrt", a);
  }

  #plus(a: NodeId, b: NodeId): NodeId {
    return this.#graph.binary("add", a, b);
  }

  #minus(a: NodeId, b: NodeId): NodeId {
    return this.#graph.binary("sub", a, b);
  }

  #times(a: NodeId, b: NodeId): NodeId {
    return this.#graph.binary("mul", a, b);
  }

  #over(a: NodeId, b: NodeId): NodeId {
    return this.#graph.binary("div", a, b);
  }
}
