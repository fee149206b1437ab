/** `deno task compile`: makes the binary, and says what it made. */
import { chmod, copyFile, mkdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Bundle, bundleProgram, type Engine } from "./bundle.ts";
import { compileWithBun } from "./compile_bun.ts";
import { compileWithDeno } from "./compile_deno.ts";
import { EXIT, ROOT, runScript, say, ScriptError } from "./compile_steps.ts";
import { findNativeParts, findTarget, type NativeParts, type Target } from "./compile_targets.ts";

const HELP = `deno task compile [--engine deno|bun] [--target TRIPLE] [--outfile dist/glassbox]

Makes one executable file out of the program, its assets and the libSQL library.

  --engine deno|bun   deno compile, or bun build --compile. With none named deno is tried first, and bun takes
                      over, saying so, where Deno's base binary cannot be fetched.
  --target TRIPLE     x86_64-unknown-linux-gnu, aarch64-unknown-linux-gnu, x86_64-apple-darwin or
                      aarch64-apple-darwin; this machine's own when left out.
  --outfile FILE      Where the executable goes; dist/glassbox in the project when left out.
  --main FILE         Another entry module, for tests of this script.

Exit: 0 made, 64 wrong arguments, 66 no such entry, 69 a part cannot be had here, 70 the compiler failed.`;

interface Options {
  readonly engine: Engine | null;
  readonly target: Target;
  readonly outfile: string;
  readonly main: string;
}

await runScript(async () => {
  const options = parseOptions(Deno.args);
  if (options === null) return console.log(HELP);
  const startedMs = performance.now();
  const parts = await findNativeParts(options.target);
  const bundle = await makeBundle(options, parts);
  await mkdir(dirname(options.outfile), { recursive: true });
  const engine = await compile(options, bundle, parts);
  await chmod(options.outfile, 0o755);
  await report(options, bundle, engine, performance.now() - startedMs);
});

function parseOptions(args: string[]): Options | null {
  const { values } = parsed(args);
  if (values.help) return null;
  if (values.engine !== undefined && values.engine !== "deno" && values.engine !== "bun") {
    throw new ScriptError(
      EXIT.usage,
      `--engine must be "deno" or "bun": current value is "${values.engine}"`,
    );
  }
  return {
    engine: values.engine ?? null,
    target: findTarget(values.target),
    outfile: resolve(ROOT, values.outfile ?? "dist/glassbox"),
    main: resolve(ROOT, values.main ?? "main.ts"),
  };
}

function parsed(args: string[]) {
  const text = { type: "string" } as const;
  const options = {
    engine: text,
    target: text,
    outfile: text,
    main: text,
    help: { type: "boolean" },
  } as const;
  try {
    return parseArgs({ args, options });
  } catch (error) {
    throw new ScriptError(EXIT.usage, `${(error as Error).message}\n\n${HELP}`);
  }
}

/** The parts lie beside the binary, so that what went into it can be looked at. */
async function makeBundle(options: Options, parts: NativeParts): Promise<Bundle> {
  await stat(options.main).catch(() => {
    throw new ScriptError(EXIT.noInput, `Cannot compile ${options.main}: there is no such file`);
  });
  const directory = join(dirname(options.outfile), "bundle");
  await mkdir(directory, { recursive: true });
  const bundle = await bundleProgram(options.main, directory);
  await copyFile(parts.addon, bundle.addon);
  return bundle;
}

/** Compiles with the engine named, or with the first that can be had, and says which it was. */
async function compile(options: Options, bundle: Bundle, parts: NativeParts): Promise<Engine> {
  if (options.engine !== "bun") {
    const result = await compileWithDeno(bundle, options.target, options.outfile);
    if ("made" in result) return "deno";
    const why =
      `Cannot use deno compile as its base binary (denort ${Deno.version.deno}) is missing: ${result.missing}`;
    if (options.engine === "deno") {
      throw new ScriptError(
        EXIT.unavailable,
        `${why}. Name its file in DENORT_BIN, or compile with "--engine bun"`,
      );
    }
    say(`${why}. Compiling with bun ${parts.bunVersion} instead.`);
  }
  await compileWithBun(bundle, options.target, parts, options.outfile);
  return "bun";
}

async function report(options: Options, bundle: Bundle, engine: Engine, tookMs: number): Promise<void> {
  const { size } = await stat(options.outfile);
  const version = engine === "deno" ? Deno.version.deno : (await findNativeParts(findTarget())).bunVersion;
  const facts = [
    options.outfile.startsWith(ROOT) ? options.outfile.slice(ROOT.length) : options.outfile,
    `${(size / 1e6).toFixed(1)} MB (program ${(bundle.programBytes / 1e6).toFixed(2)} MB)`,
    `${engine} ${version}`,
    options.target.triple,
    `${(tookMs / 1000).toFixed(1)} s`,
  ];
  console.log(facts.join(" · "));
}
