/** The plainest way to evaluate a graph of equations: every node in turn, with no schedule and no back end. */
import {
  BINARY_FUNCTIONS,
  type Graph,
  isBinary,
  isUnary,
  type NodeId,
  UNARY_FUNCTIONS,
} from "../../src/tasks/phase_portrait/language/graph.ts";

export function evaluatePlainly(
  graph: Graph,
  roots: readonly NodeId[],
  t: number,
  y: Float64Array,
  parameters: Float64Array,
): number[] {
  const values: number[] = [];
  for (const { operation, value, a, b, c } of graph.nodes) {
    const [first, second, third] = [values[a]!, values[b]!, values[c]!];
    if (operation === "constant") values.push(value);
    else if (operation === "time") values.push(t);
    else if (operation === "state") values.push(y[value]!);
    else if (operation === "parameter") values.push(parameters[value]!);
    else if (operation === "if") values.push(first !== 0 ? second : third);
    else if (operation === "not") values.push(first === 0 ? 1 : 0);
    else if (operation === "and") values.push(first !== 0 && second !== 0 ? 1 : 0);
    else if (operation === "or") values.push(first !== 0 || second !== 0 ? 1 : 0);
    else if (isUnary(operation)) values.push(UNARY_FUNCTIONS[operation](first));
    else if (isBinary(operation)) values.push(BINARY_FUNCTIONS[operation](first, second));
  }
  return roots.map((root) => values[root]!);
}
