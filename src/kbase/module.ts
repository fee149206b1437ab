import { parse, YAMLParseError } from "yaml";
import { z } from "zod";
import { GlassboxError, messageOf, quoted } from "../core/errors.ts";
import type { Files } from "../core/host.ts";
import { parseWith } from "../core/schema.ts";
import { KBASE_AUTHENTICATION, KBASE_TYPES } from "../core/task.ts";
import type { Method } from "./methods.ts";

/** What a module's kbase.yml says, as far as running it is concerned. */
export interface Module {
  /** Null where there is no kbase.yml. */
  readonly name: string | null;
  readonly version: string | null;
  readonly methods: readonly Method[];
  /** What `init` and `test` run; null where nothing is named. */
  readonly init: readonly string[] | null;
  readonly test: readonly string[] | null;
  /** Where kbase.yml lies; programs of the module are started there. */
  readonly directory: string;
}

export const MODULE_FILES = ["kbase.yaml", "kbase.yml"] as const;

const MODULE_BYTES_MAX = 1024 * 1024;

const command = z.array(z.string().min(1)).min(1);

const MethodEntry = z.strictObject({
  command: command.describe("The program and its arguments"),
  authentication: z.enum(KBASE_AUTHENTICATION).default("required"),
  parameters: z.array(z.enum(KBASE_TYPES)).optional(),
});

/** Our own part of kbase.yml, under the key `glassbox`; the rest is KBase's, and only read. */
const OwnPart = z.strictObject({
  methods: z.record(
    z.string().regex(/^[A-Za-z]\w*$/, "must be the name of a method, without its module"),
    MethodEntry,
  )
    .default({}),
  init: command.optional(),
  test: command.optional(),
});

const Descriptor = z.looseObject({
  "module-name": z.string().regex(/^\w+$/, "must be letters, digits and underscores").optional(),
  "module-version": z.string("must be a string: write it in quotes").optional(),
  glassbox: OwnPart.optional(),
});

/** Reads kbase.yaml, or kbase.yml, of a module's directory; a module without one has only built-in methods. */
export async function readModule(files: Files, directory: string): Promise<Module> {
  for (const name of MODULE_FILES) {
    const path = `${directory}/${name}`;
    if ((await files.info(path).catch(() => null))?.kind !== "file") continue;
    return toModule(directory, await readYaml(files, path));
  }
  return { name: null, version: null, methods: [], init: null, test: null, directory };
}

async function readYaml(files: Files, path: string): Promise<unknown> {
  try {
    return parse(new TextDecoder().decode(await files.read(path, MODULE_BYTES_MAX)));
  } catch (error) {
    const [line] = messageOf(error).split("\n");
    const what = error instanceof YAMLParseError ? "as YAML" : "";
    throw new GlassboxError("configuration", `Cannot read ${quoted(path)} ${what}: ${line}`, {
      cause: error,
    });
  }
}

function toModule(directory: string, document: unknown): Module {
  const parsed = parseWith(Descriptor, document ?? {}, "", "kbase.yml");
  const { "module-name": name, "module-version": version, glassbox } = parsed;
  const entries = Object.entries(glassbox?.methods ?? {});
  if (entries.length > 0 && name === undefined) {
    throw new GlassboxError("configuration", "Cannot use the methods of kbase.yml as module-name is missing");
  }
  const methods = entries.map(([method, entry]) => ({
    name: `${name}.${method}`,
    authentication: entry.authentication,
    parameters: entry.parameters ?? null,
    work: { kind: "program", command: entry.command, directory } as const,
  }));
  const { init = null, test = null } = glassbox ?? {};
  return { name: name ?? null, version: version ?? null, methods, init, test, directory };
}
