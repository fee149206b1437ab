import {
  BINARY_FUNCTIONS,
  type BinaryOperation,
  type ComparisonOperation,
  type Graph,
  isUnary,
  neededFor,
  type NodeId,
  type Operation,
  UNARY_FUNCTIONS,
  type UnaryOperation,
} from "./graph.ts";
import { type Block, isLeaf, type Schedule, scheduleOf } from "./schedule.ts";
import { ByteWriter, CODE, F64, type ImportedFunction, moduleBytes } from "./wasm_bytes.ts";

/** Engines bound the locals of a function at 50,000. */
const LOCALS_MAX = 40_000;

/** Longer expressions are cut by locals, so that neither we nor the engine recurse deeply. */
const INLINE_DEPTH = 40;

const INSTRUCTIONS: ReadonlyMap<Operation, number> = new Map([
  ["neg", CODE.neg],
  ["abs", CODE.abs],
  ["floor", CODE.floor],
  ["ceil", CODE.ceil],
  ["sqrt", CODE.sqrt],
  ["add", CODE.add],
  ["sub", CODE.sub],
  ["mul", CODE.mul],
  ["div", CODE.div],
  ["min", CODE.min],
  ["max", CODE.max],
]);

const COMPARISONS: ReadonlyMap<Operation, number> = new Map([
  ["lt", CODE.lt],
  ["le", CODE.le],
  ["eq", CODE.eq],
  ["ne", CODE.ne],
]);

/** The bytes of a module that computes `roots`, and the functions it imports. */
export interface WasmProgram {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly imports: readonly ImportedFunction[];
}

/**
 * Writes the module straight from the graph. Parameters lie at the start of its memory; states and results where
 * `run(t, y, out)` is told. Null when the program is too large for an engine.
 */
export function wasmProgram(graph: Graph, roots: readonly NodeId[], pages: number): WasmProgram | null {
  const assembler = new Assembler(graph, roots);
  if (assembler.localCount > LOCALS_MAX) return null;
  const instructions = assembler.instructions();
  return {
    bytes: moduleBytes(assembler.imports, pages, assembler.localCount, instructions),
    imports: assembler.imports,
  };
}

/** The functions a program may import, by name: these and no others. */
export function importedFunction({ name }: ImportedFunction): (a: number, b: number) => number {
  const operation = name as Operation;
  return isUnary(operation)
    ? UNARY_FUNCTIONS[operation]
    : BINARY_FUNCTIONS[operation as BinaryOperation | ComparisonOperation];
}

const TIME = 0;
const STATES = 1;
const RESULTS = 2;
const FIRST_LOCAL = 3;

class Assembler {
  readonly imports: ImportedFunction[] = [];
  readonly #graph: Graph;
  readonly #roots: readonly NodeId[];
  readonly #schedule: Schedule;
  readonly #writer = new ByteWriter();
  readonly #locals = new Map<NodeId, number>();
  readonly #importNumbers = new Map<Operation, number>();

  constructor(graph: Graph, roots: readonly NodeId[]) {
    this.#graph = graph;
    this.#roots = roots;
    this.#schedule = scheduleOf(graph, roots);
    this.#chooseLocals(neededFor(graph, roots));
  }

  get localCount(): number {
    return this.#locals.size;
  }

