import { GlassboxError } from "../../../core/errors.ts";
import type { Dialect } from "./dialects.ts";
import {
  type BinaryOperation,
  type ComparisonOperation,
  type Graph,
  neededFor,
  type NodeId,
  type UnaryOperation,
} from "./graph.ts";

/** What the leaves of a graph are called in the text to be written. */
export interface LeafNames {
  readonly time: string;
  state(index: number): string;
  parameter(index: number): string;
}

/** Subexpressions are shared in the graph but written out, so that a text can grow far beyond its equations. */
const PRINTED_MAX = 200_000;

/** How tightly a text holds together; what is looser than its place is put in brackets. */
const LEVEL = { or: 1, and: 2, relation: 3, sum: 4, product: 5, negation: 6, power: 7, atom: 9 } as const;

interface Piece {
  readonly text: string;
  readonly level: number;
  readonly isCondition: boolean;
}

/** The texts of `roots` in this dialect. */
export function printNodes(
  graph: Graph,
  roots: readonly NodeId[],
  dialect: Dialect,
  names: LeafNames,
): string[] {
  const printer = new Printer(graph, dialect, names);
  const needed = neededFor(graph, roots);
  // Operands have smaller numbers than what is made of them, so no recursion is needed.
  for (let id = 0; id < needed.length; id++) if (needed[id] !== 0) printer.add(id);
  return roots.map((root) => printer.value(root, 0));
}

class Printer {
  readonly #graph: Graph;
  readonly #dialect: Dialect;
  readonly #names: LeafNames;
  readonly #pieces = new Map<NodeId, Piece>();

  constructor(graph: Graph, dialect: Dialect, names: LeafNames) {
    this.#graph = graph;
    this.#dialect = dialect;
    this.#names = names;
  }

  add(id: NodeId): void {
    const piece = this.#piece(id);
    if (piece.text.length > PRINTED_MAX) {
      const message =
        `Cannot write these equations out as they would have more than ${PRINTED_MAX} characters`;
      throw new GlassboxError("too_large", message);
    }
    this.#pieces.set(id, piece);
  }

  /** The text of a number for a place that needs at least this level. */
  value(id: NodeId, level: number): string {
    const piece = this.#pieces.get(id)!;
    if (piece.isCondition) return this.#dialect.truth(piece.text);
    return piece.level < level ? bracketed(piece.text) : piece.text;
  }

  #condition(id: NodeId, level: number): string {
    const piece = this.#pieces.get(id)!;
    return piece.level < level ? bracketed(piece.text) : piece.text;
  }

  #piece(id: NodeId): Piece {
    const node = this.#graph.nodes[id]!;
    const { operation, value, a, b, c } = node;
    switch (operation) {
      case "constant":
        return this.#number(value);
      case "time":
        return atom(this.#names.time);
      case "state":
        return atom(this.#names.state(value));
      case "parameter":
        return atom(this.#names.parameter(value));
      case "neg":
        return { text: `-${this.value(a, LEVEL.power)}`, level: LEVEL.negation, isCondition: false };
      case "add":
        return this.#operator(" + ", LEVEL.sum, a, b);
      case "sub":
        return this.#operator(" - ", LEVEL.sum, a, b);
      case "mul":
        return this.#product(a, b);
      case "div":
        return this.#quotient(a, b);
      case "pow":
        return this.#power(a, this.value(b, 0), this.#isAtom(b));
      case "if":
        return atom(this.#dialect.choice(this.#condition(a, 0), this.value(b, 0), this.value(c, 0)));
      case "lt":
      case "le":
      case "eq":
      case "ne":
        return this.#relation(operation, a, b);
      case "and":
      case "or":
        return this.#logical(operation, a, b);
      case "not":
        return { text: this.#dialect.not(this.#condition(a, 0)), level: LEVEL.atom, isCondition: true };
    }
    return b < 0
      ? atom(
        this.#dialect.call(this.#dialect.unary[operation as Exclude<UnaryOperation, "neg">], [
          this.value(a, 0),
        ]),
      )
      : this.#binaryCall(operation as keyof Dialect["binary"], a, b);
  }

  #binaryCall(operation: keyof Dialect["binary"] & BinaryOperation, a: NodeId, b: NodeId): Piece {
    return atom(this.#dialect.call(this.#dialect.binary[operation], [this.value(a, 0), this.value(b, 0)]));
  }

  #number(value: number): Piece {
    const isNegative = value < 0 || Object.is(value, -0);
    const text = this.#dialect.number(Math.abs(value));
    return isNegative ? { text: `-${text}`, level: LEVEL.negation, isCondition: false } : atom(text);
  }

  #operator(sign: string, level: number, a: NodeId, b: NodeId): Piece {
    const text = `${this.value(a, level)}${sign}${this.value(b, level + 1)}`;
    return { text, level, isCondition: false };
  }

  /** Products of a value with itself are how powers are computed, not how they are written. */
  #product(a: NodeId, b: NodeId): Piece {
    const square = this.#baseOfSquare(a);
    if (a === b && square !== null) return this.#power(square, "4", true);
    if (a === b) return this.#power(a, "2", true);
    if (square !== null && square === b) return this.#power(b, "3", true);
    // A sign in front of the right factor would stand beside that of the product.
    const text = this.#dialect.product(this.value(a, LEVEL.product), this.value(b, LEVEL.power));
    return { text, level: LEVEL.product, isCondition: false };
  }

  #baseOfSquare(id: NodeId): NodeId | null {
    const { operation, a, b } = this.#graph.nodes[id]!;
    return operation === "mul" && a === b ? a : null;
  }

  #quotient(a: NodeId, b: NodeId): Piece {
    const { fraction } = this.#dialect;
    if (fraction !== null) {
      return { ...atom(fraction(this.value(a, 0), this.value(b, 0))), level: LEVEL.power };
    }
    const text = `${this.value(a, LEVEL.product)}/${this.value(b, LEVEL.power)}`;
    return { text, level: LEVEL.product, isCondition: false };
  }

  #power(base: NodeId, exponent: string, isAtom: boolean): Piece {
    const bare = isAtom || this.#dialect.fraction !== null;
    const text = this.#dialect.power(this.value(base, LEVEL.atom), bare ? exponent : bracketed(exponent));
    return { text, level: LEVEL.power, isCondition: false };
  }

  #isAtom(id: NodeId): boolean {
    return this.#pieces.get(id)!.level === LEVEL.atom;
  }

  #relation(operation: ComparisonOperation, a: NodeId, b: NodeId): Piece {
    const sign = this.#dialect.comparison[operation];
    const text = `${this.value(a, LEVEL.sum)} ${sign} ${this.value(b, LEVEL.sum)}`;
    return { text, level: LEVEL.relation, isCondition: true };
  }

  #logical(operation: "and" | "or", a: NodeId, b: NodeId): Piece {
    const level = LEVEL[operation];
    const text = [a, b].map((id) => this.#condition(id, level)).join(this.#dialect[operation]);
    return { text, level, isCondition: true };
  }
}

function atom(text: string): Piece {
  return { text, level: LEVEL.atom, isCondition: false };
}

function bracketed(text: string): string {
  return `(${text})`;
}
