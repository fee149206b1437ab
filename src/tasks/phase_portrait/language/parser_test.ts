import assert from "node:assert/strict";
import { compileSystem, EquationError, parseSystem, unwrapSolve } from "./mod.ts";

/** The right sides at x = 3, y = 5, t = 2 and parameters a = 7, e = 11. */
function valuesOf(text: string, parameters: readonly string[] = ["a", "e"]): number[] {
  const equations = parseSystem(text, { parameters });
  const system = compileSystem(equations);
  const out = new Float64Array(system.dimension);
  system.setParameters(Float64Array.from(parameters, (name) => name === "a" ? 7 : 11));
  system.rhs(2, Float64Array.from(system.states, (_, index) => [3, 5][index] ?? 1), out);
  return [...out];
}

function faultOf(text: string, parameters: readonly string[] | null = ["a"]) {
  try {
    parseSystem(text, { parameters });
  } catch (error) {
    assert.ok(error instanceof EquationError, String(error));
    return [error.problem.code, error.problem.pos, text.slice(error.problem.pos, error.problem.end)];
  }
  assert.fail(`${text} was accepted`);
}

const VALUES: readonly (readonly [string, readonly number[]])[] = [
  ["x' == 2e + 2E - 2 E", [22]],
  ["x' == 1e-3*1000", [1]],
  ["x' == 1.5`20*^2 + 1`3*^-1", [150.1]],
  ["x' == a(x+1)(x-1)", [56]],
  ["x' == (a+1)*(x-1)", [16]],
  ["x' == x(t) a", [21]],
  ["x' == x(1 - x)", [-6]],
  ["x' == t(x)", [6]],
  ["x' == 2^-x^2", [2 ** -9]],
  ["x' == -2^2 x²", [-36]],
  ["x' == (x > 2 && !(x > 4)) 10", [10]],
  ["x' == Boole[1 < x < 4] + Boole[1 < x < 3]", [1]],
  ["x' == 1 +\n 2", [3]],
  ["x' == y\n- 1\ny' == (x\n 2)", [4, 6]],
  ["{x' == y\n,\ny' == 1}", [5, 1]],
  ["x' == 1;\ny' == 2;\n", [1, 2]],
  ["dx/dt == 2x, d²y/dt² == x", [6, 1, 3]],
  ["d^2x/dt^2 == -x", [5, -3]],
  ["D(x, t) == 1 && Derivative[1][y][t] == 2", [1, 2]],
  ["x' == 5`20 + 1.5``3", [6.5]],
  ["x' == If[x ≥ 3 ∧ y ≠ 1, 1, 2], y' == 1", [1, 1]],
  ["E' == E", [3]],
  ["x' == π/Pi + \\[Pi]/Pi", [2]],
  ["x' == Which[x > 5, 1, x > 2, 2, True, 3] + Piecewise[{{1, x > 5}}]", [2]],
  ["x' == Clip[x] + Clip[x, {0, 2}]", [3]],
  ["x' == Mod[-7, 3] + (-7 % 3) + Mod[7, -3]", [2 + 2 - 2]],
  ["{x'} == x", [3]],
];

for (const [text, wanted] of VALUES) {
  Deno.test(`parseSystem() reads ${JSON.stringify(text)}`, () => {
    const values = valuesOf(text);
    assert.equal(values.length, wanted.length);
    values.forEach((value, index) => assert.ok(Math.abs(value - wanted[index]!) < 1e-12, `${values}`));
  });
}

const FAULTS: readonly (readonly [string, string, number, string])[] = [
  ["x' == 1 # 2 (", "E_CHAR", 8, "#"],
  ["t' == 1, x' == * 2", "E_EXPECTED", 15, "*"],
  ["x' == (1 + * 2", "E_BRACKET", 6, "("],
  ["x' == 2 + * 3 + q", "E_EXPECTED", 10, "*"],
  ["{x' == y\n y' == 1}", "E_EXPECTED", 10, "y"],
  ["x' == {1", "E_BRACKET", 6, "{"],
  ["x' == Sin[{1, 2}]", "E_TYPE", 10, "{1, 2}"],
  ["x' == If[x, 1, 2]", "E_TYPE", 9, "x"],
  ["x' == Piecewise[{{1}}]", "E_TYPE", 17, "{1}"],
  ["x' == x(t - 1)", "E_DELAY", 8, "t"],
  ["x' == 1, x[0] == 1, x[0] == 2", "E_DUPLICATE", 20, "x[0]"],
  ["x' == 1, x[0] == 1, x'[0] == 2", "E_IC_PLACE", 20, "x'[0]"],
  ["x' == 1, x[0] + 1 == 2", "E_IC_PLACE", 9, "x[0]"],
  ["x' == 1, 1 == x[0]", "E_IC_PLACE", 14, "x[0]"],
  ["x'' == 1, x[0] == 1, x'[1] == 2", "E_IC_VALUE", 21, "x'[1]"],
  ["x' == 1, x[0] == t", "E_IC_VALUE", 17, "t"],
  ["x' - x' == 1", "E_NOT_AFFINE", 0, "x'"],
  ["x' == If[x' > 0, 1, 2]", "E_NOT_AFFINE", 0, "x'"],
  ["x' == 1, x + 1 == 2", "E_LHS", 9, "x + 1"],
  ["x[0] == 1", "E_NO_EQUATION", 0, "x[0] == 1"],
  ["x' == a[t]", "E_NO_EQUATION", 6, "a[t]"],
  ["x' == constructor", "E_UNKNOWN_NAME", 6, "constructor"],
  ["x' == toString[x]", "E_UNKNOWN_FUNCTION", 6, "toString"],
  ["x' == sin", "E_FUNC_ARGS", 6, "sin"],
  ["x' == 1\u200b", "E_CHAR", 7, "\u200b"],
  ["x' == х", "E_UNKNOWN_NAME", 6, "х"],
  ["x'[2 t] == 1", "E_DELAY", 3, "2"],
  ["x' == 1 ->2", "E_EXPECTED", 9, ">"],
  [`x' == ${"-".repeat(300)}1`, "E_DEPTH", 206, "-"],
  [`x' == 1${"^2".repeat(300)}`, "E_DEPTH", 407, "^"],
  [`${"a".repeat(65)}' == 1`, "E_LIMIT", 0, "a".repeat(65)],
  [`x' == ${"1+".repeat(9000)}1`, "E_LIMIT", 16384, `${"1+".repeat(9000)}1`.slice(16384 - 6)],
  [`x${"'".repeat(65)} == 1`, "E_LIMIT", 0, `x${"'".repeat(65)} == 1`],
];

