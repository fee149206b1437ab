import { affineIn } from "./affine.ts";
import { BOUNDS } from "./bounds.ts";
import { Graph, GraphFull, neededFor, type NodeId } from "./graph.ts";
import { checkNames, parameterFault, refuse } from "./given_names.ts";
import { lowerValue, type Meanings } from "./lowering.ts";
import { type Names, type ParsedEquations, parseEquations, parseExpression } from "./parser.ts";
import { fail, type ProblemCode, type Span, type Warning, warningAt } from "./problem.ts";
import { type Equation, partsOf, statesIn, type Syntax } from "./syntax.ts";
import { quotedPiece } from "./tokens.ts";

/** What equations may refer to besides themselves. */
export interface EquationOptions {
  /** The names that have a value, in order. Null (the default): every unknown name becomes a parameter with a warning. */
  readonly parameters?: readonly string[] | null;
  /** The independent variable; `t` when left out. */
  readonly independent?: string;
}

/** A system of equations that was understood: y' = f(t, y), with names, initial values and warnings. */
export interface EquationSystem {
  readonly text: string;
  readonly independent: string;
  readonly graph: Graph;
  /** As "x", "x'", in the order of the equations. */
  readonly states: readonly string[];
  readonly parameters: readonly string[];
  /** By variable: the order of its equation, 2 for x'' == ... */
  readonly orders: ReadonlyMap<string, number>;
  /** y', state by state. */
  readonly rightSides: readonly NodeId[];
  /** The number of each variable's leading derivative among `rightSides`, in the order of the equations. */
  readonly leading: readonly number[];
  /** State by state; null where the text gives none. */
  readonly initialValues: readonly (NodeId | null)[];
  /** Where the text gives initial values; null when it gives none. */
  readonly initialTime: number | null;
  readonly autonomous: boolean;
  /** True when a right side can jump or bend: `If`, `Abs`, `Sign`, `Floor`, `Mod` and their like. */
  readonly switching: boolean;
  readonly warnings: readonly Warning[];
}

/** Reads a system of equations; throws EquationError with code and place at the first fault. */
export function parseSystem(text: string, options: EquationOptions = {}): EquationSystem {
  const given = options.parameters ?? null;
  const names: Names = { independent: options.independent ?? "t", parameters: new Set(given ?? []) };
  checkNames(names, given ?? []);
  const parsed = parseEquations(text, names);
  return new SystemReader(text, names, parsed, given).read();
}

/** The node of one expression over the states of a system; a leading derivative stands for its right side. */
export function readExpression(system: EquationSystem, text: string): NodeId {
  const states = new Set(system.orders.keys());
  const names: Names = { independent: system.independent, parameters: new Set(system.parameters), states };
  const { value } = parseExpression(text, names);
  const indexOf = (name: string, order: number) => system.states.indexOf(`${name}${"'".repeat(order)}`);
  return limited(text, value, () =>
    lowerValue(value, {
      text,
      graph: system.graph,
      independent: system.independent,
      orders: system.orders,
      node: (name, order) =>
        order < system.orders.get(name)!
          ? system.graph.state(indexOf(name, order))
          : system.rightSides[indexOf(name, order - 1)]!,
      parameter: (name) => found(system.parameters.indexOf(name)),
      known: [...states, ...system.parameters],
      warnings: [],
    }), (work) => system.graph.withRoom(BOUNDS.nodes, work));
}

function found(index: number): number | undefined {
  return index === -1 ? undefined : index;
}

/** Lowers with the bound on nodes told as a problem at this expression. */
function limited<T>(text: string, span: Span, work: () => T, within = (work: () => T) => work()): T {
  try {
    return within(work);
  } catch (error) {
    if (!(error instanceof GraphFull)) throw error;
    fail(text, "E_LIMIT", span, `there may be ${BOUNDS.nodes} operations`, "write less, or use fewer powers");
  }
}

interface Solved {
  readonly name: string;
  readonly equation: Equation;
  /** Where the leading derivative stands first. */
  readonly place: Span;
}

/** The leading derivative while its equation is solved; no state has this number. */
const UNKNOWN = BOUNDS.states;

class SystemReader {
  readonly #text: string;
  readonly #names: Names;
  readonly #parsed: ParsedEquations;
  readonly #graph = new Graph();
  readonly #parameters: string[];
  readonly #isOpen: boolean;
  readonly #warnings: Warning[];
  #orders: ReadonlyMap<string, number> = new Map();
  #states: string[] = [];

  constructor(text: string, names: Names, parsed: ParsedEquations, given: readonly string[] | null) {
    this.#text = text;
    this.#names = names;
    this.#parsed = parsed;
    this.#parameters = [...(given ?? [])];
    this.#isOpen = given === null;
    this.#warnings = [...parsed.warnings];
  }

