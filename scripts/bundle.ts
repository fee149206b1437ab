/**
 * One ESM bundle of the whole program for both engines. What differs between them stands in a few lines of entry
 * beside it, so that a binary of either engine runs the same bytes.
 */
import { stat, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import * as esbuild from "esbuild";
import {
  lazyBuiltins,
  lazyLibsql,
  lessOfZod,
  noOptionalAddons,
  webApisOfTheEngine,
} from "./bundle_plugins.ts";
import { packedCode } from "./bundle_packed.ts";
import { PackedTexts, smallSource } from "./bundle_size.ts";
import { EXIT, ScriptError } from "./compile_steps.ts";

export type Engine = "deno" | "bun";

/** Where the parts of a build lie. The entries expect `libsql.node` and `texts.br` beside them. */
export interface Bundle {
  readonly program: string;
  readonly programBytes: number;
  readonly entries: Readonly<Record<Engine, string>>;
  readonly addon: string;
  /** What generated modules hold, compressed. */
  readonly texts: string;
}

/** Bundles `main` into `directory`, which must exist. The caller puts the addon at `Bundle.addon`. */
export async function bundleProgram(main: string, directory: string): Promise<Bundle> {
  const program = join(directory, "glassbox.mjs");
  const texts = new PackedTexts();
  const metafile = await buildOnce({
    entryPoints: [main],
    outfile: program,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "es2024",
    // The UMD builds that some packages name as "main" hide their imports from a bundler.
    mainFields: ["module", "main"],
    external: ["bun:*"],
    // The entry imports the program, so the program is never the main module by itself.
    define: { "import.meta.main": "true" },
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module";\n' +
        "const require = __createRequire(import.meta.url);",
    },
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    plugins: [
      lazyLibsql,
      lazyBuiltins,
      webApisOfTheEngine,
      noOptionalAddons,
      lessOfZod,
      texts.plugin,
      packedCode({ pack: (text) => texts.add(text), small: smallSource }),
      smallSource,
    ],
  });
  refuseOutsideImports(metafile);
  const entries = { deno: join(directory, "deno.mjs"), bun: join(directory, "bun.mjs") };
  for (const engine of ["deno", "bun"] as const) await writeFile(entries[engine], entryOf(engine));
  const packed = join(directory, "texts.br");
  await writeFile(packed, texts.bytes());
  const { size } = await stat(program);
  return { program, programBytes: size, entries, addon: join(directory, "libsql.node"), texts: packed };
}

async function buildOnce(options: esbuild.BuildOptions): Promise<esbuild.Metafile> {
  try {
    const { metafile } = await esbuild.build({ ...options, metafile: true, logLevel: "silent" });
    return metafile;
  } catch (error) {
    throw new ScriptError(EXIT.software, `Cannot bundle the program: ${(error as Error).message}`);
  } finally {
    await esbuild.stop();
  }
}

/** Static imports of the program would run it before the lines above them. */
function entryOf(engine: Engine): string {
  return `${engine === "deno" ? OF_DENO : OF_BUN}globalThis.__glassboxBinary = {
  engine: "${engine}",
  loadAddon: () => require("./libsql.node"),
  unpack(from, to) {
    const bytes = require("node:fs").readFileSync(texts).subarray(from, to);
    return JSON.parse(require("node:zlib").brotliDecompressSync(bytes).toString());
  },
};
${engine === "bun" ? USUAL_JIT : ""}await import("./glassbox.mjs");
`;
}

const OF_DENO = `import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const texts = new URL("./texts.br", import.meta.url);
`;

const OF_BUN = `import { createRequire } from "node:module";
import texts from "./texts.br" with { type: "file" };
`;

/** The binary starts with a JIT that hardly ever compiles, as most starts are over before that would have paid. */
const USUAL_JIT = `if (process.argv[2] === "dispatch") Bun.unsafe.setJITPolicy(1);
else setTimeout(() => Bun.unsafe.setJITPolicy(1), 250).unref();
`;

/** Everything but the engines' own modules must be inside the bundle: a binary has no node_modules to look into. */
function refuseOutsideImports(metafile: esbuild.Metafile): void {
  const outside = Object.values(metafile.outputs)
    .flatMap((output) => output.imports)
    .filter((one) => one.external && !isBuiltin(one.path) && !one.path.startsWith("bun:"))
    .map((one) => one.path);
  if (outside.length === 0) return;
  throw new ScriptError(
    EXIT.software,
    `Cannot bundle: these imports stay outside the binary: ${outside.join(", ")}`,
  );
}
