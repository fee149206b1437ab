/** What the bundler does with commands that are hardly ever called: their code lies compressed in the binary. */
import { resolve } from "node:path";
import * as esbuild from "esbuild";

/** Modules that are imported by `import()` alone; all that only they need goes with them. */
const PACKED = /[\\/]src[\\/]cli[\\/]commands[\\/]repair\.ts$/;
const INSIDE = /[\\/]src[\\/](store[\\/]salvage[\\/]|verify[\\/](mend|repair)\.ts$)/;

export interface PackedCodeParts {
  /** Puts a text into the packed file and gives the arguments that unpack it. */
  readonly pack: (text: string) => string;
  readonly small: esbuild.Plugin;
}

/**
 * A packed module becomes one that unpacks its code on import and gives it the modules that the program has anyway,
 * so that there is one of each: an error made there is of the same class.
 */
export function packedCode({ pack, small }: PackedCodeParts): esbuild.Plugin {
  return {
    name: "packed-code",
    setup(build) {
      build.onLoad({ filter: PACKED }, async ({ path }) => {
        const shared: string[] = [];
        const { code, names } = await bundled(path, shared, small);
        const imports = shared.map((module, index) =>
          `import * as s${index} from ${JSON.stringify(module)};`
        );
        const given = shared.map((_, index) => `s${index}`).join(", ");
        const contents = `${imports.join("\n")}
const { ${names.join(", ")} } =
  new Function("shared", globalThis.__glassboxBinary.unpack(${pack(code)}) + ";return packed")([${given}]);
export { ${names.join(", ")} };`;
        return { contents, loader: "js" };
      });
    },
  };
}

/** The code as a script that makes `packed` out of `shared`, whose places in the list `shared` are filled in here. */
async function bundled(
  path: string,
  shared: string[],
  small: esbuild.Plugin,
): Promise<{ code: string; names: string[] }> {
  const { outputFiles, metafile } = await esbuild.build({
    stdin: { contents: `export * from ${JSON.stringify(path)};`, resolveDir: resolve("."), loader: "js" },
    bundle: true,
    write: false,
    metafile: true,
    outfile: "packed.js",
    platform: "node",
    format: "iife",
    globalName: "packed",
    target: "es2024",
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: "silent",
    plugins: [fromProgram(shared), small],
  });
  const [input] = Object.keys(metafile.inputs).filter((one) => PACKED.test(`/${one}`));
  const names = (await esbuild.build({
    entryPoints: [input!],
    write: false,
    metafile: true,
    format: "esm",
    outfile: "names.js",
  })).metafile.outputs["names.js"]!.exports;
  return { code: outputFiles[0]!.text, names };
}

function fromProgram(shared: string[]): esbuild.Plugin {
  return {
    name: "from-program",
    setup(build) {
      build.onResolve({ filter: /.*/ }, async ({ path, pluginData, ...place }) => {
        if (place.kind === "entry-point" || pluginData === "resolving") return null;
        const found = await build.resolve(path, { ...place, pluginData: "resolving" });
        if (PACKED.test(found.path) || INSIDE.test(found.path)) return found;
        if (!shared.includes(found.path)) shared.push(found.path);
        return { path: found.path, namespace: "shared" };
      });
      build.onLoad({ filter: /.*/, namespace: "shared" }, ({ path }) => ({
        contents: `module.exports = shared[${shared.indexOf(path)}];`,
        loader: "js",
      }));
    },
  };
}
