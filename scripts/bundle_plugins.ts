/** What the bundler changes in packages so that they fit into one executable that starts fast and trusts no directory. */
import { readFile } from "node:fs/promises";
import type { Plugin } from "esbuild";

/**
 * The libsql package, in both its forms, loads its addon when it is imported and looks for it in node_modules. Here the
 * entry gives it, and only the two functions that open a database load it: 10 MB that a start without a database never pays.
 */
export const lazyLibsql: Plugin = {
  name: "lazy-libsql",
  setup(build) {
    build.onLoad({ filter: /[\\/]libsql[\\/](index|promise)\.js$/ }, async ({ path }) => ({
      contents: withLazyAddon(await readFile(path, "utf8"), path),
      loader: "js",
    }));
  },
};

function withLazyAddon(source: string, path: string): string {
  const head = /^[\s\S]*?^const \{([\w\s,]+)\} = requireNative\(\);$/m.exec(source);
  const names = head?.[1];
  if (names === undefined || !/\bdatabaseOpen,/.test(names) || !/\bdatabaseOpenWithSync,/.test(names)) {
    throw new Error(`Cannot make ${path} lazy: it no longer binds the addon the way this plugin expects`);
  }
  const ownParts = head![0].match(/^const \w+ = require\("\.\/[\w-]+"\);$/gm) ?? [];
  return `"use strict";
${ownParts.join("\n")}
let {${names}} = {
  databaseOpen: (...args) => (bindAddon(), databaseOpen(...args)),
  databaseOpenWithSync: (...args) => (bindAddon(), databaseOpenWithSync(...args)),
};
function bindAddon() {
  try {
    ({${names}} = globalThis.__glassboxBinary.loadAddon());
  } catch (cause) {
    const message = "Cannot load the libSQL library as the temporary directory must be writable and allow " +
      "executable mappings: current value is " + require("node:os").tmpdir();
    throw Object.assign(new Error(message, { cause }), { code: "ADDON_NOT_LOADED" });
  }
}
${source.slice(head![0].length)}`;
}

/**
 * Both engines have a WebSocket and a `crypto` of their own, and these packages would choose them under either; "node"
 * hides that, and has every start load modules that it never uses.
 */
export const webApisOfTheEngine: Plugin = {
  name: "web-apis-of-the-engine",
  setup(build) {
    build.onResolve({ filter: /^(@libsql\/isomorphic-ws|ulid)$/ }, async ({ path, pluginData, ...place }) => {
      if (pluginData === "resolving") return;
      const found = await build.resolve(path, { ...place, pluginData: "resolving" });
      const web = found.path.replace(/node\.mjs$/, "web.mjs").replace(
        /[\\/]node[\\/](index\.js)$/,
        "/browser/$1",
      );
      return { ...found, path: web };
    });
  },
};

/**
 * The ws package tries two native helpers. Left to the run, bun looks for them from the working directory upwards
 * and would run whatever a stranger's node_modules holds there; so they are missing by construction.
 */
export const noOptionalAddons: Plugin = {
  name: "no-optional-addons",
  setup(build) {
    build.onResolve(
      { filter: /^(bufferutil|utf-8-validate)$/ },
      ({ path }) => ({ path, namespace: "left-out" }),
    );
    build.onLoad({ filter: /.*/, namespace: "left-out" }, ({ path }) => ({
      contents: `throw new Error("${path} is left out of the binary");`,
      loader: "js",
    }));
  },
};

/** Builtins that take milliseconds to load, and that only a server or a client of one needs. */
const HEAVY_BUILTINS = /^node:(assert|crypto|http|http2|https|net|stream|tls|tty|util|zlib)$/;

/**
 * An import of a builtin is lifted to the top of the bundle, where every start pays for it. Asked for by `require`
 * it is loaded when the first module that needs it runs, so that a dynamic import keeps its promise.
 */
export const lazyBuiltins: Plugin = {
  name: "lazy-builtins",
  setup(build) {
    build.onResolve({ filter: HEAVY_BUILTINS }, ({ path, kind }) => {
      return kind === "import-statement" ? { path, namespace: "lazy-builtin" } : null;
    });
    build.onLoad({ filter: /.*/, namespace: "lazy-builtin" }, ({ path }) => ({
      contents: `module.exports = require("${path}");`,
      loader: "js",
    }));
  },
};

/** What zod has and nobody here asks for: a compiler of schemas, all languages, the whole of its inner part as a name. */
const UNUSED_OF_ZOD = new Set(
  ("toZod compile withParser ZodCompileAsyncError ZodCompileUnsupportedError INVALID core fromJSONSchema deepPartial " +
    "locales treeifyError prettifyError formatError flattenError").split(" "),
);

/** zod is imported as one name, by which everything it exports would be kept, its messages in fifty languages included. */
export const lessOfZod: Plugin = {
  name: "less-of-zod",
  setup(build) {
    build.onLoad({ filter: /[\\/]zod[\\/]v4[\\/]classic[\\/]external\.js$/ }, async ({ path }) => ({
      contents: withoutUnused(await readFile(path, "utf8")),
      loader: "js",
    }));
  },
};

function withoutUnused(source: string): string {
  return source
    .replace(/^export \* as (\w+) from .*$/gm, (line, name) => UNUSED_OF_ZOD.has(name) ? "" : line)
    .replace(/^export \{([^}]*)\}/gm, (_, names: string) => {
      const kept = names.split(",").map((name) => name.trim()).filter((name) =>
        name !== "" && !UNUSED_OF_ZOD.has(name)
      );
      return `export { ${kept.join(", ")} }`;
    });
}
