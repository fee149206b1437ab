import {
  BINARY_FUNCTIONS,
  BINARY_OPERATIONS,
  type BinaryOperation,
  COMPARISON_OPERATIONS,
  type ComparisonOperation,
  type Graph,
  isUnary,
  type NodeId,
  type Operation,
  UNARY_FUNCTIONS,
  UNARY_OPERATIONS,
} from "./graph.ts";
import { type Block, isLeaf, type Schedule, scheduleOf } from "./schedule.ts";

/** Computes the results of a program: time and states in, one number for each root out. */
export type Evaluate = (t: number, y: Float64Array, out: Float64Array) => void;

const MOVE = 0;
const JUMP = 1;
const JUMP_UNLESS = 2;
const NOT = 3;
const AND = 4;
const OR = 5;
const SELECT = 6;
/** From here the operations of two numbers in their order, the commonest first. */
const BINARY = 8;
const UNARY = 32;

const BINARY_CODES: readonly Operation[] = [...BINARY_OPERATIONS, ...COMPARISON_OPERATIONS];
const UNARY_CALLS = UNARY_OPERATIONS.map((operation) => UNARY_FUNCTIONS[operation]);
const BINARY_CALLS = BINARY_CODES.map((code) =>
  BINARY_FUNCTIONS[code as BinaryOperation | ComparisonOperation]
);

/** A program of five numbers an instruction (code, target, three operands) over an array of registers. */
export function registerProgram(
  graph: Graph,
  roots: readonly NodeId[],
  parameters: Float64Array,
): Evaluate {
  const assembler = new Assembler(graph, scheduleOf(graph, roots));
  const code = Int32Array.from(assembler.code);
  const results = Int32Array.from(roots, (root) => assembler.register(root));
  const registers = Float64Array.from(assembler.initial);
  const { states, bound, timeRegister } = assembler;
  return (t, y, out) => {
    if (timeRegister >= 0) registers[timeRegister] = t;
    for (let i = 0; i < states.length; i += 2) registers[states[i]!] = y[states[i + 1]!]!;
    for (let i = 0; i < bound.length; i += 2) registers[bound[i]!] = parameters[bound[i + 1]!]!;
    execute(code, registers);
    for (let i = 0; i < results.length; i++) out[i] = registers[results[i]!]!;
  };
}

class Assembler {
  readonly code: number[] = [];
  /** What the registers hold before the first run: constants, and 0 elsewhere. */
  readonly initial: number[] = [];
  /** Pairs of a register and the number of a state. */
  readonly states: number[] = [];
  /** Pairs of a register and the number of a parameter. */
  readonly bound: number[] = [];
  timeRegister = -1;
  readonly #graph: Graph;
  readonly #schedule: Schedule;
  readonly #registers = new Map<NodeId, number>();

  constructor(graph: Graph, schedule: Schedule) {
    this.#graph = graph;
    this.#schedule = schedule;
    this.#block(schedule.body);
  }

  register(id: NodeId): number {
    const known = this.#registers.get(id);
    if (known !== undefined) return known;
    const { operation, value } = this.#graph.nodes[id]!;
    const register = this.initial.push(operation === "constant" ? value : 0) - 1;
    if (operation === "state") this.states.push(register, value);
    if (operation === "parameter") this.bound.push(register, value);
    if (operation === "time") this.timeRegister = register;
    this.#registers.set(id, register);
    return register;
  }

  #block({ nodes }: Block): void {
    for (const id of nodes) if (!isLeaf(this.#graph, id)) this.#node(id);
  }

  #node(id: NodeId): void {
    const { operation, a, b, c } = this.#graph.nodes[id]!;
    if (operation === "if") return this.#choice(id, a, b, c);
    const operand = this.register(a);
    this.#emit(codeOf(operation), this.register(id), operand, b < 0 ? 0 : this.register(b));
  }

  #choice(id: NodeId, condition: NodeId, yes: NodeId, no: NodeId): void {
    const branch = this.#schedule.branches.get(id);
    if (branch === undefined) {
      const target = this.register(id);
      this.#emit(SELECT, target, this.register(condition), this.register(yes), this.register(no));
      return;
    }
    const target = this.register(id);
    const toNo = this.#emit(JUMP_UNLESS, 0, this.register(condition));
    this.#block(branch.yes);
    this.#emit(MOVE, target, this.register(yes));
    const toEnd = this.#emit(JUMP, 0);
    this.code[toNo + 1] = this.code.length;
    this.#block(branch.no);
    this.#emit(MOVE, target, this.register(no));
    this.code[toEnd + 1] = this.code.length;
  }

  /** Returns where the instruction begins. */
  #emit(code: number, target: number, a = 0, b = 0, c = 0): number {
    return this.code.push(code, target, a, b, c) - 5;
  }
}

function codeOf(operation: Operation): number {
  if (operation === "not") return NOT;
  if (operation === "and") return AND;
  if (operation === "or") return OR;
  return isUnary(operation)
    ? UNARY + UNARY_OPERATIONS.indexOf(operation)
    : BINARY + BINARY_CODES.indexOf(operation);
}

function execute(code: Int32Array, r: Float64Array): void {
  const end = code.length;
  for (let at = 0; at < end; at += 5) {
    const target = code[at + 1]!;
    const a = r[code[at + 2]!]!;
    const b = r[code[at + 3]!]!;
    switch (code[at]) {
      case BINARY:
        r[target] = a + b;
        break;
      case BINARY + 1:
        r[target] = a - b;
        break;
      case BINARY + 2:
        r[target] = a * b;
        break;
      case BINARY + 3:
        r[target] = a / b;
        break;
      case UNARY:
        r[target] = -a;
        break;
      case MOVE:
        r[target] = a;
        break;
      case JUMP:
        at = target - 5;
        break;
      case JUMP_UNLESS:
        if (a === 0) at = target - 5;
        break;
      case NOT:
        r[target] = a === 0 ? 1 : 0;
        break;
      case AND:
        r[target] = a !== 0 && b !== 0 ? 1 : 0;
        break;
      case OR:
        r[target] = a !== 0 || b !== 0 ? 1 : 0;
        break;
      case SELECT:
        r[target] = a !== 0 ? b : r[code[at + 4]!]!;
        break;
      default:
        r[target] = code[at]! >= UNARY
          ? UNARY_CALLS[code[at]! - UNARY]!(a)
          : BINARY_CALLS[code[at]! - BINARY]!(a, b);
    }
  }
}
