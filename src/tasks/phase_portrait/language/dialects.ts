import type { BinaryOperation, ComparisonOperation, UnaryOperation } from "./graph.ts";

/** How an expression is written in another language. Arguments come as finished text. */
export interface Dialect {
  readonly unary: Readonly<Record<Exclude<UnaryOperation, "neg">, string>>;
  /** Functions of two arguments; operators are written by the printer. */
  readonly binary: Readonly<Record<Exclude<BinaryOperation, "add" | "sub" | "mul" | "div" | "pow">, string>>;
  readonly comparison: Readonly<Record<ComparisonOperation, string>>;
  readonly and: string;
  readonly or: string;
  number(value: number): string;
  call(name: string, args: readonly string[]): string;
  power(base: string, exponent: string): string;
  product(left: string, right: string): string;
  /** Null where a quotient is written with a slash. */
  readonly fraction: ((top: string, bottom: string) => string) | null;
  not(condition: string): string;
  choice(condition: string, yes: string, no: string): string;
  /** A condition as 1 or 0. */
  truth(condition: string): string;
}

const LOWER_NAMES = {
  sqrt: "sqrt",
  cbrt: "cbrt",
  exp: "exp",
  log: "log",
  log2: "log2",
  log10: "log10",
  sin: "sin",
  cos: "cos",
  tan: "tan",
  sinh: "sinh",
  cosh: "cosh",
  tanh: "tanh",
  floor: "floor",
  ceil: "ceil",
  sign: "sign",
  abs: "abs",
} as const;

const CONSTANT_NAMES:
  readonly (readonly [number, mathematica: string, python: string, julia: string, latex: string])[] = [
    [Math.PI, "Pi", "np.pi", "pi", "\\pi"],
    [Math.E, "E", "np.e", "ℯ", "e"],
  ];

function named(value: number, column: 1 | 2 | 3 | 4): string | undefined {
  return CONSTANT_NAMES.find(([constant]) => constant === value)?.[column];
}

const CODE_COMPARISONS = { lt: "<", le: "<=", eq: "==", ne: "!=" } as const;

const MATHEMATICA: Dialect = {
  unary: {
    abs: "Abs",
    sign: "Sign",
    step: "UnitStep",
    floor: "Floor",
    ceil: "Ceiling",
    sqrt: "Sqrt",
    cbrt: "CubeRoot",
    exp: "Exp",
    log: "Log",
    log2: "Log2",
    log10: "Log10",
    sin: "Sin",
    cos: "Cos",
    tan: "Tan",
    asin: "ArcSin",
    acos: "ArcCos",
    atan: "ArcTan",
    sinh: "Sinh",
    cosh: "Cosh",
    tanh: "Tanh",
    asinh: "ArcSinh",
    acosh: "ArcCosh",
    atanh: "ArcTanh",
  },
  binary: { atan2: "ArcTan", mod: "Mod", min: "Min", max: "Max" },
  comparison: CODE_COMPARISONS,
  and: " && ",
  or: " || ",
  number: (value) => named(value, 1) ?? mathematicaNumber(value),
  // ArcTan takes the point (x, y), so its arguments are the other way round.
  call: (name, args) => `${name}[${(name === "ArcTan" ? [...args].reverse() : args).join(", ")}]`,
  power: (base, exponent) => `${base}^${exponent}`,
  product: (left, right) => `${left}*${right}`,
  fraction: null,
  not: (condition) => `!(${condition})`,
  choice: (condition, yes, no) => `If[${condition}, ${yes}, ${no}]`,
  truth: (condition) => `Boole[${condition}]`,
};

function mathematicaNumber(value: number): string {
  if (Number.isNaN(value)) return "Indeterminate";
  if (!Number.isFinite(value)) return "Infinity";
  return String(value).replace(/e\+?/, "*^");
}

const PYTHON: Dialect = {
  unary: {
    ...LOWER_NAMES,
    step: "step",
    asin: "arcsin",
    acos: "arccos",
    atan: "arctan",
    asinh: "arcsinh",
    acosh: "arccosh",
    atanh: "arctanh",
  },
  binary: { atan2: "arctan2", mod: "mod", min: "min", max: "max" },
  comparison: CODE_COMPARISONS,
  and: " and ",
  or: " or ",
  number: (value) =>
    named(value, 2) ??
      (Number.isFinite(value) ? String(value) : `float("${Number.isNaN(value) ? "nan" : "inf"}")`),
  call: pythonCall,
  power: (base, exponent) => `${base}**${exponent}`,
  product: (left, right) => `${left}*${right}`,
  fraction: null,
  not: (condition) => `(not (${condition}))`,
  choice: (condition, yes, no) => `(${yes} if ${condition} else ${no})`,
  truth: (condition) => `float(${condition})`,
};

