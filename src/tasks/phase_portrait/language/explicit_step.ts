import { Graph, isUnary, neededFor, type NodeId, operandsOf } from "./graph.ts";
import type { EquationSystem } from "./equations.ts";

/** An explicit method. */
export interface ExplicitTableau {
  /** The times of the stages from the second on, as shares of the step. */
  readonly nodes: readonly number[];
  /** A row for each of these stages; the last one makes the new state, and has a node only if its derivative is wanted. */
  readonly rows: readonly (readonly number[])[];
  /** What each difference of two orders is made of, stage by stage. */
  readonly errors: readonly (readonly number[])[];
  /** True when these are to be multiplied by the step. */
  readonly errorsTimesStep: boolean;
}

/** Where the inputs of a step lie: y, k1, h, the new time, rtol, and atol of each state. */
export function stepInputs(n: number) {
  return {
    y: 0,
    k1: n,
    h: 2 * n,
    tNew: 2 * n + 1,
    rtol: 2 * n + 2,
    atol: 2 * n + 3,
    length: 3 * n + 3,
  } as const;
}

/** Larger right sides gain nothing from it and take long to compile. */
const NODES_MAX = 400;
const OPERATIONS_MAX = 6_000;

/**
 * One whole step as one expression of its inputs, which stand where the states do: the right sides once for each stage,
 * with the stage's argument in place of the state. Its results are, stage by stage, the arguments of all stages from
 * the second on, then their derivatives, then the sum of squares of each weighted error. Null when it is too large.
 */
export function explicitStep(
  { graph: own, rightSides, states }: EquationSystem,
  tableau: ExplicitTableau,
): { readonly graph: Graph; readonly roots: readonly NodeId[] } | null {
  const { nodes, rows, errors, errorsTimesStep } = tableau;
  const n = states.length, at = stepInputs(n), graph = new Graph();
  if (isTooLarge(neededFor(own, rightSides).reduce((sum, one) => sum + one, 0), n, tableau)) return null;
  const input = (index: number) => graph.state(index),
    each = <T>(make: (i: number) => T) => states.map((_, i) => make(i));
  const h = input(at.h), y = each((i) => input(at.y + i));
  const derivatives = [each((i) => input(at.k1 + i))], stages: NodeId[][] = [];
  rows.forEach((row, index) => {
    const stage = each((i) =>
      graph.binary("add", y[i]!, graph.binary("mul", h, combined(graph, row, derivatives, i)))
    );
    stages.push(stage);
    const node = nodes[index];
    if (node === undefined) return;
    const time = node === 1
      ? input(at.tNew)
      : graph.binary("add", graph.time(), graph.binary("mul", graph.constant(node), h));
    derivatives.push(copied(own, rightSides, graph, stage, time));
  });
  const sums = errors.map((error) =>
    each((i) => squaredRatio(error, i)).reduce((total, one) => graph.binary("add", total, one))
  );
  return { graph, roots: [...stages.flat(), ...derivatives.slice(1).flat(), ...sums] };

  function squaredRatio(error: readonly number[], i: number): NodeId {
    const size = graph.binary("max", graph.unary("abs", y[i]!), graph.unary("abs", stages.at(-1)![i]!));
    const weight = graph.binary("add", input(at.atol + i), graph.binary("mul", input(at.rtol), size));
    const difference = combined(graph, error, derivatives, i);
    const ratio = graph.binary(
      "div",
      errorsTimesStep ? graph.binary("mul", h, difference) : difference,
      weight,
    );
    return graph.binary("mul", ratio, ratio);
  }
}

function isTooLarge(rightSides: number, n: number, { nodes, rows, errors }: ExplicitTableau): boolean {
  const weights = [...rows, ...errors].flat().filter((weight) => weight !== 0).length;
  return rightSides > NODES_MAX || rightSides * nodes.length + 2 * n * weights > OPERATIONS_MAX;
}

/** The sum of weights times derivatives, added from the left as the loops of the method add it. */
function combined(
  graph: Graph,
  weights: readonly number[],
  derivatives: readonly (readonly NodeId[])[],
  i: number,
): NodeId {
  const terms = weights.flatMap((weight, stage) =>
    weight === 0 ? [] : [graph.binary("mul", graph.constant(weight), derivatives[stage]![i]!)]
  );
  return terms.reduce((sum, term) => graph.binary("add", sum, term));
}

/** The same expressions in another graph, with other nodes for the states and the time. */
function copied(
  from: Graph,
  roots: readonly NodeId[],
  graph: Graph,
  states: readonly NodeId[],
  time: NodeId,
): NodeId[] {
  const needed = neededFor(from, roots), copies = new Map<NodeId, NodeId>();
  for (let id = 0; id < needed.length; id++) {
    if (needed[id] !== 0) copies.set(id, copy(from, id, graph, states, time, copies));
  }
  return roots.map((root) => copies.get(root)!);
}

function copy(
  from: Graph,
  id: NodeId,
  graph: Graph,
  states: readonly NodeId[],
  time: NodeId,
  copies: ReadonlyMap<NodeId, NodeId>,
): NodeId {
  const node = from.nodes[id]!, { operation, value } = node;
  const [a, b, c] = operandsOf(node).map((operand) => copies.get(operand)!) as [NodeId, NodeId, NodeId];
  switch (operation) {
    case "constant":
      return graph.constant(value);
    case "time":
      return time;
    case "state":
      return states[value]!;
    case "parameter":
      return graph.parameter(value);
    case "not":
      return graph.not(a);
    case "and":
    case "or":
      return graph.logical(operation, a, b);
    case "if":
      return graph.choice(a, b, c);
  }
  return isUnary(operation) ? graph.unary(operation, a) : graph.binary(operation, a, b);
}
