/** The functions of the language; there are no others. */

/** What a function may be called with. */
export interface FunctionRule {
  /** As Mathematica writes it. */
  readonly name: string;
  readonly least: number;
  readonly most: number;
  /** `values` when every argument is a number; otherwise how the arguments are read. */
  readonly shape: "values" | "If" | "Which" | "Piecewise" | "Boole" | "Clip";
}

const UNARY =
  "Sin Cos Tan Cot Sec Csc ArcSin ArcCos Sinh Cosh Tanh ArcSinh ArcCosh ArcTanh Exp Sqrt CubeRoot " +
  "Abs Sign Floor Ceiling Log10 Log2 UnitStep HeavisideTheta";

const RULES: readonly FunctionRule[] = [
  ...UNARY.split(" ").map((name) => values(name, 1, 1)),
  values("ArcTan", 1, 2),
  values("Log", 1, 2),
  values("Mod", 2, 2),
  values("Power", 2, 2),
  values("Min", 1, Infinity),
  values("Max", 1, Infinity),
  { name: "Boole", least: 1, most: 1, shape: "Boole" },
  { name: "If", least: 3, most: 3, shape: "If" },
  { name: "Which", least: 2, most: Infinity, shape: "Which" },
  { name: "Piecewise", least: 1, most: 2, shape: "Piecewise" },
  { name: "Clip", least: 1, most: 2, shape: "Clip" },
];

function values(name: string, least: number, most: number): FunctionRule {
  return { name, least, most, shape: "values" };
}

/** By the names that are always functions. */
export const FUNCTIONS: ReadonlyMap<string, FunctionRule> = new Map(RULES.map((rule) => [rule.name, rule]));

const LOWER_CASE =
  "sin:Sin cos:Cos tan:Tan exp:Exp log:Log ln:Log sqrt:Sqrt abs:Abs sinh:Sinh cosh:Cosh tanh:Tanh " +
  "asin:ArcSin acos:ArcCos atan:ArcTan sign:Sign floor:Floor ceil:Ceiling min:Min max:Max mod:Mod";

/** By the lower-case names that are functions unless a state or a parameter has that name. */
export const LOWER_FUNCTIONS: ReadonlyMap<string, FunctionRule> = new Map(
  LOWER_CASE.split(" ").map((pair) => {
    const [lower, name] = pair.split(":") as [string, string];
    return [lower, FUNCTIONS.get(name)!] as const;
  }),
);

/** By the names that are numbers unless a state or a parameter has that name. */
export const CONSTANTS: ReadonlyMap<string, number> = new Map([
  ["Pi", Math.PI],
  ["π", Math.PI],
  ["E", Math.E],
  ["Degree", Math.PI / 180],
  ["GoldenRatio", (1 + Math.sqrt(5)) / 2],
  ["EulerGamma", 0.5772156649015329],
]);

/** Words that nothing else may be called. */
export const RESERVED: ReadonlySet<string> = new Set([...FUNCTIONS.keys(), "True", "False", "Derivative"]);

/** "did you mean X?" for the candidate nearest to `name`, when one is within two letters and a third of its length. */
export function suggestion(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.min(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) >= least) continue;
    const distance = editDistance(name, candidate);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best === undefined ? undefined : `did you mean ${best}?`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let line = 1; line <= a.length; line++) {
    const next = [line];
    for (let column = 1; column <= b.length; column++) {
      const change = row[column - 1]! + (a[line - 1] === b[column - 1] ? 0 : 1);
      next.push(Math.min(change, row[column]! + 1, next[column - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
