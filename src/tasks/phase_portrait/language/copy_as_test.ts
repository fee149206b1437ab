import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { compileSystem, copyAs, type EquationSystem, parseSystem } from "./mod.ts";

const TEXTS = [
  "x''[t] + a x'[t] + x[t]^3 == b Cos[w t]",
  "{x'[t], y'[t]} == {y, a*(1-x^2)*y - x}",
  "x' == If[x > 0 && !(y < 1 || t == 2), -(x + y)^2, 2^-x/(y - (a - b))], y' == ArcTan[x, y] - -3 x",
  "x' == Mod[-x, 3] + Min[x, y, a] - Max[x, -y] + UnitStep[x] + (y > 0), y' == Log[3, 2 + x^2] + 1*^-9 x/(y z), z' == E^x + Pi",
  "x' == -(x y) - -(a)^2 + (x^y)^2 + (-x)^2 + x^2^a, y' == Sqrt[x^2] + CubeRoot[x] + ArcSinh[x] + Abs[y] + Sign[x]",
  "θ'' == -Sin[θ], x₁' == θ x₁, lambda' == -lambda, x₁[0] == 1",
];

for (const text of TEXTS.slice(0, 5)) {
  Deno.test(`copyAs() mathematica can be pasted back: ${text}`, () => {
    const system = parseSystem(text);
    const again = parseSystem(copyAs(system, "mathematica"), { parameters: system.parameters });
    assert.deepEqual(again.states, system.states);
    assert.deepEqual(valuesOf(again), valuesOf(system));
  });
}

Deno.test("copyAs() python computes the same", () => {
  const systems = TEXTS.map((text) => parseSystem(text));
  const numpy =
    "import sys,types,math\nnp=types.SimpleNamespace(sin=math.sin,cos=math.cos,sqrt=math.sqrt,pi=math.pi,e=math.e," +
    "exp=math.exp,log=math.log,arctan2=math.atan2,abs=abs,cbrt=lambda x:math.copysign(abs(x)**(1/3),x)," +
    "arcsinh=math.asinh,sign=lambda x:(x>0)-(x<0),mod=lambda a,b:a%b)\nsys.modules['numpy']=np\n";
  const programs = systems.map((system) => {
    const y = system.states.map((_, index) => valueAt(index));
    return `${
      copyAs(system, "python", system.parameters.map((_, index) => valueAt(index + 5)))
    }\nprint(f(0.7, ${JSON.stringify(y)}))\n`;
  });
  const { stdout, stderr } = spawnSync("python3", ["-c", numpy + programs.join("")], { encoding: "utf8" });
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line) as number[]);
  assert.equal(lines.length, systems.length, stderr);
  systems.forEach((system, number) => {
    valuesOf(system).forEach((value, index) => {
      const other = lines[number]![index]!;
      assert.ok(
        Math.abs(value - other) <= 1e-12 * (1 + Math.abs(value)),
        `${system.text}: ${value} and ${other}`,
      );
    });
  });
});

Deno.test("copyAs() julia and latex write the whole system", () => {
  const system = parseSystem("x'' == -k x/m, θ1' == If[x > 0, x^2, -1]", { parameters: ["k", "m"] });
  assert.equal(
    copyAs(system, "julia", [4, 0.5]),
    `p = (; k = 4, m = 0.5)

function f!(dy, y, p, t)
    x, x_t, θ1 = y
    (; k, m) = p
    dy[1] = x_t
    dy[2] = -k*x/m
    dy[3] = (0 < x ? x^2 : -1)
    return nothing
end
`,
  );
  assert.equal(
    copyAs(system, "latex"),
    `\\begin{aligned}
\\ddot{x} &= \\frac{-k x}{m} \\\\
\\dot{\\theta_{1}} &= \\begin{cases} {x}^{2} & 0 < x \\\\ -1 & \\text{otherwise} \\end{cases}
\\end{aligned}`,
  );
});

function valuesOf(system: EquationSystem): number[] {
  const compiled = compileSystem(system);
  const out = new Float64Array(compiled.dimension);
  compiled.setParameters(Float64Array.from(system.parameters, (_, index) => valueAt(index + 5)));
  compiled.rhs(0.7, Float64Array.from(system.states, (_, index) => valueAt(index)), out);
  return [...out];
}

function valueAt(index: number): number {
  return [1.3, 0.4, -0.7, 2.1, 0.9, 0.6, 1.7, 1.1][index]!;
}