  instructions(): Uint8Array {
    const writer = this.#writer;
    // All states are read before the first result is written, as `out` may be `y`.
    for (const [id, local] of this.#locals) {
      const { operation, value } = this.#graph.nodes[id]!;
      if (operation !== "state" && operation !== "parameter") continue;
      if (operation === "state") this.#get(STATES);
      else writer.byte(0x41, 0x00);
      this.#memory(CODE.load, value);
      this.#set(local);
    }
    this.#block(this.#schedule.body);
    this.#roots.forEach((root, index) => {
      this.#get(RESULTS);
      this.#value(root);
      this.#memory(CODE.store, index);
    });
    return writer.done();
  }

  /** Leaves in memory, whatever is used twice, and what would nest too deeply are kept in locals. */
  #chooseLocals(needed: Uint8Array): void {
    const depths = new Map<NodeId, number>();
    const { uses } = this.#schedule;
    for (let id = 0; id < needed.length; id++) {
      const { operation, a, b, c } = this.#graph.nodes[id]!;
      if (needed[id] === 0 || operation === "constant" || operation === "time") continue;
      const depth = 1 + Math.max(...[a, b, c].map((operand) => depths.get(operand) ?? 0));
      const isKept = isLeaf(this.#graph, id) || operation === "if" || uses[id]! > 1 || depth > INLINE_DEPTH;
      if (isKept) this.#locals.set(id, FIRST_LOCAL + this.#locals.size);
      else depths.set(id, depth);
    }
  }

  #block({ nodes }: Block): void {
    for (const id of nodes) {
      const local = this.#locals.get(id);
      if (local === undefined) continue;
      this.#compute(id);
      this.#set(local);
    }
  }

  /** Pushes the value of a node. */
  #value(id: NodeId): void {
    const { operation, value } = this.#graph.nodes[id]!;
    const local = this.#locals.get(id);
    if (local !== undefined) this.#get(local);
    else if (operation === "time") this.#get(TIME);
    else if (operation === "constant") {
      this.#writer.byte(CODE.constant);
      this.#writer.double(value);
    } else this.#compute(id);
  }

  #compute(id: NodeId): void {
    const { operation, a, b, c } = this.#graph.nodes[id]!;
    if (operation === "if") return this.#choice(id, a, b, c);
    if (isConditional(operation)) {
      this.#computeCondition(id);
      return this.#writer.byte(CODE.fromI32);
    }
    this.#value(a);
    if (b >= 0) this.#value(b);
    const instruction = INSTRUCTIONS.get(operation);
    if (instruction !== undefined) this.#writer.byte(instruction);
    else this.#call(operation as UnaryOperation | BinaryOperation, b < 0 ? 1 : 2);
  }

  #choice(id: NodeId, condition: NodeId, yes: NodeId, no: NodeId): void {
    const branch = this.#schedule.branches.get(id);
    if (branch === undefined) {
      this.#value(yes);
      this.#value(no);
      this.#condition(condition);
      return this.#writer.byte(CODE.select);
    }
    this.#condition(condition);
    this.#writer.byte(CODE.if, F64);
    this.#block(branch.yes);
    this.#value(yes);
    this.#writer.byte(CODE.else);
    this.#block(branch.no);
    this.#value(no);
    this.#writer.byte(CODE.end);
  }

  /** Pushes a condition as an i32. */
  #condition(id: NodeId): void {
    if (!this.#locals.has(id) && isConditional(this.#graph.nodes[id]!.operation)) {
      return this.#computeCondition(id);
    }
    this.#value(id);
    this.#writer.byte(CODE.constant);
    this.#writer.double(0);
    this.#writer.byte(CODE.ne);
  }

  #computeCondition(id: NodeId): void {
    const { operation, a, b } = this.#graph.nodes[id]!;
    const comparison = COMPARISONS.get(operation);
    if (comparison !== undefined) {
      this.#value(a);
      this.#value(b);
      return this.#writer.byte(comparison);
    }
    this.#condition(a);
    if (operation === "not") return this.#writer.byte(CODE.i32Zero);
    this.#condition(b);
    this.#writer.byte(operation === "and" ? CODE.i32And : CODE.i32Or);
  }

  #call(operation: UnaryOperation | BinaryOperation, arity: 1 | 2): void {
    let number = this.#importNumbers.get(operation);
    if (number === undefined) {
      number = this.imports.push({ name: operation, arity }) - 1;
      this.#importNumbers.set(operation, number);
    }
    this.#writer.byte(CODE.call);
    this.#writer.unsigned(number);
  }

  #get(local: number): void {
    this.#writer.byte(CODE.localGet);
    this.#writer.unsigned(local);
  }

  #set(local: number): void {
    this.#writer.byte(CODE.localSet);
    this.#writer.unsigned(local);
  }

  /** Loads or stores the double of this number; the address of the first lies on the stack. */
  #memory(code: number, index: number): void {
    this.#writer.byte(code, 3);
    this.#writer.unsigned(8 * index);
  }
}

function isConditional(operation: Operation): boolean {
  return COMPARISONS.has(operation) || operation === "not" || operation === "and" || operation === "or";
}