  read(): EquationSystem {
    const { equations } = this.#parsed;
    const isInitial = ({ left }: Equation) => left.kind === "initial";
    this.#orders = this.#ordersOf(equations.filter((equation) => !isInitial(equation)));
    const solved = this.#match(equations.filter((equation) => !isInitial(equation)));
    this.#nameStates(solved);
    const rightSides = this.#rightSides(solved);
    const initial = this.#initialValues(equations.filter(isInitial));
    const graph = this.#graph;
    const operations = new Set(
      [...neededFor(graph, rightSides)].flatMap((needed, id) => needed ? [graph.nodes[id]!.operation] : []),
    );
    return {
      text: this.#text,
      independent: this.#names.independent,
      graph,
      states: this.#states,
      parameters: this.#parameters,
      orders: this.#orders,
      rightSides,
      leading: solved.map(({ name }) => this.#indexOf(name, this.#orders.get(name)! - 1)),
      ...initial,
      autonomous: !operations.has("time"),
      switching: SWITCHING.some((operation) => operations.has(operation)),
      warnings: this.#warnings,
    };
  }

  /** The highest derivative of every variable, wherever it stands. */
  #ordersOf(equations: readonly Equation[]): Map<string, number> {
    const orders = new Map<string, number>();
    for (const { left, right } of equations) {
      for (const state of [...statesIn(left), ...statesIn(right)]) {
        if (state.order > (orders.get(state.name) ?? 0)) orders.set(state.name, state.order);
      }
    }
    if (this.#parsed.primeAssumed) {
      for (const { left } of equations) if (isBare(left)) orders.set(left.name, 1);
    }
    return orders;
  }