function pythonCall(name: string, args: readonly string[]): string {
  if (name === "step") return `(1.0 if ${args[0]} >= 0 else 0.0)`;
  return `${name === "min" || name === "max" ? "" : "np."}${name}(${args.join(", ")})`;
}

const JULIA: Dialect = {
  unary: {
    ...LOWER_NAMES,
    step: "step",
    asin: "asin",
    acos: "acos",
    atan: "atan",
    asinh: "asinh",
    acosh: "acosh",
    atanh: "atanh",
  },
  binary: { atan2: "atan", mod: "mod", min: "min", max: "max" },
  comparison: CODE_COMPARISONS,
  and: " && ",
  or: " || ",
  number: (value) =>
    named(value, 3) ?? (Number.isNaN(value) ? "NaN" : Number.isFinite(value) ? String(value) : "Inf"),
  call: (name, args) => name === "step" ? `(${args[0]} >= 0 ? 1.0 : 0.0)` : `${name}(${args.join(", ")})`,
  power: (base, exponent) => `${base}^${exponent}`,
  product: (left, right) => `${left}*${right}`,
  fraction: null,
  not: (condition) => `!(${condition})`,
  choice: (condition, yes, no) => `(${condition} ? ${yes} : ${no})`,
  truth: (condition) => `Float64(${condition})`,
};

const LATEX: Dialect = {
  unary: {
    abs: "\\left|#\\right|",
    sign: "\\operatorname{sgn}",
    step: "H",
    floor: "\\left\\lfloor #\\right\\rfloor",
    ceil: "\\left\\lceil #\\right\\rceil",
    sqrt: "\\sqrt{#}",
    cbrt: "\\sqrt[3]{#}",
    exp: "\\exp",
    log: "\\ln",
    log2: "\\log_{2}",
    log10: "\\log_{10}",
    sin: "\\sin",
    cos: "\\cos",
    tan: "\\tan",
    asin: "\\arcsin",
    acos: "\\arccos",
    atan: "\\arctan",
    sinh: "\\sinh",
    cosh: "\\cosh",
    tanh: "\\tanh",
    asinh: "\\operatorname{arsinh}",
    acosh: "\\operatorname{arcosh}",
    atanh: "\\operatorname{artanh}",
  },
  binary: { atan2: "\\operatorname{atan2}", mod: "\\operatorname{mod}", min: "\\min", max: "\\max" },
  comparison: { lt: "<", le: "\\le", eq: "=", ne: "\\ne" },
  and: " \\land ",
  or: " \\lor ",
  number: (value) =>
    named(value, 4) ??
      (Number.isNaN(value) ? "\\text{undefined}" : Number.isFinite(value) ? latexNumber(value) : "\\infty"),
  call: (name, args) =>
    name.includes("#") ? name.replace("#", () => args[0]!) : `${name}\\left(${args.join(", ")}\\right)`,
  power: (base, exponent) => `{${base}}^{${exponent}}`,
  product: (left, right) => /^[0-9.]/.test(right) ? `${left} \\cdot ${right}` : `${left} ${right}`,
  fraction: (top, bottom) => `\\frac{${top}}{${bottom}}`,
  not: (condition) => `\\lnot \\left(${condition}\\right)`,
  choice: (condition, yes, no) =>
    `\\begin{cases} ${yes} & ${condition} \\\\ ${no} & \\text{otherwise} \\end{cases}`,
  truth: (condition) => `\\left[${condition}\\right]`,
};

function latexNumber(value: number): string {
  const [digits, exponent] = String(value).split("e");
  return exponent === undefined ? digits! : `${digits} \\cdot 10^{${Number(exponent)}}`;
}

/** The languages that equations can be copied as. */
export const DIALECTS = { mathematica: MATHEMATICA, python: PYTHON, julia: JULIA, latex: LATEX } as const;

export type DialectName = keyof typeof DIALECTS;