for (const [text, code, pos, source] of FAULTS) {
  Deno.test(`parseSystem() refuses ${JSON.stringify(text.slice(0, 40))} with ${code}`, () => {
    assert.deepEqual(faultOf(text), [code, pos, source]);
  });
}

Deno.test("parseSystem() says line, column and what may have been meant", () => {
  assert.throws(() => parseSystem("x' == 1\ny' == 2 Sine[x]", { parameters: [] }), (error) => {
    assert.ok(error instanceof EquationError);
    const { message, line, column, hint } = error.problem;
    assert.equal(message, 'line 2, column 9: unknown function "Sine"; did you mean Sin?');
    assert.deepEqual([line, column, hint], [2, 9, "did you mean Sin?"]);
    assert.equal(error.fields[0]!.field, "equations");
    return true;
  });
});

Deno.test("parseSystem() names letters of another script that look the same", () => {
  assert.throws(() => parseSystem("x' == \u0445", { parameters: [] }), /it has Cyrillic letters, x in Latin/);
});

Deno.test("parseSystem() without parameters makes unknown names parameters, with a warning for each", () => {
  const { parameters, warnings } = parseSystem("x' == a x - b x^2 + a");
  assert.deepEqual(parameters, ["a", "b"]);
  assert.deepEqual(warnings.map(({ code, pos }) => [code, pos]), [["W_UNBOUND_ZERO", 6], [
    "W_UNBOUND_ZERO",
    12,
  ]]);
});

Deno.test("parseSystem() lets parameters win over constants and lower-case functions, and refuses other clashes", () => {
  assert.deepEqual(valuesOf("x' == I + sin(2) + E", ["I", "sin", "E"]), [11 + 22 + 11]);
  for (
    const [name, fault] of [["x", "is a state"], ["t", "is the independent variable"], [
      "Sin",
      "is the name of a function",
    ]]
  ) {
    assert.throws(() => parseSystem("x' == 1", { parameters: [name!] }), new RegExp(`"${name}" ${fault}`));
  }
});

Deno.test("parseSystem() takes as many states, parameters and brackets as it says, and no more", () => {
  const states = (count: number) => Array.from({ length: count }, (_, index) => `x${index}' == 1`).join(", ");
  const unknown = (count: number) =>
    `x' == ${Array.from({ length: count }, (_, index) => `q${index}`).join(" + ")}`;
  const nested = (count: number) => `x' == ${"(".repeat(count)}1${")".repeat(count)}`;
  assert.equal(parseSystem(states(64)).states.length, 64);
  assert.equal(faultOf(states(65))[0], "E_LIMIT");
  assert.equal(parseSystem(unknown(256)).parameters.length, 256);
  assert.equal(faultOf(unknown(257), null)[0], "E_LIMIT");
  assert.equal(parseSystem(nested(200)).states.length, 1);
  assert.equal(faultOf(nested(201))[0], "E_DEPTH");
  const given = Array.from({ length: 257 }, (_, index) => `q${index}`);
  assert.throws(() => parseSystem("x' == 1", { parameters: given }), /257 parameters are too many/);
});

Deno.test("parseSystem() takes another independent variable", () => {
  const system = compileSystem(parseSystem("x'[s] == s + t", { independent: "s", parameters: ["t"] }));
  const out = new Float64Array(1);
  system.setParameters(Float64Array.of(10));
  system.rhs(3, Float64Array.of(0), out);
  assert.deepEqual([...out], [13]);
});

Deno.test("parseSystem() refuses an independent variable that is no free name", () => {
  for (const independent of ["2", "", "a b", "Sin", "sin", "Pi", "True", "__t", "t'", "\u0301"]) {
    assert.throws(
      () => parseSystem("x' == 1", { independent }),
      /Cannot use the independent variable: it must be/,
    );
  }
  assert.deepEqual(parseSystem("τ_1'[s] == s", { independent: "s" }).states, ["τ_1"]);
});

Deno.test("unwrapSolve() takes a pasted NDSolve apart", () => {
  const text =
    "sol = NDSolve[{x'[t] == -y[t], y'[t] == x[t], x[0] == 1}, {x[t], y[t]}, {t, 0, 2 Pi}, MaxSteps -> 10];";
  assert.deepEqual(unwrapSolve(text), {
    equations: "{x'[t] == -y[t], y'[t] == x[t], x[0] == 1}",
    variables: ["x", "y"],
    independent: "t",
    span: ["0", "2 Pi"],
  });
  assert.equal(unwrapSolve("x'[t] == 1"), null);
  assert.equal(unwrapSolve("NDSolve[{x'[t] == 1"), null);
});
