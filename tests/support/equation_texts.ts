/** Random texts of equations: well-formed ones, damaged ones, and noise. */
import type { SeededRandom } from "./random.ts";

const NAMES = ["x", "y", "z", "θ", "x1", "I", "S"];
const PARAMETERS = ["a", "b", "mu", "K"];
const CALLS =
  "Sin Cos Tan Cot Sec Csc ArcSin ArcCos ArcTan Sinh Cosh Tanh ArcSinh ArcCosh ArcTanh Exp Sqrt CubeRoot " +
  "Abs Sign Floor Ceiling Log Log10 Log2 UnitStep HeavisideTheta sin cos exp ln sqrt abs";
const COMPARISONS = ["<", "<=", ">", ">=", "==", "!=", "≤", "≥"];
const CONSTANTS = ["Pi", "E", "Degree", "GoldenRatio", "EulerGamma"];
const PIECES =
  "x' x'' [t] (t) == = != <= >= < > && || ! + - * / ^ ** % // , ; ( ) [ ] { } (* *) 0 1 2.5 .5 1e-3 1e999 1. 0x1 " +
  "t x y a I Pi E True False Sin Cos If Which Piecewise Boole Clip D Derivative [1] [x] Sin[x] {t,2} \\[Alpha] ’ − ² ≤ é _ __ " +
  "constructor __proto__ toString hasOwnProperty prototype this eval import " +
  "` \" ' . : @ # $ & | ~ ? \\ \u200b \u0430";
const BREAKS = ["\n", " ", "\t", "\r\n", "\u2028"];

/** What the texts may use as parameters. */
export const EQUATION_PARAMETERS: readonly string[] = PARAMETERS;

/** A text: about half are well-formed, and the others are made from them, from `seeds`, or from pieces. */
export function equationText(random: SeededRandom, seeds: readonly string[]): string {
  const choice = random.next();
  if (choice < 0.5) return system(random);
  if (choice < 0.7) return mutated(random, system(random));
  if (choice < 0.9) return mutated(random, random.pick(seeds));
  return noise(random);
}

function system(random: SeededRandom): string {
  const names = [...NAMES].sort(() => random.next() - 0.5).slice(0, random.int(1, 4));
  const write = new Writer(random, names);
  const order = names.map(() => random.next() < 0.2 ? 2 : 1);
  const lefts = names.map((name, index) =>
    `${name}${"'".repeat(order[index]!)}${random.pick(["[t]", "[t]", "(t)", ""])}`
  );
  const rights = names.map(() => write.value(random.int(0, 6)));
  if (random.next() < 0.25) return `{${lefts.join(", ")}} == {${rights.join(", ")}}`;
  const equations = lefts.map((left, index) =>
    random.next() < 0.15
      ? `${write.value(1)} + ${write.value(1)} ${left} == ${rights[index]}`
      : `${left} == ${rights[index]}`
  );
  if (random.next() < 0.2) equations.push(`${names[0]}[0] == ${random.pick(["1", "-2.5", "a", "Pi/2"])}`);
  if (random.next() < 0.3) return `{${equations.join(", ")}}`;
  return equations.join(random.pick([", ", "; ", " && ", "\n"]));
}

class Writer {
  readonly #random: SeededRandom;
  readonly #names: readonly string[];

  constructor(random: SeededRandom, names: readonly string[]) {
    this.#random = random;
    this.#names = names;
  }

  value(depth: number): string {
    const { next, pick, int } = this.#random;
    if (depth <= 0) return this.#leaf();
    const part = () => this.value(depth - int(1, 3));
    const ways: (() => string)[] = [
      () => `${part()} ${pick(["+", "-", "*", "/", "%", ""])} ${part()}`,
      () => `${part()} ${pick(["+", "-", "*"])} ${part()} ${pick(["+", "-"])} ${part()}`,
      () => `(${part()})${pick(["^2", "^3", "^-1", "^0.5", "²", "^(1/3)", "**2", ""])}`,
      () => `${this.#leaf()}^${pick(["2", "3", "-1", "0.5", "x", "1.5", "-2"])}`,
      () => `${pick(["-", "+", "--"])}${part()}`,
      () => `${pick(CALLS.split(" "))}${this.#brackets(part())}`,
      () => `${pick(["Min", "Max"])}[${part()}, ${part()}]`,
      () => `${pick(["Mod", "Power", "ArcTan", "Log"])}[${part()}, ${part()}]`,
      () => `Clip[${part()}${pick(["", ", {-1, 2}"])}]`,
      () => `If[${this.condition(depth - 1)}, ${part()}, ${part()}]`,
      () => `Which[${this.condition(depth - 1)}, ${part()}, ${pick(["True", "x > 0"])}, ${part()}]`,
      () => `Piecewise[{{${part()}, ${this.condition(depth - 1)}}}${pick(["", ", 1"])}]`,
      () => `Boole[${this.condition(depth - 1)}]`,
    ];
    return next() < 0.1 ? this.#leaf() : pick(ways)();
  }

  condition(depth: number): string {
    const { next, pick } = this.#random;
    if (depth <= 0 || next() < 0.6) {
      return `${this.value(depth - 2)} ${pick(COMPARISONS)} ${this.value(depth - 2)}`;
    }
    const part = () => this.condition(depth - 1);
    return pick([
      () => `(${part()} && ${part()})`,
      () => `(${part()} || ${part()})`,
      () => `!(${part()})`,
      () => "True",
    ])();
  }

  #brackets(inner: string): string {
    return this.#random.next() < 0.5 ? `[${inner}]` : `(${inner})`;
  }

  #leaf(): string {
    const { next, pick } = this.#random;
    const choice = next();
    if (choice < 0.5) return `${pick(this.#names)}${pick(["[t]", "[t]", "", "(t)"])}`;
    if (choice < 0.65) return pick(PARAMETERS);
    if (choice < 0.72) return "t";
    if (choice < 0.77) return pick(CONSTANTS);
    return pick(["0", "1", "2", "0.5", "3.25", "1e-3", "10", "1e300"]);
  }
}

function mutated(random: SeededRandom, text: string): string {
  let result = text;
  for (let count = random.int(1, 4); count > 0; count--) {
    const at = random.int(0, result.length);
    const length = random.int(0, 4);
    const piece = result.slice(random.int(0, result.length)).slice(0, random.int(1, 20));
    result = random.pick([
      () => result.slice(0, at) + result.slice(at + length),
      () => result.slice(0, at) + random.pick(PIECES.split(" ")) + result.slice(at),
      () => result.slice(0, at) + random.pick(BREAKS) + result.slice(at),
      () => result.slice(0, at) + piece + result.slice(at),
      () => result.slice(0, at) + String.fromCharCode(random.int(1, 0x2fff)) + result.slice(at + 1),
      () => result.slice(0, at) + piece.repeat(random.int(2, 30)) + result.slice(at),
    ])();
  }
  return result;
}

function noise(random: SeededRandom): string {
  const pieces = PIECES.split(" ");
  const count = random.int(0, 60);
  return Array.from({ length: count }, () => random.pick(pieces) + random.pick(["", "", " ", "\n"])).join("");
}
