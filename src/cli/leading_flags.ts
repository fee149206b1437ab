import { GLOBAL_OPTIONS } from "./launch_plan.ts";
import type { GlobalFlags } from "./session.ts";

/** The options that may stand before a KBase mode, which no command of ours reads. */
export function leadingFlags(argv: readonly string[]): GlobalFlags {
  const flags: Record<string, string | boolean> = {};
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === "-q" || word === "--quiet") flags["quiet"] = true;
    const name = GLOBAL_OPTIONS.find((option) => word === option || word.startsWith(`${option}=`));
    if (!word.startsWith("-")) break;
    if (name === undefined) continue;
    const key = name.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    flags[key] = word === name ? argv[++at] ?? "" : word.slice(name.length + 1);
  }
  return flags;
}
