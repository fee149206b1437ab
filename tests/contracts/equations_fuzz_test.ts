/** Random equations: 20,000 of them, or GLASSBOX_FUZZ_ROUNDS, or a million under GLASSBOX_LONG=1. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { GlassboxError } from "../../src/core/errors.ts";
import { BINARY_FUNCTIONS, UNARY_FUNCTIONS } from "../../src/tasks/phase_portrait/language/graph.ts";
import {
  BOUNDS,
  compileSystem,
  copyAs,
  EquationError,
  type EquationSystem,
  parseSystem,
} from "../../src/tasks/phase_portrait/language/mod.ts";
import { wasmProgram } from "../../src/tasks/phase_portrait/language/wasm_program.ts";
import { evaluatePlainly } from "../support/equation_reference.ts";
import { EQUATION_PARAMETERS, equationText } from "../support/equation_texts.ts";
import { randomOf, type SeededRandom, seededRandom } from "../support/random.ts";

const ROUNDS = Number(
  Deno.env.get("GLASSBOX_FUZZ_ROUNDS") ?? (Deno.env.get("GLASSBOX_LONG") === "1" ? 1_000_000 : 20_000),
);

const HANG_MS = 100;

const OPERATIONS: ReadonlySet<string> = new Set([
  ...["constant", "time", "state", "parameter", "not", "and", "or", "if"],
  ...Object.keys(UNARY_FUNCTIONS),
  ...Object.keys(BINARY_FUNCTIONS),
]);

const FIXTURE = new URL("../fixtures/ode/syntax_vectors.json", import.meta.url);

Deno.test("Random equations are refused with a place or agree on both back ends, quickly and within the closed set", () => {
  const random = seededRandom("random equations");
  const seeds = seedTexts();
  const surroundings = surroundingsNow();
  let accepted = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const own = randomOf(random.int(0, 2 ** 32 - 1));
    const text = equationText(own, seeds);
    try {
      if (tryOut(text, own)) accepted++;
    } catch (error) {
      throw new Error(`Round ${round}, ${JSON.stringify(text)}`, { cause: error });
    }
  }
  console.log(`${ROUNDS} texts, ${accepted} accepted`);
  assert.ok(accepted > ROUNDS / 5, `only ${accepted} of ${ROUNDS} texts were accepted`);
  assert.deepEqual(surroundingsNow(), surroundings);
});

function seedTexts(): string[] {
  const { accept, reject } = JSON.parse(readFileSync(FIXTURE, "utf8")) as Record<string, { text?: string }[]>;
  return [...accept!, ...reject!].flatMap(({ text }) => text === undefined ? [] : [text]);
}

/** What a text that escapes could change. */
function surroundingsNow(): unknown {
  return [globalThis, Object.prototype, Array.prototype, Function.prototype, String.prototype]
    .map((object) => Reflect.ownKeys(object).map(String).sort());
}

/** Reads the text and, when it is accepted, evaluates it; true when it is. */
function tryOut(text: string, random: SeededRandom): boolean {
  const parameters = random.next() < 0.2 ? null : EQUATION_PARAMETERS;
  const system = inTime(() => parsed(text, parameters));
  if (system === null) return false;
  checkClosed(system);
  inTime(() => compare(system, random));
  if (random.next() < 0.125) pasteBack(system, random);
  return true;
}

/** What is copied as Mathematica reads as the same system. */
function pasteBack(system: EquationSystem, random: SeededRandom): void {
  const text = copyAs(system, "mathematica");
  if (text.length > BOUNDS.characters || /Indeterminate|Infinity/.test(text)) return;
  const again = parseSystem(text, { parameters: system.parameters });
  assert.deepEqual(again.states, system.states);
  const values = Float64Array.from(system.parameters, () => valueOf(random));
  const [t, y] = [valueOf(random), Float64Array.from(system.states, () => valueOf(random))];
  const [one, other] = [system, again].map((equations) => {
    const compiled = compileSystem(equations, { backEnd: "registers" });
    compiled.setParameters(values);
    const out = new Float64Array(compiled.dimension);
    compiled.rhs(t, y, out);
    return [...out];
  });
  assert.deepEqual(other, one, text);
}

/** Counted in processor time, and tried again, as the machine may be busy; work that hangs is slow each time. */
function inTime<T>(work: () => T): T {
  let least = Infinity;
  for (let attempt = 0; attempt < 3; attempt++) {
    const started = performance.now();
    const before = process.cpuUsage();
    const result = work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, performance.now() - started, (user + system) / 1000);
    if (least <= HANG_MS) return result;
  }
  assert.fail(`took ${least.toFixed(0)} ms`);
}

function parsed(text: string, parameters: readonly string[] | null): EquationSystem | null {
  try {
    return parseSystem(text, { parameters });
  } catch (error) {
    if (error instanceof EquationError) checkProblem(error, text);
    // A parameter of the request that the text makes a state is an error of the parameters.
    else assert.ok(error instanceof GlassboxError && /is a state/.test(error.message), String(error));
    return null;
  }
}

function checkProblem({ problem }: EquationError, text: string): void {
  assert.match(problem.code, /^E_[A-Z_]+$/);
  assert.ok(
    problem.pos >= 0 && problem.pos <= problem.end && problem.end <= text.length,
    JSON.stringify(problem),
  );
  assert.ok(problem.message.startsWith(`line ${problem.line}, column ${problem.column}: `), problem.message);
  assert.ok(problem.message.length < 500, problem.message);
}

function checkClosed({ graph, rightSides, states }: EquationSystem): void {
  assert.ok(graph.nodes.length <= BOUNDS.nodes && states.length <= BOUNDS.states);
  for (const { operation } of graph.nodes) assert.ok(OPERATIONS.has(operation), operation);
  for (const { name } of wasmProgram(graph, rightSides, 1)!.imports) assert.ok(OPERATIONS.has(name), name);
}

function compare(system: EquationSystem, random: SeededRandom): void {
  const [wasm, registers] = (["wasm", "registers"] as const).map((backEnd) =>
    compileSystem(system, { backEnd })
  ) as [
    ReturnType<typeof compileSystem>,
    ReturnType<typeof compileSystem>,
  ];
  const values = Float64Array.from(system.parameters, () => valueOf(random));
  wasm.setParameters(values);
  registers.setParameters(values);
  const n = system.states.length;
  const t = valueOf(random);
  const y = Float64Array.from({ length: n }, () => valueOf(random));
  const plain = evaluatePlainly(system.graph, system.rightSides, t, y, values);
  const first = new Float64Array(n);
  wasm.rhs(t, y, first);
  assert.deepEqual([...first], plain);
  for (const [method, length] of [["rhs", n], ["jacobian", n * n], ["timeDerivative", n]] as const) {
    // The derivatives of one round in eight, as compiling them takes most of the time.
    if (method !== "rhs" && random.next() > 0.125) continue;
    const [one, other] = [wasm.allocate(length), new Float64Array(length)];
    wasm[method](t, y, one);
    registers[method](t, y, other);
    one.forEach((value, index) => {
      assert.ok(Object.is(value, other[index]), `${method}[${index}]: ${value} and ${other[index]}`);
    });
  }
}

function valueOf(random: SeededRandom): number {
  const choice = random.next();
  if (choice < 0.08) return random.pick([0, -0, 1, -1, 1e308, -1e308, 5e-324, NaN, Infinity]);
  return (random.next() - 0.5) * (choice < 0.9 ? 6 : 1e3);
}
