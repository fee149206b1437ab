/**
 * Compiles the pages in src/server/web/ into src/server/web/assets.gen.ts, so that one bundle carries it.
 * With --check it only says whether the two agree, and exits 1 when they do not.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const folder = new URL("../src/server/web/", import.meta.url);
const target = new URL("assets.gen.ts", folder);

interface Asset {
  readonly path: string;
  readonly mediaType: string;
  readonly text: string;
}

/** One bundle of browser code. The page's own is short and left readable; the portraits' carries solvers. */
async function script(entry: string, options: esbuild.BuildOptions = {}): Promise<string> {
  const result = await esbuild.build({
    entryPoints: [fileURLToPath(new URL(entry, folder))],
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    // The names of the parts stand in comments, and must not depend on where this was started.
    absWorkingDir: fileURLToPath(folder),
    write: false,
    logLevel: "error",
    ...options,
  });
  return result.outputFiles[0]!.text;
}

const SMALL = { minify: false, legalComments: "none", target: "es2023" } as const;

/** The systems that come with glassbox, in one document. */
function gallery(): string {
  const place = new URL("../examples/phase-portraits/", import.meta.url);
  const names = readdirSync(place).filter((name) => name.endsWith(".json")).sort();
  return JSON.stringify(names.map((name) => JSON.parse(readFileSync(new URL(name, place), "utf8"))));
}

function text(name: string): string {
  return readFileSync(new URL(name, folder), "utf8");
}

async function generate(): Promise<string> {
  const assets: Asset[] = [
    { path: "/", mediaType: "text/html", text: text("index.html") },
    { path: "/app.css", mediaType: "text/css", text: text("app.css") },
    { path: "/app.js", mediaType: "text/javascript", text: await script("app.ts") },
    { path: "/icon.svg", mediaType: "image/svg+xml", text: text("icon.svg") },
    { path: "/phase", mediaType: "text/html", text: text("phase.html") },
    { path: "/phase.css", mediaType: "text/css", text: text("phase.css") },
    { path: "/phase.js", mediaType: "text/javascript", text: await script("phase/main.ts", SMALL) },
    { path: "/phase-worker.js", mediaType: "text/javascript", text: await script("phase/worker.ts", SMALL) },
    { path: "/phase-examples.json", mediaType: "application/json", text: gallery() },
  ];
  await esbuild.stop();
  const entries = assets.map((asset) => {
    const sha256 = createHash("sha256").update(asset.text).digest("hex");
    return `  ${JSON.stringify({ path: asset.path, mediaType: asset.mediaType, sha256, text: asset.text })},`;
  });
  return `// Made by scripts/web.ts from the other files in this folder. Edit those, then run \`deno task web\`.
// deno-fmt-ignore-file

/** A part of the page, as it is sent. */
export interface Asset {
  readonly path: string;
  readonly mediaType: string;
  readonly sha256: string;
  readonly text: string;
}

export const ASSETS: readonly Asset[] = [
${entries.join("\n")}
];
`;
}

const wanted = await generate();
if (Deno.args.includes("--check")) {
  if (readFileSync(target, "utf8") !== wanted) {
    console.error("src/server/web/assets.gen.ts does not agree with the page: run `deno task web`");
    Deno.exit(1);
  }
} else {
  writeFileSync(target, wanted);
}
