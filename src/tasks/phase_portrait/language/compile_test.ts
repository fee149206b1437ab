import assert from "node:assert/strict";
import { compileExpressions, compileSystem, EquationError, initialValuesOf, parseSystem } from "./mod.ts";

for (const backEnd of ["wasm", "registers"] as const) {
  const oscillator = () => {
    const system = compileSystem(parseSystem("x'' == -k x - c x' + t", { parameters: ["c", "k"] }), {
      backEnd,
    });
    system.setParameters(Float64Array.of(0.5, 4));
    return system;
  };

  Deno.test(`rhs() on ${backEnd} takes arrays of its own memory and any other`, () => {
    const system = oscillator();
    const own = () => system.allocate(2);
    const foreign = () => new Float64Array(2);
    for (
      const [y, out] of [[own(), own()], [own(), foreign()], [foreign(), own()], [
        foreign(),
        foreign(),
      ]] as const
    ) {
      y.set([3, 2]);
      system.rhs(1, y, out);
      assert.deepEqual([...out], [2, -12]);
      assert.deepEqual([...y], [3, 2]);
    }
  });

  Deno.test(`rhs() on ${backEnd} may write over the states it reads`, () => {
    const system = oscillator();
    const y = system.allocate(2);
    y.set([3, 2]);
    system.rhs(1, y, y);
    assert.deepEqual([...y], [2, -12]);
  });

  Deno.test(`setParameters() on ${backEnd} binds by order, and refuses another count`, () => {
    const system = oscillator();
    const out = new Float64Array(2);
    system.setParameters(Float64Array.of(0, 1));
    system.rhs(0, Float64Array.of(1, 1), out);
    assert.deepEqual([...out], [1, -1]);
    assert.throws(() => system.setParameters(Float64Array.of(1)), /there must be 2: there are 1/);
  });

  Deno.test(`compileExpressions() on ${backEnd} gives values and gradients over the system's parameters`, () => {
    const system = oscillator();
    const energy = compileExpressions(["x'[t]^2/2 + k x^2/2", "x''", "x - t"], system);
    const [values, gradients, byTime] = [3, 6, 3].map((length) => new Float64Array(length));
    const y = Float64Array.of(3, 2);
    energy.evaluate(1, y, values!);
    energy.gradient(1, y, gradients!);
    energy.timeDerivative(1, y, byTime!);
    assert.deepEqual([...values!], [20, -12, 2]);
    assert.deepEqual([...gradients!], [12, 2, -4, -0.5, 1, 0]);
    assert.deepEqual([...byTime!], [0, 1, -1]);
  });
}

Deno.test("allocate() on wasm shares memory until it is full, and then gives arrays that work too", () => {
  const system = compileSystem(parseSystem("x' == 2 x"), { backEnd: "wasm" });
  const first = system.allocate(1);
  const large = system.allocate(10_000_000);
  assert.equal(system.allocate(1).buffer, first.buffer);
  assert.notEqual(large.buffer, first.buffer);
  large[0] = 4;
  system.rhs(0, large.subarray(0, 1), first);
  assert.equal(first[0], 8);
});

Deno.test("compileExpressions() names the place in the expression that is at fault", () => {
  const system = compileSystem(parseSystem("x' == a x", { parameters: ["a"] }));
  assert.throws(() => compileExpressions(["x", "x + b"], system), (error) => {
    assert.ok(error instanceof EquationError);
    assert.deepEqual([error.problem.code, error.problem.pos], ["E_UNKNOWN_NAME", 4]);
    return true;
  });
});

Deno.test("initialValuesOf() evaluates what the text gives at the parameters", () => {
  const system = parseSystem("x'' == -x, y' == 1, x'[0] == 2 a, y[0] == Pi", { parameters: ["a"] });
  assert.deepEqual(initialValuesOf(system, Float64Array.of(3)), [null, 6, Math.PI]);
  assert.equal(system.initialTime, 0);
});

Deno.test("parseSystem() knows whether a system is autonomous and whether it can jump", () => {
  const flags = (text: string) => {
    const { autonomous, switching } = parseSystem(text);
    return [autonomous, switching];
  };
  assert.deepEqual(flags("x' == -x"), [true, false]);
  assert.deepEqual(flags("x' == t - x"), [false, false]);
  assert.deepEqual(flags("x' == Abs[x]"), [true, true]);
  assert.deepEqual(flags("x' == Abs[-2] x + If[True, 1, t]"), [true, false]);
});

Deno.test("What a branch shares with the rest is computed although the branch is not taken", () => {
  const text =
    "x' == If[x > 0, Exp[x] + Sin[x], If[x < -5, Sin[x], 2]] + If[x > 1, Exp[x], Sin[x]] + 0 Cos[Exp[x]]";
  for (const backEnd of ["wasm", "registers"] as const) {
    const system = compileSystem(parseSystem(text), { backEnd });
    const at = (x: number) => {
      const out = new Float64Array(1);
      system.rhs(0, Float64Array.of(x), out);
      return out[0];
    };
    assert.equal(at(2), Math.exp(2) + Math.sin(2) + Math.exp(2));
    assert.equal(at(-1), 2 + Math.sin(-1));
    assert.equal(at(-6), 2 * Math.sin(-6));
    assert.equal(at(0.5), Math.exp(0.5) + Math.sin(0.5) + Math.sin(0.5));
  }
});

Deno.test("Branches that share work compute it once, and deep chains of branches compile", () => {
  const chain = Array.from({ length: 500 }, (_, index) => `x < ${index}, Sin[x + ${index}]`).join(", ");
  let nested = "Exp[x]";
  for (let level = 0; level < 60; level++) nested = `If[x > ${level}, ${nested} + 1, 2]`;
  const text = `x' == Which[${chain}, True, 0] + ${nested}`;
  const [wasm, registers] = (["wasm", "registers"] as const).map((backEnd) => {
    const system = compileSystem(parseSystem(text), { backEnd });
    return [-1, 0.5, 7.5, 100.5, 900].map((x) => {
      const out = new Float64Array(1);
      system.rhs(0, Float64Array.of(x), out);
      return out[0];
    });
  });
  assert.deepEqual(wasm, registers);
  assert.equal(wasm![0], Math.sin(-1) + 2);
  assert.equal(wasm![4], Math.exp(900) + 60);
});

Deno.test("switches() are zero where a right side jumps or bends", () => {
  const system = compileSystem(parseSystem("x' == If[x > 2, 1, Abs[x - 3]] + Floor[x] + Min[x, 5] + Sin[x]"));
  const switches = system.switches();
  const zeros = [2, 3, 4, 5].map((x) => {
    const out = new Float64Array(switches.count);
    switches.evaluate(0, Float64Array.of(x), out);
    return out.filter((value) => Math.abs(value) < 1e-12).length;
  });
  assert.equal(switches.count, 4);
  assert.deepEqual(zeros, [2, 2, 1, 2]);
});

Deno.test("compileSystem() uses registers where a policy forbids WebAssembly", () => {
  const { Module } = WebAssembly;
  WebAssembly.Module = class {
    constructor() {
      throw new WebAssembly.CompileError("Wasm code generation disallowed by embedder");
    }
  } as unknown as typeof Module;
  try {
    const system = compileSystem(parseSystem("x' == 2 x"));
    assert.equal(system.backEnd, "registers");
    const out = system.allocate(1);
    system.rhs(0, Float64Array.of(3), out);
    assert.equal(out[0], 6);
  } finally {
    WebAssembly.Module = Module;
  }
});
