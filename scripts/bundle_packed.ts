/** What the bundler does with commands that are hardly ever called: their code lies compressed in the binary. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import * as esbuild from "esbuild";

/** Modules that are imported by `import()` alone; all that only they need goes with them. */
const PACKED = /[\\/]src[\\/]cli[\\/]commands[\\/](repair|kbase_harness|kbase_validate)\.ts$/;
const INSIDE =
  /[\\/]src[\\/](kbase[\\/](harness|validate)[\\/]|store[\\/]salvage[\\/]|verify[\\/](mend|repair)\.ts$)/;

export interface PackedCodeParts {
  /** Puts a text into the packed file and gives the arguments that unpack it. */
  readonly pack: (text: string) => string;
  readonly small: esbuild.Plugin;
}

/** Modules of the program that packed code imports, and which names of them. */
type Shared = Map<string, Set<string>>;

/**
 * A packed module becomes one that unpacks its code on import and gives it what it needs of modules that the program
 * has anyway, so that there is one of each: an error made there is of the same class.
 */
export function packedCode({ pack, small }: PackedCodeParts): esbuild.Plugin {
  return {
    name: "packed-code",
    setup(build) {
      build.onLoad({ filter: PACKED }, async ({ path }) => {
        const shared: Shared = new Map();
        const code = await bundled(path, shared, small);
        return { contents: unpacking(shared, pack(code), await exportsOf(path)), loader: "js" };
      });
    },
  };
}

function unpacking(shared: Shared, packed: string, exports: readonly string[]): string {
  const given = [...shared].map(([path, names], index) => ({
    line: `import { ${[...names].map((name) => `${name} as ${name}_${index}`).join(", ")} } from ${
      JSON.stringify(path)
    };`,
    module: `{ ${[...names].map((name) => `${name}: ${name}_${index}`).join(", ")} }`,
  }));
  return `${given.map(({ line }) => line).join("\n")}
const packed = new Function("shared", globalThis.__glassboxBinary.unpack(${packed}) + ";return packed");
export const { ${exports.join(", ")} } = packed([${given.map(({ module }) => module).join(", ")}]);`;
}

/** The code as a script that makes `packed` out of `shared`, whose places in the list `shared` are filled in here. */
async function bundled(path: string, shared: Shared, small: esbuild.Plugin): Promise<string> {
  const { outputFiles } = await esbuild.build({
    stdin: { contents: `export * from ${JSON.stringify(path)};`, resolveDir: resolve("."), loader: "js" },
    bundle: true,
    write: false,
    platform: "node",
    format: "iife",
    globalName: "packed",
    target: "es2024",
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: "silent",
    plugins: [fromProgram(shared), small],
  });
  return outputFiles[0]!.text;
}

async function exportsOf(path: string): Promise<readonly string[]> {
  const { metafile } = await esbuild.build({
    entryPoints: [path],
    outfile: "names.js",
    write: false,
    metafile: true,
    format: "esm",
  });
  return metafile.outputs["names.js"]!.exports;
}

function fromProgram(shared: Shared): esbuild.Plugin {
  return {
    name: "from-program",
    setup(build) {
      build.onResolve({ filter: /.*/ }, async ({ path, pluginData, ...place }) => {
        if (place.importer === "" || pluginData === "resolving") return null;
        const found = await build.resolve(path, { ...place, pluginData: "resolving" });
        if (PACKED.test(found.path) || INSIDE.test(found.path)) return found;
        // Which file a package is, the program's own build decides.
        const module = path.startsWith(".") ? found.path : path;
        const names = shared.get(module) ?? new Set();
        shared.set(module, names);
        for (const name of importedNames(await readFile(place.importer, "utf8"), path)) names.add(name);
        return { path: module, namespace: "shared" };
      });
      build.onLoad({ filter: /.*/, namespace: "shared" }, ({ path }) => ({
        contents: `module.exports = shared[${[...shared.keys()].indexOf(path)}];`,
        loader: "js",
      }));
    },
  };
}

/** The names that a source imports from `path`, without types. A whole module could not be made smaller. */
function importedNames(source: string, path: string): string[] {
  const lists = [...source.matchAll(/import \{([^}]*)\} from "([^"]+)";/g)].filter(([, , from]) =>
    from === path
  );
  return lists.flatMap(([, list]) => list!.split(",")).map((one) => one.trim())
    .filter((one) => one !== "" && !one.startsWith("type ")).map((one) => one.split(" as ")[0]!);
}
