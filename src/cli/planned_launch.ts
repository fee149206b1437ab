import type { Host } from "../core/host.ts";
import { COMMANDS, launchLookups, type LaunchPlan, planLaunch } from "./launch_plan.ts";

/** The launch plan for these arguments here, with the files it may ask about read beforehand. */
export async function plannedLaunch(host: Host, argv: readonly string[]): Promise<LaunchPlan> {
  const { environment, workingDirectory } = host.processes;
  // A command's name decides alone: a start that is sure of its mode should touch no file for it. Those of `kbase`
  // work with a work directory, which is looked for.
  const first = argv[0];
  const isCommand = first !== undefined && first !== "kbase" && COMMANDS.includes(first);
  const lookups = isCommand ? { files: [], texts: [] } : launchLookups(argv, workingDirectory);
  const files = new Set<string>();
  // A pipe that nobody writes to would hold the start up for ever.
  const isFile = async (path: string) => (await host.files.info(path).catch(() => null))?.kind === "file";
  for (const path of lookups.files) {
    if (await isFile(path)) files.add(path);
  }
  const texts = new Map<string, string>();
  for (const path of lookups.texts) {
    const bytes = await isFile(path) ? await host.files.read(path, 1024 * 1024).catch(() => null) : null;
    if (bytes !== null) texts.set(path, new TextDecoder().decode(bytes));
  }
  return planLaunch(argv, environment, {
    workingDirectory,
    file: (path) => files.has(path),
    text: (path) => texts.get(path) ?? null,
  });
}
