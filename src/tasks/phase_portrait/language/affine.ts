import { type Graph, neededFor, type NodeId } from "./graph.ts";

/** `slope * unknown + rest`. */
export interface Affine {
  readonly slope: NodeId;
  readonly rest: NodeId;
}

/** Writes `root` as slope * unknown + rest, both without the unknown; null where that cannot be done. */
export function affineIn(graph: Graph, root: NodeId, unknown: NodeId): Affine | null {
  const zero = graph.constant(0);
  const needed = neededFor(graph, [root]);
  const forms = new Map<NodeId, Affine>([[unknown, { slope: graph.constant(1), rest: zero }]]);
  for (let id = 0; id <= root; id++) {
    const { operation, a, b, c } = graph.nodes[id]!;
    if (needed[id] === 0 || ![a, b, c].some((operand) => forms.has(operand))) continue;
    const of = (operand: NodeId): Affine => forms.get(operand) ?? { slope: zero, rest: operand };
    const each = (make: (operand: (form: Affine) => NodeId) => NodeId): Affine => ({
      slope: make((form) => form.slope),
      rest: make((form) => form.rest),
    });
    if (operation === "neg") forms.set(id, each((part) => graph.unary("neg", part(of(a)))));
    else if (operation === "add" || operation === "sub") {
      forms.set(id, each((part) => graph.binary(operation, part(of(a)), part(of(b)))));
    } else if (operation === "mul" && !(forms.has(a) && forms.has(b))) {
      forms.set(id, each((part) => product(graph, part(of(a)), part(of(b)), a, b, forms)));
    } else if (operation === "div" && !forms.has(b)) {
      forms.set(id, each((part) => graph.binary("div", part(of(a)), b)));
    } else if (operation === "if" && !forms.has(a)) {
      forms.set(id, each((part) => graph.choice(a, part(of(b)), part(of(c)))));
    } else return null;
  }
  return forms.get(root) ?? { slope: zero, rest: root };
}

/** The factor without the unknown multiplies both parts of the other; products with 0 are left out. */
function product(
  graph: Graph,
  partOfA: NodeId,
  partOfB: NodeId,
  a: NodeId,
  b: NodeId,
  forms: ReadonlyMap<NodeId, Affine>,
): NodeId {
  const [left, right] = forms.has(a) ? [partOfA, b] : [a, partOfB];
  const part = forms.has(a) ? left : right;
  return graph.constantOf(part) === 0 ? part : graph.binary("mul", left, right);
}
