/**
 * Bundles the code of the portrait's worker threads into one text, as a binary has no file to start a thread from. With
 * --check it only says whether the file is what its sources make.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const folder = new URL("../src/tasks/phase_portrait/worker/", import.meta.url);
const target = new URL("worker.gen.ts", folder);

async function bundle(): Promise<string> {
  const result = await esbuild.build({
    entryPoints: [fileURLToPath(new URL("entry.ts", folder))],
    bundle: true,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    // Its package names only a bundle of everything; of its modules what is not used can be left out.
    alias: { "ml-matrix": fileURLToPath(new URL("../node_modules/ml-matrix/src/index.js", import.meta.url)) },
    target: "es2023",
    minify: true,
    // Names stay for the traces of bug reports.
    keepNames: false,
    legalComments: "none",
    absWorkingDir: fileURLToPath(folder),
    write: false,
    logLevel: "error",
  });
  await esbuild.stop();
  return result.outputFiles[0]!.text;
}

const made =
  `// Made by scripts/portrait_worker.ts from entry.ts. Edit that, then run \`deno task portrait-worker\`.
// deno-fmt-ignore-file

/** A module that solves what it is sent: see protocol.ts. */
export const workerSource = (): string => ${JSON.stringify(await bundle())};
`;

if (Deno.args.includes("--check")) {
  if (readFileSync(target, "utf8") !== made) {
    console.error(`${fileURLToPath(target)} is not what its sources make: run "deno task portrait-worker"`);
    Deno.exit(1);
  }
} else {
  writeFileSync(target, made);
  console.log(`${fileURLToPath(target)} · ${made.length} characters`);
}
