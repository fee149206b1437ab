/** Which room of the house imports which, read from the sources, and what of that is not allowed. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { resolvePath } from "../../src/core/paths.ts";
import { type Token, tokensOf } from "./tokens.ts";

/** Source files by their path from the root, as in `src/core/job.ts`. */
export type Sources = ReadonlyMap<string, string>;

const TASKS = ["exec", "selftest", "phase_portrait", "genome_dashboard"];

/** The rooms, and what each may import besides itself. `tasks` is the registry; each task is a room of its own. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  config: ["core"],
  store: ["core"],
  platform: ["core"],
  logs: ["core", "store"],
  verify: ["core", "store", "logs"],
  "tasks/exec": ["core"],
  "tasks/selftest": ["core"],
  "tasks/phase_portrait": ["core"],
  "tasks/genome_dashboard": ["core", "kbase"],
  tasks: ["core", ...TASKS.map((task) => `tasks/${task}`)],
  kbase: ["core", "config"],
  executor: ["core", "config", "kbase", "store", "logs", "tasks"],
  server: ["core", "config", "executor", "kbase", "logs", "store", "tasks", "tasks/phase_portrait"],
  cli: ["core", "config", "store", "logs", "tasks", ...TASKS.map((task) => `tasks/${task}`)].concat(
    ["kbase", "executor", "server", "verify"],
  ),
};

/** Here the house is wired together, so these may import everything and touch the runtime. */
const ENTRIES = ["main.ts", "src/edge.ts"];

/** The only rooms that may import a library; null for every room. */
const LIBRARIES: Readonly<Record<string, readonly string[] | null>> = {
  "zod": null,
  "@libsql/client": ["store"],
  "libsql": ["store", "platform"],
  "fflate": ["tasks/genome_dashboard"],
  "hono": ["server"],
  "@hono/node-server": ["platform"],
  "ws": ["platform"],
  "commander": ["cli"],
  "@commander-js/extra-typings": ["cli"],
  "@bomb.sh/tab": ["cli"],
  "jsonc-parser": ["config"],
  "croner": ["executor"],
  "yaml": ["kbase"],
  "ulid": ["executor"],
  "@noble/hashes": ["executor", "logs", "verify"],
  "d3-array": ["tasks/phase_portrait"],
  "ml-matrix": ["tasks/phase_portrait"],
};

const RUNTIME_NAMES = ["Deno", "Bun", "process"];

/** The sources of the program: `main.ts` and `src/`, without tests. */
export function readSources(root: string): Sources {
  const paths = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.endsWith("_test.ts"))
    .map((path) => `src/${path.replaceAll("\\", "/")}`);
  return new Map(["main.ts", ...paths.sort()].map((path) => [path, readFileSync(join(root, path), "utf8")]));
}

/** Every fault of these sources, each with its file and line. */
export function graphFaults(sources: Sources): string[] {
  const faults: string[] = [];
  const arrows = new Map<string, Set<string>>();
  for (const [path, source] of sources) {
    const from = roomOf(path);
    if (from === null) faults.push(`${path}: is in no room that docs/architecture.md names`);
    if (from === null || from === "entry") continue;
    const tokens = tokensOf(source);
    for (const { text, line } of importsOf(tokens)) {
      // Platform names modules of one runtime so that the other's tools do not look for them.
      if (text === null && from === "platform") continue;
      const fault = text === null
        ? "imports something that only the run will tell"
        : faultOfImport(path, from, text, (to) => arrows.set(from, (arrows.get(from) ?? new Set()).add(to)));
      if (fault !== null) faults.push(`${path}:${line}: ${fault}`);
    }
    if (from !== "platform") faults.push(...runtimeNames(tokens).map((fault) => `${path}:${fault}`));
  }
  return [...faults, ...roomCycles(arrows)];
}

