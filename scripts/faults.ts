/** `deno task test:faults`: the rigs that break things on purpose, and the proof that each of them finds what is broken. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { DeliberateFault } from "../tests/support/rig.ts";
import { EXIT, ROOT, runScript, say, ScriptError } from "./compile_steps.ts";

const HELP = `deno task test:faults [RIG...] [--long] [--seed N] [--rounds N] [--source|--binary]
deno task test:faults --deliberate [TEXT...]

Runs the rigs under tests/faults (all when none is named), as short as "deno task test" does, or long.
With --deliberate, puts each fault of tests/faults/deliberate into a copy of the sources, one after the other,
and asks that its rig fails for the reason given; TEXT picks those whose name or invariant holds it.

  --long          as long as is meant to be run by hand
  --seed N        repeats a run; a new one, printed, when left out
  --rounds N      as many rounds as this, for every rig named
  --source        through "deno run main.ts" only
  --binary        through dist/glassbox only

Exit: 0 all well, 1 a rig found something (or, with --deliberate, did not), 64 wrong arguments.`;

const RIGS = join(ROOT, "tests/faults");

await runScript(async () => {
  const { values, positionals } = parsed(Deno.args);
  if (values.help) return console.log(HELP);
  return values.deliberate ? await provokeAll(positionals) : await runRigs(values, positionals);
});

function parsed(args: string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const options = {
    long: flag,
    deliberate: flag,
    source: flag,
    binary: flag,
    help: flag,
    seed: text,
    rounds: text,
  } as const;
  try {
    return parseArgs({ args, allowPositionals: true, options });
  } catch (error) {
    throw new ScriptError(EXIT.usage, `${(error as Error).message}\n\n${HELP}`);
  }
}

/** The names of the rigs: each is a file NAME_test.ts. */
function rigNames(): string[] {
  return [...Deno.readDirSync(RIGS)].map(({ name }) => name)
    .filter((name) => name.endsWith("_test.ts"))
    .map((name) => name.slice(0, -"_test.ts".length)).sort();
}

async function runRigs(values: ReturnType<typeof parsed>["values"], wanted: string[]): Promise<number> {
  const names = rigNames();
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new ScriptError(
      EXIT.usage,
      `Cannot run rig ${unknown} as there is none of that name: ${names.join(", ")}`,
    );
  }
  const seed = values.seed ?? String(crypto.getRandomValues(new Uint32Array(1))[0]);
  say(`Seed ${seed}: to repeat this run, add --seed ${seed}`);
  const rigs = wanted.length > 0 ? wanted : names;
  const rounds = rigs.map((name) => [`GLASSBOX_${name.toUpperCase()}_ROUNDS`, values.rounds ?? ""] as const);
  const env = {
    GLASSBOX_SEED: seed,
    ...(values.long ? { GLASSBOX_LONG: "1" } : {}),
    ...(values.rounds === undefined ? {} : Object.fromEntries(rounds)),
  };
  const only = [...(values.source ? ["--source"] : []), ...(values.binary ? ["--binary"] : [])];
  const paths = rigs.map((name) => `tests/faults/${name}_test.ts`);
  const args = ["run", "-A", join(ROOT, "scripts/test.ts"), ...only, ...paths];
  return (await new Deno.Command(Deno.execPath(), { args, cwd: ROOT, env, stdin: "null" }).spawn().status)
    .code;
}

async function provokeAll(wanted: string[]): Promise<number> {
  const all = await deliberateFaults();
  const picked = all.filter(({ name, guards }) =>
    wanted.length === 0 || wanted.some((text) => `${guards} ${name}`.includes(text))
  );
  if (picked.length === 0) {
    throw new ScriptError(EXIT.usage, `No deliberate fault holds ${wanted.join(", ")}`);
  }
  let missed = 0;
  for (const fault of picked) {
    const verdict = await provoke(fault);
    if (verdict !== null) missed++;
    console.log(
      `${verdict === null ? "found " : "MISSED"}  ${fault.guards}  ${fault.name}  (${fault.rig})${
        verdict === null ? "" : `\n${verdict}`
      }`,
    );
  }
  console.log(`${picked.length - missed} of ${picked.length} deliberate faults found`);
  return missed === 0 ? 0 : 1;
}

async function deliberateFaults(): Promise<DeliberateFault[]> {
  const directory = join(RIGS, "deliberate");
  const files = [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) =>
    name.endsWith(".ts")
  );
  const lists = await Promise.all(
    files.sort().map(async (name) => {
      const module = await import(`file://${join(directory, name)}`) as {
        FAULTS: readonly DeliberateFault[];
      };
      return module.FAULTS;
    }),
  );
  return lists.flat();
}

/** Null when the rig fails for the reason that the fault names, else what it said instead. */
async function provoke(fault: DeliberateFault): Promise<string | null> {
  const copy = mkdtempSync(join(tmpdir(), "glassbox-fault-"));
  try {
    copySources(copy);
    const path = join(copy, fault.file);
    const source = readFileSync(path, "utf8");
    const times = source.split(fault.find).length - 1;
    if (times !== 1) return `${fault.file} holds the text to replace ${times} times: it must be there once`;
    writeFileSync(path, source.replace(fault.find, () => fault.replace));
    const filter = fault.filter === undefined ? [] : ["--filter", fault.filter];
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", join(copy, "scripts/test.ts"), "--source", ...filter, fault.rig],
      cwd: copy,
      env: { ...fault.env, NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    return code === 1 && fault.says.test(said)
      ? null
      : `exit code ${code}, and it said:\n${said.slice(-3000)}`;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** The project without what is made from it; the packages are only linked. */
function copySources(copy: string): void {
  const left = new Set(["node_modules", "dist", ".git", ".cache"]);
  for (const { name } of Deno.readDirSync(ROOT)) {
    if (!left.has(name)) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  }
  if (existsSync(join(ROOT, "node_modules"))) {
    symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  }
}
