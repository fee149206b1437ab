/**
 * Compiles the pages in src/server/web/ and src/tasks/genome_dashboard/page/ each into an assets.gen.ts beside them,
 * so that one bundle carries them. With --check it only says whether they agree, and exits 1 when they do not.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

interface Page {
  readonly folder: URL;
  /** What is served or written, by its path: a file of the folder, where a .ts file is bundled first; a folder's files. */
  readonly assets: readonly (readonly [path: string, mediaType: string, file: string])[];
  readonly format: "esm" | "iife";
  /** Files whose bundles are made small: those that carry solvers. The others are short and left readable. */
  readonly small?: RegExp;
}

/** The systems that come with glassbox, which the page gets as one document. */
const EXAMPLES = "../../../examples/phase-portraits/";

const PAGES: readonly Page[] = [
  {
    folder: new URL("../src/server/web/", import.meta.url),
    assets: [
      ["/", "text/html", "index.html"],
      ["/app.css", "text/css", "app.css"],
      ["/app.js", "text/javascript", "app.ts"],
      ["/icon.svg", "image/svg+xml", "icon.svg"],
      ["/phase", "text/html", "phase.html"],
      ["/phase.css", "text/css", "phase.css"],
      ["/phase.js", "text/javascript", "phase/main.ts"],
      ["/phase-worker.js", "text/javascript", "phase/worker.ts"],
      ["/phase-examples.json", "application/json", EXAMPLES],
    ],
    small: /^phase\//,
    format: "esm",
  },
  {
    folder: new URL("../src/tasks/genome_dashboard/page/", import.meta.url),
    assets: [
      ["index.html", "text/html", "dashboard.html"],
      ["viewer.css", "text/css", "viewer.css"],
      ["viewer.js", "text/javascript", "viewer.ts"],
    ],
    // A page opened from a disk may load scripts, but no modules.
    format: "iife",
  },
];

const SMALL = { minify: true, legalComments: "none", target: "es2023" } as const;

async function script({ folder, format, small }: Page, file: string): Promise<string> {
  const result = await esbuild.build({
    entryPoints: [fileURLToPath(new URL(file, folder))],
    bundle: true,
    format,
    platform: "browser",
    target: "es2022",
    // The names of the parts stand in comments, and must not depend on where this was started.
    absWorkingDir: fileURLToPath(folder),
    write: false,
    logLevel: "error",
    ...(small?.test(file) ? SMALL : {}),
  });
  return result.outputFiles[0]!.text;
}

/** All JSON files of a folder, in the order of their names. */
function gathered(place: URL): string {
  const names = readdirSync(place).filter((name) => name.endsWith(".json")).sort();
  return JSON.stringify(names.map((name) => JSON.parse(readFileSync(new URL(name, place), "utf8"))));
}

async function content(page: Page, file: string): Promise<string> {
  if (file.endsWith(".ts")) return await script(page, file);
  const place = new URL(file, page.folder);
  return file.endsWith("/") ? gathered(place) : readFileSync(place, "utf8");
}

async function generate(page: Page): Promise<string> {
  const entries: string[] = [];
  for (const [path, mediaType, file] of page.assets) {
    const text = await content(page, file);
    const sha256 = createHash("sha256").update(text).digest("hex");
    entries.push(`  ${JSON.stringify({ path, mediaType, sha256, text })},`);
  }
  return `// Made by scripts/web.ts from the other files in this folder. Edit those, then run \`deno task web\`.
// deno-fmt-ignore-file

/** A part of the page, as it is sent. */
export interface Asset {
  readonly path: string;
  readonly mediaType: string;
  readonly sha256: string;
  readonly text: string;
}

/** All parts. */
export const assets = (): readonly Asset[] => [
${entries.join("\n")}
];
`;
}

for (const page of PAGES) {
  const target = new URL("assets.gen.ts", page.folder);
  const wanted = await generate(page);
  if (!Deno.args.includes("--check")) {
    writeFileSync(target, wanted);
  } else if (readFileSync(target, "utf8") !== wanted) {
    console.error(`${fileURLToPath(target)} does not agree with its page: run \`deno task web\``);
    Deno.exitCode = 1;
  }
}
await esbuild.stop();
