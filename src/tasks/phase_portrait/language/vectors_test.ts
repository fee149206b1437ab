import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type BackEndName, compileSystem, EquationError, parseSystem } from "./mod.ts";

interface Accepted {
  readonly text: string;
  readonly states: readonly string[];
  readonly rhs: readonly number[];
  readonly warnings?: readonly string[];
  readonly initial_values?: readonly string[];
}

interface Rejected {
  readonly text?: string;
  readonly make?: string;
  readonly code: string;
  readonly pos: number;
}

const FIXTURE = new URL("../../../../tests/fixtures/ode/syntax_vectors.json", import.meta.url);

const VECTORS = JSON.parse(readFileSync(FIXTURE, "utf8")) as {
  environment: { t: number; y: Record<string, number>; p: Record<string, number> };
  accept: Accepted[];
  reject: Rejected[];
};

const { t, y, p } = VECTORS.environment;

Deno.test("The vectors are all there", () => {
  assert.equal(VECTORS.accept.length, 56);
  assert.equal(VECTORS.reject.length, 51);
});

for (const [number, vector] of VECTORS.accept.entries()) {
  Deno.test(`parseSystem() accepts vector ${number + 1}: ${JSON.stringify(vector.text)}`, () => {
    const system = parseSystem(vector.text, { parameters: Object.keys(p) });
    assert.deepEqual(system.states, vector.states);
    assert.deepEqual(system.warnings.map(({ code }) => code), vector.warnings ?? []);
    const given = system.states.filter((_, index) => system.initialValues[index] !== null);
    assert.deepEqual(given, vector.initial_values ?? []);
    for (const backEnd of ["wasm", "registers"] as const) {
      const values = valuesOf(system, backEnd);
      system.leading.forEach((state, index) => {
        const wanted = vector.rhs[index]!;
        const error = Math.abs(values[state]! - wanted);
        assert.ok(error <= 1e-12 * Math.abs(wanted), `${backEnd}: ${values[state]} instead of ${wanted}`);
      });
      assert.equal(system.leading.length, vector.rhs.length);
    }
  });
}

function valuesOf(system: ReturnType<typeof parseSystem>, backEnd: BackEndName): Float64Array {
  const compiled = compileSystem(system, { backEnd });
  compiled.setParameters(Float64Array.from(system.parameters, (name) => p[name]!));
  const out = compiled.allocate(compiled.dimension);
  compiled.rhs(t, Float64Array.from(system.states, (name) => y[name]!), out);
  return out;
}

for (const [number, { text, make, code, pos }] of VECTORS.reject.entries()) {
  const rejected = text ?? `x'[t] == ${"(".repeat(300)}1${")".repeat(300)}`;
  Deno.test(`parseSystem() rejects vector ${number + 1}: ${make ?? JSON.stringify(text)}`, () => {
    const problem = problemOf(rejected, Object.keys(p));
    assert.deepEqual({ code: problem.code, pos: problem.pos }, { code, pos });
    assert.equal(problem.line, 1);
    assert.equal(problem.column, pos + 1);
    assert.ok(problem.end >= problem.pos && problem.end <= rejected.length);
    assert.ok(problem.message.startsWith(`line 1, column ${pos + 1}: `), problem.message);
  });
}

function problemOf(text: string, parameters: readonly string[]) {
  try {
    parseSystem(text, { parameters });
  } catch (error) {
    assert.ok(error instanceof EquationError, String(error));
    return error.problem;
  }
  assert.fail(`${text} was accepted`);
}
