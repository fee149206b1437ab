import { drawing, element } from "./element.ts";
import type { Tree } from "./page_data.ts";

const ROW = 20;
const WIDTH = 460;
const LABELS = 560;

/** The dendrogram, with the square root of the distance from right to left; a sentence when there is only one genome. */
export function drawTree(tree: Tree): Element {
  const { linkage, leaf_order: order, genome_ids: ids } = tree;
  if (linkage === undefined || order === undefined) {
    return element("p", { class: "quiet" }, "There is no other genome to compare this one with.");
  }
  const rows = new Map(order.map((id, row) => [id, row]));
  const largest = Math.sqrt(Math.max(...linkage.map(([, , distance]) => distance))) || 1;
  const nodes = ids.map((id) => ({ x: WIDTH, y: (rows.get(id)! + 0.5) * ROW }));
  const lines = linkage.map(([a, b, distance]) => {
    const [p, q] = [nodes[a]!, nodes[b]!];
    const x = WIDTH - (WIDTH - 10) * Math.sqrt(distance) / largest;
    nodes.push({ x, y: (p.y + q.y) / 2 });
    return drawing("path", { d: `M${p.x},${p.y}H${x}V${q.y}H${q.x}` });
  });
  const labels = order.map((id, row) =>
    drawing(
      "text",
      { x: WIDTH + 8, y: (row + 0.5) * ROW + 4, ...(id === tree.user_genome_id ? { class: "own" } : {}) },
      labelOf(id, tree),
    )
  );
  const height = order.length * ROW;
  const picture = drawing(
    "svg",
    { width: WIDTH + LABELS, height, role: "img", "aria-label": `Tree of ${order.length} genomes` },
    ...lines,
    ...labels,
  );
  return element("div", { class: "wide" }, picture);
}

function labelOf(id: string, { user_genome_id: own, genome_metadata, genome_stats }: Tree): string {
  const ani = ownEntry(genome_metadata, id)?.ani_to_user;
  const stats = ownEntry(genome_stats, id);
  const near = id === own ? "this genome" : ani === null || ani === undefined ? "" : `ANI ${ani}`;
  const size = stats === undefined ? "" : `${stats.n_genes} genes, ${stats.n_clusters} clusters`;
  return [id, near, size].filter((part) => part !== "").join(" · ");
}

function ownEntry<Value>(
  record: Readonly<Record<string, Value>> | undefined,
  key: string,
): Value | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}
