import { element, fill } from "./element.ts";
import type { Gene } from "./page_data.ts";

/** The values of a gene's row, in the order of genes_data.json. */
export const GENE_FIELDS: readonly string[] =
  ("ID FID LENGTH START STRAND CONS_FRAC PAN_CAT FUNC N_KO N_COG N_PFAM N_GO LOC RAST_CONS KO_CONS GO_CONS EC_CONS AVG_CONS " +
    "BAKTA_CONS EC_AVG_CONS SPECIFICITY IS_HYPO HAS_NAME N_EC AGREEMENT CLUSTER_SIZE N_MODULES EC_MAP_CONS PROT_LEN REACTIONS " +
    "RICH_FLUX RICH_CLASS MIN_FLUX MIN_CLASS PSORTB_NEW ESSENTIALITY GENE_NAME N_PHENOTYPES N_FITNESS FITNESS_AVG " +
    "N_FITNESS_AGREE FITNESS_AGREE_PCT").split(" ");

const SHOWN: readonly (readonly [field: string, title: string])[] = [
  ["FID", "Gene"],
  ["GENE_NAME", "Name"],
  ["FUNC", "Function"],
  ["START", "Start"],
  ["LENGTH", "Length"],
  ["PAN_CAT", "Pangenome"],
  ["CONS_FRAC", "Conservation"],
  ["AVG_CONS", "Consistency"],
  ["N_KO", "KO"],
  ["REACTIONS", "Reactions"],
];

const SEARCHED = ["FID", "GENE_NAME", "FUNC", "REACTIONS"].map((field) => GENE_FIELDS.indexOf(field));
const NO_DATA_IS_MINUS_ONE = new Set(["AVG_CONS", "CONS_FRAC"]);
const CATEGORIES = ["no cluster", "accessory", "core"];
const PAGE_ROWS = 100;

interface View {
  search: string;
  field: number;
  direction: 1 | -1;
  from: number;
}

/** All genes: a search over id, name, function and reactions, sorting by any column, and pages. */
export function geneTable(genes: readonly Gene[]): Element {
  const view: View = { search: "", field: GENE_FIELDS.indexOf("ID"), direction: 1, from: 0 };
  const search = element("input", { type: "search", id: "search", autocomplete: "off" }) as HTMLInputElement;
  const count = element("span", { class: "quiet", role: "status" });
  const [previous, next] = [
    element("button", { type: "button" }, "Previous"),
    element("button", { type: "button" }, "Next"),
  ];
  const [head, body] = [element("thead"), element("tbody")];
  const show = (): void => {
    const found = sorted(matching(genes, view.search), view);
    view.from = Math.max(0, Math.min(view.from, Math.floor((found.length - 1) / PAGE_ROWS) * PAGE_ROWS));
    const part = found.slice(view.from, view.from + PAGE_ROWS);
    fill(
      count,
      found.length === 0
        ? "No gene"
        : `${view.from + 1} to ${view.from + part.length} of ${found.length} genes`,
    );
    fill(head, headRow(view, show));
    fill(body, ...part.map(geneRow));
    previous.toggleAttribute("disabled", view.from === 0);
    next.toggleAttribute("disabled", view.from + PAGE_ROWS >= found.length);
  };
  const turn = (rows: number) => () => {
    view.from += rows;
    show();
  };
  search.addEventListener("input", () => {
    view.search = search.value;
    view.from = 0;
    show();
  });
  previous.addEventListener("click", turn(-PAGE_ROWS));
  next.addEventListener("click", turn(PAGE_ROWS));
  show();
  return element(
    "section",
    {},
    element(
      "div",
      { class: "bar" },
      element("label", { for: "search" }, "Search"),
      search,
      previous,
      next,
      count,
    ),
    element("div", { class: "wide" }, element("table", {}, head, body)),
  );
}

function matching(genes: readonly Gene[], search: string): readonly Gene[] {
  const wanted = search.trim().toLowerCase();
  if (wanted === "") return genes;
  return genes.filter((gene) => SEARCHED.some((field) => String(gene[field]).toLowerCase().includes(wanted)));
}

/** Genes without a value come last in both directions. */
function sorted(genes: readonly Gene[], { field, direction }: View): readonly Gene[] {
  const missing = (gene: Gene) => isMissing(gene[field]!, GENE_FIELDS[field]!) ? 1 : 0;
  return [...genes].sort((a, b) => missing(a) - missing(b) || direction * compare(a[field]!, b[field]!));
}

function compare(a: string | number | null, b: string | number | null): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}

function isMissing(value: string | number | null, field: string): boolean {
  return value === null || value === "" || (value === -1 && NO_DATA_IS_MINUS_ONE.has(field));
}

function headRow(view: View, show: () => void): HTMLElement {
  const cells = SHOWN.map(([field, title]) => {
    const at = GENE_FIELDS.indexOf(field);
    const button = element("button", { type: "button" }, title);
    button.addEventListener("click", () => {
      view.direction = view.field === at && view.direction === 1 ? -1 : 1;
      view.field = at;
      show();
    });
    const sort = view.field === at ? { "aria-sort": view.direction === 1 ? "ascending" : "descending" } : {};
    return element("th", { scope: "col", ...sort }, button);
  });
  return element("tr", {}, ...cells);
}

function geneRow(gene: Gene): HTMLElement {
  const cells = SHOWN.map(([field]) => {
    const value = gene[GENE_FIELDS.indexOf(field)]!;
    const text = shown(value, field);
    if (field === "FID") return element("td", {}, details(text, gene));
    return element("td", typeof value === "number" && field !== "PAN_CAT" ? { class: "number" } : {}, text);
  });
  return element("tr", {}, ...cells);
}

/** All values of a gene, made when they are asked for. */
function details(title: string, gene: Gene): HTMLElement {
  const made = element("details", {}, element("summary", {}, title)) as HTMLDetailsElement;
  made.addEventListener("toggle", () => {
    if (made.children.length > 1) return;
    made.append(
      ...GENE_FIELDS.map((field, index) => element("div", {}, `${field}: ${gene[index] ?? "no data"}`)),
    );
  });
  return made;
}

function shown(value: string | number | null, field: string): string {
  if (isMissing(value, field)) return "";
  if (field === "PAN_CAT") return CATEGORIES[value as number] ?? "";
  const text = typeof value === "number" ? value.toLocaleString("en") : String(value);
  return text.length > 300 ? `${text.slice(0, 300)}… (${text.length} characters)` : text;
}
