/** One merge: two clusters of leaves, their distance, and how many leaves they have together. */
export type Merge = readonly [a: number, b: number, distance: number, leaves: number];

interface Record {
  readonly x: number;
  readonly y: number;
  readonly distance: number;
  readonly leaves: number;
}

/**
 * Average linkage in the order of the nearest-neighbour chain, which decides how ties come out. `distances` is a
 * full square matrix by rows, and is used up.
 */
export function averageLinkage(distances: Float64Array, leaves: number): Merge[] {
  return labelled(chainRecords(distances, leaves), leaves);
}

function chainRecords(distances: Float64Array, leaves: number): Record[] {
  const sizes = new Array<number>(leaves).fill(1);
  const chain: number[] = [];
  const records: Record[] = [];
  while (records.length < leaves - 1) {
    if (chain.length === 0) chain.push(sizes.findIndex((size) => size > 0));
    const distance = growChain(chain, sizes, distances);
    const [p, q] = [chain.pop()!, chain.pop()!];
    const [x, y] = p < q ? [p, q] : [q, p];
    records.push({ x, y, distance, leaves: sizes[x]! + sizes[y]! });
    merge(x, y, sizes, distances);
  }
  return records;
}

/** Follows nearest neighbours until the last two are each other's; gives their distance. */
function growChain(chain: number[], sizes: readonly number[], distances: Float64Array): number {
  const n = sizes.length;
  for (;;) {
    const x = chain.at(-1)!;
    const previous = chain.length > 1 ? chain.at(-2)! : -1;
    let y = previous;
    let best = previous === -1 ? Infinity : distances[x * n + previous]!;
    for (let i = 0; i < n; i++) {
      if (sizes[i] === 0 || i === x || !(distances[x * n + i]! < best)) continue;
      best = distances[x * n + i]!;
      y = i;
    }
    if (y === previous) return best;
    chain.push(y);
  }
}

/** `x` goes into `y`; the sum is evaluated in just this form, as other forms round differently. */
function merge(x: number, y: number, sizes: number[], distances: Float64Array): void {
  const n = sizes.length;
  const [sizeX, sizeY] = [sizes[x]!, sizes[y]!];
  sizes[x] = 0;
  sizes[y] = sizeX + sizeY;
  for (let i = 0; i < n; i++) {
    if (sizes[i] === 0 || i === y) continue;
    const distance = (sizeX * distances[i * n + x]! + sizeY * distances[i * n + y]!) / (sizeX + sizeY);
    distances[i * n + y] = distance;
    distances[y * n + i] = distance;
  }
}

function labelled(records: readonly Record[], leaves: number): Merge[] {
  const parent = Array.from({ length: 2 * leaves - 1 }, (_, index) => index);
  const rootOf = (index: number): number => {
    let root = index;
    while (parent[root] !== root) root = parent[root]!;
    while (parent[index] !== root) [parent[index], index] = [root, parent[index]!];
    return root;
  };
  return records.toSorted((a, b) => a.distance - b.distance).map((record, index) => {
    const [a, b] = [rootOf(record.x), rootOf(record.y)].sort((p, q) => p - q) as [number, number];
    parent[a] = parent[b] = leaves + index;
    return [a, b, record.distance, record.leaves];
  });
}

/** The leaves from one end of the tree to the other, the first branch of each merge before its second. */
export function leafOrder(merges: readonly Merge[]): number[] {
  const leaves = merges.length + 1;
  const order: number[] = [];
  const open = [2 * leaves - 2];
  while (open.length > 0) {
    const node = open.pop()!;
    if (node < leaves) order.push(node);
    else open.push(merges[node - leaves]![1], merges[node - leaves]![0]);
  }
  return order;
}
