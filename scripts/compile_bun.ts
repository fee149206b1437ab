/** The binary by `bun build --compile`, from the bun executable that npm installed. */
import { mkdtemp, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Bundle } from "./bundle.ts";
import { BYTECODE_DEPTH } from "./bundle_size.ts";
import { EXIT, runTool, ScriptError } from "./compile_steps.ts";
import {
  findNativeParts,
  findTarget,
  isThisMachine,
  type NativeParts,
  type Target,
} from "./compile_targets.ts";

/**
 * Without bytecode a start takes three times as long. Source maps would add 2 MB; functions keep their names, for bug
 * reports. Compiling to machine code
 * takes a third of a short start, so it begins late; the entry that bundle.ts writes ends that. Without the two
 * `--no-compile-autoload` flags the binary would obey the `.env` and `bunfig.toml` of wherever it is started.
 */
const FLAGS = [
  "--compile",
  "--minify-syntax",
  "--minify-whitespace",
  "--bytecode",
  "--compile-jit-policy=100",
  "--format=esm",
  "--sourcemap=none",
  `--bytecode-depth=${BYTECODE_DEPTH}`,
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  "--no-compile-autoload-tsconfig",
  "--no-compile-autoload-package-json",
];

/** Compiles `bundle` into `outfile`; an older file there is replaced only by a finished one. */
export async function compileWithBun(
  bundle: Bundle,
  target: Target,
  parts: NativeParts,
  outfile: string,
): Promise<void> {
  const compiler = isThisMachine(target) ? parts : await findNativeParts(findTarget());
  const directory = await mkdtemp(join(dirname(outfile), ".compile-"));
  try {
    const made = join(directory, basename(outfile));
    const { code, output } = await runTool(
      compiler.bun,
      ["build", ...FLAGS, ...crossFlags(target, parts), "--outfile", made, bundle.entries.bun],
      { cwd: dirname(bundle.entries.bun), env: { DO_NOT_TRACK: "1" } },
    );
    if (code !== 0) {
      throw new ScriptError(EXIT.software, `bun build ended with code ${code}:\n${output.trim()}`);
    }
    await rename(made, outfile);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function crossFlags(target: Target, parts: NativeParts): string[] {
  if (isThisMachine(target)) return [];
  return [`--target=${target.bunTarget}`, `--compile-executable-path=${parts.bun}`];
}
