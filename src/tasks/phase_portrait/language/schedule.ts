import { type Graph, neededFor, type NodeId, operandsOf, type Operation } from "./graph.ts";

/** A stretch of work that is done together: all of it, or a branch of an `if`. */
export interface Block {
  /** The nodes to compute, operands first. */
  readonly nodes: readonly NodeId[];
}

/** In which order nodes are computed, and which only when their branch is taken. Both back ends follow it. */
export interface Schedule {
  readonly body: Block;
  /** The branches of an `if` that have work of their own. */
  readonly branches: ReadonlyMap<NodeId, { readonly yes: Block; readonly no: Block }>;
  /** How often each node is an operand or a result. */
  readonly uses: Uint32Array;
}

interface Scope {
  readonly parent: Scope | null;
  readonly depth: number;
  readonly nodes: NodeId[];
}

/**
 * Branches in branches are bounded, as the engine compiles them by recursion. Further in, both are computed and one
 * is chosen, which gives the same value.
 */
const BRANCH_DEPTH = 24;

const LEAVES: ReadonlySet<Operation> = new Set(["constant", "time", "state", "parameter"]);

/** True for what needs no computing. */
export function isLeaf(graph: Graph, id: NodeId): boolean {
  return LEAVES.has(graph.nodes[id]!.operation);
}

/** Plans the computation of `roots`. What several places need is computed once, where all of them see it. */
export function scheduleOf(graph: Graph, roots: readonly NodeId[]): Schedule {
  const needed = neededFor(graph, roots);
  const uses = new Uint32Array(graph.nodes.length);
  const scopes = new Map<NodeId, Scope>();
  const branches = new Map<NodeId, { yes: Scope; no: Scope }>();
  const body = childOf(null);
  const use = (id: NodeId, scope: Scope) => {
    uses[id]!++;
    const before = scopes.get(id);
    scopes.set(id, before === undefined ? scope : shared(before, scope));
  };
  for (const root of roots) use(root, body);
  // Downwards, so that all uses of a node are known when its turn comes.
  for (let id = needed.length - 1; id >= 0; id--) {
    if (needed[id] === 0) continue;
    const node = graph.nodes[id]!;
    const scope = scopes.get(id)!;
    const branch = node.operation === "if" && scope.depth < BRANCH_DEPTH
      ? { yes: childOf(scope), no: childOf(scope) }
      : null;
    if (branch !== null) branches.set(id, branch);
    operandsOf(node).forEach((operand, position) =>
      use(operand, branch === null || position === 0 ? scope : position === 1 ? branch.yes : branch.no)
    );
  }
  for (let id = 0; id < needed.length; id++) {
    if (needed[id] !== 0 && !isLeaf(graph, id)) scopes.get(id)!.nodes.push(id);
  }
  for (const [id, { yes, no }] of branches) {
    if (yes.nodes.length === 0 && no.nodes.length === 0) branches.delete(id);
  }
  return { body, branches, uses };
}

function childOf(parent: Scope | null): Scope {
  return { parent, depth: parent === null ? 0 : parent.depth + 1, nodes: [] };
}

function shared(a: Scope, b: Scope): Scope {
  while (a !== b) {
    if (a.depth >= b.depth) a = a.parent!;
    else b = b.parent!;
  }
  return a;
}
