import type { EquationSystem } from "./equations.ts";
import { type Graph, neededFor, type NodeId } from "./graph.ts";

/**
 * Functions that are zero where a right side can jump or bend: the difference of what is compared, the argument of
 * `Abs` or `Sign`, and for `Floor` and `Mod` a wave through the whole numbers. A solver that finds their zeros can let
 * its steps end there.
 */
export function switchingNodes({ graph, rightSides }: EquationSystem): NodeId[] {
  const needed = neededFor(graph, rightSides);
  const found = new Set<NodeId>();
  for (let id = 0; id < needed.length; id++) {
    const node = needed[id] === 0 ? null : switchOf(graph, id);
    if (node !== null && graph.constantOf(node) === undefined) found.add(node);
  }
  return [...found];
}

function switchOf(graph: Graph, id: NodeId): NodeId | null {
  const { operation, a, b } = graph.nodes[id]!;
  switch (operation) {
    case "lt":
    case "le":
    case "eq":
    case "ne":
    case "min":
    case "max":
      return graph.binary("sub", a, b);
    case "abs":
    case "sign":
    case "step":
      return a;
    case "floor":
    case "ceil":
      return wave(graph, a);
    case "mod":
      return wave(graph, graph.binary("div", a, b));
  }
  return null;
}

function wave(graph: Graph, a: NodeId): NodeId {
  return graph.unary("sin", graph.binary("mul", graph.constant(Math.PI), a));
}
