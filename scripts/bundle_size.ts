/** What the bundler does so that the binary stays small: what is rarely needed lies in it in few bytes. */
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import * as esbuild from "esbuild";

/** Modules that `deno task web` and the like make: what their functions give back is data. */
const GENERATED = /[\\/](assets|worker|glyphs)\.gen\.ts$/;

/** The data of generated modules, compressed one after the other; the entries of bundle.ts read from it. */
export class PackedTexts {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /**
   * As text in the program, data would lie in the binary twice, once more in the bytecode. So each function of a
   * generated module becomes one that reads its part of the packed file; constants stay as they are.
   */
  readonly plugin: esbuild.Plugin = {
    name: "packed-texts",
    setup: (build) => {
      build.onLoad({ filter: GENERATED }, async ({ path }) => ({
        contents: await this.#packed(path),
        loader: "js",
      }));
    },
  };

  /** All that was packed so far. */
  bytes(): Uint8Array {
    return Buffer.concat(this.#parts, this.#length);
  }

  async #packed(path: string): Promise<string> {
    const source = await readFile(path);
    const module = await import(`${pathToFileURL(path)}?${source.length}`);
    const lines = Object.entries(module).map(([name, value]) =>
      typeof value === "function"
        ? `export const ${name} = () => globalThis.__glassboxBinary.unpack(${this.add(value())});`
        : `export const ${name} = ${JSON.stringify(value)};`
    );
    return lines.join("\n");
  }

  /** Compresses a value and gives the arguments that unpack it. */
  add(value: unknown): string {
    const text = Buffer.from(JSON.stringify(value));
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 };
    const part = brotliCompressSync(text, { params });
    const from = this.#length;
    this.#parts.push(part);
    this.#length += part.length;
    return `${from}, ${this.#length}`;
  }
}

/** No function this deep inside others is compiled ahead of time: `--bytecode-depth` of compile_bun.ts. */
export const BYTECODE_DEPTH = 5;

/** Rarely used, and no start imports them: what they do takes far longer than making their bytecode. */
const RARE =
  /[\\/]src[\\/](kbase[\\/](clients|harness|validate)|tasks[\\/]genome_dashboard(?=[\\/](?!task\.ts)))[\\/]|[\\/]yaml[\\/]dist[\\/]/;

/** They have other plugins of their own. */
const NOT_OURS = /[\\/]libsql[\\/](index|promise)\.js$|[\\/]zod[\\/]v4[\\/]classic[\\/]external\.js$/;

/**
 * Makes the source small file by file, as within a file the names of its own functions stay, and a stack says where
 * it went; over the whole bundle they would be lost. Bytecode is several times the size of its source, so modules
 * that are rarely used lie deeper in functions than it reaches.
 */
export const smallSource: esbuild.Plugin = {
  name: "small-source",
  setup(build) {
    // They still get what an import gets: packages have another file for `require`, and both would be bundled.
    build.onResolve({ filter: /^[^.]/ }, ({ path, kind, importer, pluginData, ...place }) => {
      if (kind !== "require-call" || pluginData === "resolving" || !RARE.test(importer)) return null;
      return build.resolve(path, { ...place, importer, kind: "import-statement", pluginData: "resolving" });
    });
    build.onLoad({ filter: /\.(ts|[cm]?js)$/ }, async ({ path }) => {
      if (GENERATED.test(path) || NOT_OURS.test(path)) return null;
      const small = await minified(await readFile(path, "utf8"), path.endsWith(".ts") ? "ts" : "js");
      return { contents: RARE.test(path) ? await deep(small) : small, loader: "js" };
    });
  },
};

async function minified(source: string, loader: "ts" | "js"): Promise<string> {
  const { code } = await esbuild.transform(source, {
    loader,
    minify: true,
    legalComments: "none",
    target: "es2024",
    platform: "node",
  });
  return code;
}

/** Only a CommonJS module can lie within functions. */
async function deep(source: string): Promise<string> {
  const isModule = /(^|[;}\n])\s*(import|export)\b/.test(source);
  const { code } = isModule
    ? await esbuild.transform(source, { format: "cjs", platform: "node", target: "es2024" })
    : { code: source };
  return `${"(function(){".repeat(BYTECODE_DEPTH)}${code}${"})();".repeat(BYTECODE_DEPTH)}`;
}
