import { type DialectName, DIALECTS } from "./dialects.ts";
import type { EquationSystem } from "./equations.ts";
import type { NodeId } from "./graph.ts";
import { type LeafNames, printNodes } from "./print.ts";

/** The system as another program reads it, with these values of its parameters. */
export function copyAs(system: EquationSystem, dialect: DialectName, values: readonly number[] = []): string {
  switch (dialect) {
    case "mathematica":
      return asMathematica(system);
    case "python":
      return asPython(system, values);
    case "julia":
      return asJulia(system, values);
    case "latex":
      return asLatex(system);
  }
}

/** The form that this language reads too, so that it can be pasted back. */
function asMathematica(system: EquationSystem): string {
  const t = system.independent;
  const name = (state: string) => `${state}[${t}]`;
  const names = leafNames(system, t, name, (parameter) => parameter);
  const lines = leadingEquations(system, "mathematica", names).map(([state, right]) =>
    `${name(`${state}'`)} == ${right}`
  );
  const initial = printed(system, "mathematica", names, system.initialValues.filter((node) => node !== null));
  const given = system.states.filter((_, index) => system.initialValues[index] !== null);
  const at = system.initialTime ?? 0;
  return `{${
    [...lines, ...given.map((state, index) => `${state}[${at}] == ${initial[index]}`)].join(",\n ")
  }}`;
}

function asPython(system: EquationSystem, values: readonly number[]): string {
  const names = new CodeNames(["np", "y", "f", "min", "max", "float", ...PYTHON_WORDS]);
  const t = names.of(system.independent);
  const states = system.states.map((state) => names.of(state));
  const parameters = system.parameters.map((parameter) => names.of(parameter));
  const rights = printed(system, "python", leafNamesOf(t, states, parameters), system.rightSides);
  const args = parameters.map((parameter, index) => `, ${parameter}=${values[index] ?? 0}`).join("");
  return [
    "import numpy as np",
    "",
    "",
    `def f(${t}, y${args}):`,
    `    ${states.join(", ")}${states.length === 1 ? "," : ""} = y`,
    `    return [${rights.join(", ")}]`,
    "",
  ].join("\n");
}

function asJulia(system: EquationSystem, values: readonly number[]): string {
  const names = new CodeNames(["y", "dy", "p", "f!", "pi", "ℯ", ...JULIA_WORDS]);
  const t = names.of(system.independent);
  const states = system.states.map((state) => names.of(state));
  const parameters = system.parameters.map((parameter) => names.of(parameter));
  const rights = printed(system, "julia", leafNamesOf(t, states, parameters), system.rightSides);
  return [
    ...(parameters.length === 0 ? [] : [
      `p = (; ${parameters.map((parameter, index) => `${parameter} = ${values[index] ?? 0}`).join(", ")})`,
      "",
    ]),
    `function f!(dy, y, p, ${t})`,
    `    ${states.join(", ")}${states.length === 1 ? "," : ""} = y`,
    ...(parameters.length === 0 ? [] : [`    (; ${parameters.join(", ")}) = p`]),
    ...rights.map((right, index) => `    dy[${index + 1}] = ${right}`),
    "    return nothing",
    "end",
    "",
  ].join("\n");
}

function asLatex(system: EquationSystem): string {
  const names = leafNames(system, latexName(system.independent), latexState, latexName);
  const lines = leadingEquations(system, "latex", names).map(([state, right]) =>
    `${latexState(`${state}'`)} &= ${right}`
  );
  return `\\begin{aligned}\n${lines.join(" \\\\\n")}\n\\end{aligned}`;
}

/** The state below each leading derivative, and the right side of its equation. */
function leadingEquations(
  system: EquationSystem,
  dialect: DialectName,
  names: LeafNames,
): [string, string][] {
  const rights = printed(system, dialect, names, system.leading.map((index) => system.rightSides[index]!));
  return system.leading.map((index, number) => [system.states[index]!, rights[number]!]);
}

function printed(
  system: EquationSystem,
  dialect: DialectName,
  names: LeafNames,
  roots: readonly NodeId[],
): string[] {
  return printNodes(system.graph, roots, DIALECTS[dialect], names);
}

function leafNames(
  { states, parameters }: EquationSystem,
  time: string,
  state: (name: string) => string,
  parameter: (name: string) => string,
): LeafNames {
  return leafNamesOf(time, states.map(state), parameters.map(parameter));
}

function leafNamesOf(time: string, states: readonly string[], parameters: readonly string[]): LeafNames {
  return { time, state: (index) => states[index]!, parameter: (index) => parameters[index]! };
}

const PYTHON_WORDS =
  ("False None True and as assert async await break class continue def del elif else except finally for from global " +
    "if import in is lambda nonlocal not or pass raise return try while with yield").split(" ");

const JULIA_WORDS =
  ("baremodule begin break catch const continue do else elseif end export false finally for function global if " +
    "import let local macro module quote return struct true try using while abs sign floor ceil sqrt cbrt exp log " +
    "log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh mod min max Float64 NaN Inf")
    .split(" ");

/** Names that are words of the other language, or that it cannot read, are changed; no two become the same. */
class CodeNames {
  readonly #taken: Set<string>;

  constructor(reserved: readonly string[]) {
    this.#taken = new Set(reserved);
  }

  /** `x''` becomes `x_tt`, `x₁` becomes `x_1`. */
  of(name: string): string {
    const primes = /'*$/.exec(name)![0].length;
    let result = name.slice(0, name.length - primes).replace(
      /[₀-₉]/g,
      (digit) => `_${digit.charCodeAt(0) - 0x2080}`,
    );
    if (primes > 0) result += `_${"t".repeat(primes)}`;
    while (this.#taken.has(result)) result += "_";
    this.#taken.add(result);
    return result;
  }
}

const GREEK = ("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho " +
  "varsigma sigma tau upsilon phi chi psi omega").split(" ");

function latexName(name: string): string {
  const [, stem, digits] = /^(.*?)_?([0-9₀-₉]*)$/su.exec(name)! as unknown as [string, string, string];
  const plain = digits.replace(/[₀-₉]/g, (digit) => String(digit.charCodeAt(0) - 0x2080));
  const index = stem.length === 1 ? stem.charCodeAt(0) - 0x3b1 : GREEK.indexOf(stem);
  const greek = GREEK[index];
  const letter = greek !== undefined
    ? `\\${greek}`
    : [...stem].length === 1
    ? stem
    : `\\mathrm{${stem.replaceAll("_", "\\_")}}`;
  return plain === "" ? letter : `${letter}_{${plain}}`;
}

function latexState(name: string): string {
  const order = /'*$/.exec(name)![0].length;
  const base = latexName(name.slice(0, name.length - order));
  if (order === 0) return base;
  return order <= 3 ? `\\${"d".repeat(order)}ot{${base}}` : `${base}^{(${order})}`;
}