/** The room of a file; `entry` for an entry, null for a place that is none. */
export function roomOf(path: string): string | null {
  if (ENTRIES.includes(path)) return "entry";
  const [, task] = /^src\/tasks\/([^/]+)\//.exec(path) ?? [];
  if (task !== undefined) return `tasks/${task}` in ARROWS ? `tasks/${task}` : null;
  if (path.startsWith("src/tasks/") && path !== "src/tasks/registry.ts") return null;
  const [, room] = /^src\/([^/]+)\//.exec(path) ?? [];
  return room !== undefined && room in ARROWS ? room : null;
}

function faultOfImport(path: string, from: string, text: string, arrow: (to: string) => void): string | null {
  if (/^(node|bun):/.test(text)) return from === "platform" ? null : `imports ${text} outside platform`;
  if (!text.startsWith(".")) return faultOfLibrary(from, text);
  const target = resolvePath("/", `${path}/../${text}`).slice(1);
  const to = roomOf(target);
  if (to === null) return `imports ${target}, which is in no room`;
  if (to === from) return null;
  arrow(to);
  return ARROWS[from]!.includes(to) ? null : `room ${from} imports ${target}, of room ${to}`;
}

function faultOfLibrary(from: string, text: string): string | null {
  const name = text.split("/").slice(0, text.startsWith("@") ? 2 : 1).join("/");
  if (!(name in LIBRARIES)) return `imports ${text}, a library that no room may import`;
  const rooms = LIBRARIES[name];
  return rooms === null || rooms!.includes(from) ? null : `imports ${name} in room ${from}, not in ${rooms}`;
}

/** Every specifier of an import or re-export, static, dynamic or of a type; null where it is no plain string. */
export function importsOf(tokens: readonly Token[]): { text: string | null; line: number }[] {
  const found: { text: string | null; line: number }[] = [];
  tokens.forEach((token, index) => {
    if (token.kind !== "word" || isProperty(tokens, index)) return;
    const next = tokens[index + 1];
    const { line } = token;
    if (["from", "import"].includes(token.text) && next?.kind === "string") {
      found.push({ text: next.text, line });
    }
    if (token.text === "import" && next?.text === "(" && next.kind === "punctuation") {
      const [argument, end] = [tokens[index + 2], tokens[index + 3]];
      const isPlain = argument?.kind === "string" && [")", ","].includes(end?.text ?? "");
      found.push({ text: isPlain ? argument.text : null, line });
    }
  });
  return found;
}

function runtimeNames(tokens: readonly Token[]): string[] {
  return tokens.flatMap((token, index) => {
    if (token.kind !== "word" || !RUNTIME_NAMES.includes(token.text)) return [];
    const isGlobal = tokens[index - 1]?.text === "." && tokens[index - 2]?.text === "globalThis";
    if (isProperty(tokens, index) && !isGlobal) return [];
    const isUsed = [".", "[", "?", "!"].includes(tokens[index + 1]?.text ?? "") || token.text !== "process";
    return isUsed || isGlobal ? [`${token.line}: names ${token.text} outside platform`] : [];
  });
}

/** True for `.name`, which is a property of something else, but not for the `...name` of a spread. */
function isProperty(tokens: readonly Token[], index: number): boolean {
  const dot = (back: number) =>
    tokens[index - back]?.kind === "punctuation" && tokens[index - back]?.text === ".";
  return dot(1) && !(dot(2) && dot(3));
}

function roomCycles(arrows: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const cycles = new Set<string>();
  const visit = (room: string, trail: readonly string[]): void => {
    const start = trail.indexOf(room);
    if (start !== -1) {
      const cycle = trail.slice(start);
      const first = cycle.indexOf([...cycle].sort()[0]!);
      cycles.add([...cycle.slice(first), ...cycle.slice(0, first), cycle[first]].join(" → "));
      return;
    }
    for (const to of arrows.get(room) ?? []) visit(to, [...trail, room]);
  };
  for (const room of arrows.keys()) visit(room, []);
  return [...cycles].sort().map((cycle) => `rooms import each other: ${cycle}`);
}