  /** Finds the one leading derivative of every equation. */
  #match(equations: readonly Equation[]): Solved[] {
    const solved = new Map<string, Solved>();
    for (const equation of equations) {
      const { name, place } = this.#leadingOf(equation);
      if (solved.has(name)) {
        const what = `there is an equation for ${quotedPiece(name)} already`;
        this.#fail("E_DUPLICATE", place, what, "leave one of them out");
      }
      solved.set(name, { name, place, equation });
    }
    this.#checkComplete(solved);
    return [...solved.values()];
  }

  #leadingOf({ left, right }: Equation): { name: string; place: Span } {
    if (this.#parsed.primeAssumed) return this.#bareLeft(left);
    const leading = [...statesIn(left), ...statesIn(right)]
      .filter(({ name, order }) => order > 0 && order === this.#orders.get(name));
    const first = leading[0];
    if (first === undefined) {
      const initial = [...partsOf(left), ...partsOf(right)].find(({ kind }) => kind === "initial");
      if (initial !== undefined) {
        const what = "an initial value can only stand alone on a left side";
        this.#fail("E_IC_PLACE", initial, what);
      }
      const hint = "every equation gives the highest derivative of one variable";
      this.#fail("E_LHS", left, "this equation has no leading derivative", hint);
    }
    const second = leading.find(({ name }) => name !== first.name);
    if (second !== undefined) {
      const what = `this equation has two leading derivatives, of ${quotedPiece(first.name)} and ` +
        quotedPiece(second.name);
      this.#fail("E_COUPLED", second, what, "solve for one of them");
    }
    return { name: first.name, place: first };
  }

  #bareLeft(left: Syntax): { name: string; place: Span } {
    const { independent } = this.#names;
    if (!isBare(left) || !this.#parsed.dependents.has(left.name)) {
      const hint = `write x'[${independent}] == ...`;
      this.#fail("E_LHS", left, "the left side is not the derivative of a variable", hint);
    }
    if (this.#warnings.every(({ code }) => code !== "W_LHS_PRIME_ASSUMED")) {
      const what = `${left.name}[${independent}] on the left is read as ${left.name}'[${independent}]`;
      this.#warnings.push(warningAt(this.#text, "W_LHS_PRIME_ASSUMED", left, what));
    }
    return { name: left.name, place: left };
  }

  #checkComplete(solved: ReadonlyMap<string, Solved>): void {
    for (const name of this.#parsed.dependents) {
      if (solved.has(name)) continue;
      const state = this.#parsed.equations.flatMap((
        { left, right },
      ) => [...statesIn(left), ...statesIn(right)])
        .find((candidate) => candidate.name === name);
      const place = state ?? { pos: 0, end: this.#text.length };
      const hint = `add ${name}'[${this.#names.independent}] == ...`;
      this.#fail("E_NO_EQUATION", place, `there is no equation for ${quotedPiece(name)}`, hint);
    }
    if (solved.size === 0) {
      const what = "there are initial values only";
      this.#fail("E_NO_EQUATION", { pos: 0, end: this.#text.length }, what, "add an equation");
    }
  }

  #nameStates(solved: readonly Solved[]): void {
    this.#states = solved.flatMap(({ name }) =>
      Array.from({ length: this.#orders.get(name)! }, (_, order) => `${name}${"'".repeat(order)}`)
    );
    if (this.#states.length > BOUNDS.states) {
      const what = `there are ${this.#states.length} states, there may be ${BOUNDS.states}`;
      this.#fail("E_LIMIT", { pos: 0, end: this.#text.length }, what);
    }
    refuse(
      this.#parameters.filter((name) => this.#orders.has(name)).map((name) =>
        parameterFault(name, "is a state")
      ),
    );
  }

  #rightSides(solved: readonly Solved[]): NodeId[] {
    return solved.flatMap(({ name, equation, place }) => {
      const order = this.#orders.get(name)!;
      const lower = Array.from(
        { length: order - 1 },
        (_, below) => this.#graph.state(this.#indexOf(name, below + 1)),
      );
      return [...lower, this.#solve(equation, place)];
    });
  }

  #solve({ left, right }: Equation, place: Span): NodeId {
    const whole = { pos: left.pos, end: right.end };
    return limited(this.#text, whole, () => {
      if (this.#parsed.primeAssumed) return lowerValue(right, this.#meanings());
      const [leftNode, rightNode] = [left, right].map((side) => lowerValue(side, this.#meanings())) as [
        NodeId,
        NodeId,
      ];
      const unknown = this.#graph.state(UNKNOWN);
      const isFree = neededFor(this.#graph, [rightNode])[unknown] === 0;
      if (left.kind === "state" && leftNode === unknown && isFree) return rightNode;
      return this.#solveFor(unknown, leftNode, rightNode, place, whole);
    });
  }

  #solveFor(unknown: NodeId, leftNode: NodeId, rightNode: NodeId, place: Span, whole: Span): NodeId {
    const graph = this.#graph;
    const [left, right] = [leftNode, rightNode].map((node) => affineIn(graph, node, unknown));
    const slope = left && right && graph.binary("sub", left.slope, right.slope);
    if (!left || !right || slope === null || slope === undefined || graph.constantOf(slope) === 0) {
      const what = "this equation cannot be solved for its leading derivative, which does not occur linearly";
      this.#fail("E_NOT_AFFINE", place, what, "write it as x'[t] == ...");
    }
    const { pos, end } = place;
    const what = `this equation was solved for ${quotedPiece(this.#text.slice(pos, end))}`;
    this.#warnings.push(warningAt(this.#text, "W_SOLVED_FOR_DERIVATIVE", whole, what));
    return graph.binary("div", graph.binary("sub", right.rest, left.rest), slope);
  }

  #initialValues(equations: readonly Equation[]): Pick<EquationSystem, "initialValues" | "initialTime"> {
    const values: (NodeId | null)[] = this.#states.map(() => null);
    let time: number | null = null;
    for (const { left, right } of equations) {
      const { name, order, at } = left as Syntax & { kind: "initial" };
      const index = this.#initialIndex(name, order, left);
      if (values[index] !== null) {
        this.#fail("E_DUPLICATE", left, `${quotedPiece(this.#states[index]!)} has an initial value already`);
      }
      if (time !== null && time !== at) {
        const what = `initial values are given at ${time} and at ${at}`;
        this.#fail("E_IC_VALUE", left, what, "give all of them at one time");
      }
      time = at;
      const meanings = { ...this.#meanings(), constantOnly: true };
      values[index] = limited(this.#text, right, () => lowerValue(right, meanings));
    }
    return { initialValues: values, initialTime: time };
  }

  #initialIndex(name: string, order: number, place: Span): number {
    const leading = this.#orders.get(name);
    if (leading === undefined) {
      const what = `there is no equation for ${quotedPiece(name)}`;
      this.#fail("E_NO_EQUATION", place, what, `add ${name}'[${this.#names.independent}] == ...`);
    }
    if (order >= leading) {
      const what = `${
        quotedPiece(`${name}${"'".repeat(order)}`)
      } is given by its equation and has no initial value`;
      this.#fail("E_IC_PLACE", place, what, "leave this initial value out");
    }
    return this.#indexOf(name, order);
  }

  #meanings(): Meanings {
    const index = new Map(this.#parameters.map((name, number) => [name, number]));
    return {
      text: this.#text,
      graph: this.#graph,
      independent: this.#names.independent,
      orders: this.#orders,
      node: (name, order) =>
        this.#graph.state(order === this.#orders.get(name) ? UNKNOWN : this.#indexOf(name, order)),
      parameter: (name) => index.get(name) ?? found(this.#parameters.indexOf(name)),
      ...(this.#isOpen ? { adopt: (name: string) => this.#adopt(name) } : {}),
      known: [...this.#orders.keys(), ...this.#parameters],
      warnings: this.#warnings,
    };
  }

  #adopt(name: string): number {
    if (this.#parameters.length === BOUNDS.parameters) {
      const place = { pos: 0, end: this.#text.length };
      this.#fail("E_LIMIT", place, `there may be ${BOUNDS.parameters} parameters`);
    }
    return this.#parameters.push(name) - 1;
  }

  #indexOf(name: string, order: number): number {
    return this.#states.indexOf(`${name}${"'".repeat(order)}`);
  }

  #fail(code: ProblemCode, span: Span, what: string, hint?: string): never {
    fail(this.#text, code, span, what, hint);
  }
}

const SWITCHING = [
  "if",
  "abs",
  "sign",
  "step",
  "floor",
  "ceil",
  "mod",
  "min",
  "max",
  "lt",
  "le",
  "eq",
  "ne",
] as const;

function isBare(
  syntax: Syntax,
): syntax is Syntax & ({ kind: "name"; name: string } | { kind: "state"; name: string }) {
  return syntax.kind === "name" || (syntax.kind === "state" && syntax.order === 0);
}
