/** Reads mutants `from` to `to` in this process, and says of each what came of it: a line `<seed> <outcome> <detail>`. */
import { GlassboxError } from "../../../src/core/errors.ts";
import { createHost } from "../../../src/platform/host.ts";
import { extract } from "../../../src/tasks/genome_dashboard/extract.ts";
import { Mutants } from "./mutants.ts";

const [directory, from, to] = [Deno.args[0]!, Number(Deno.args[1]), Number(Deno.args[2])];
const mutants = new Mutants(directory);
const { databases } = createHost();

async function outcomeOf(path: string): Promise<string> {
  try {
    const database = await databases.openForeign(path, "it");
    try {
      const { files } = await extract(database, { pangenomeId: "P", display: "it", reference: null });
      for (const text of files.values()) JSON.parse(text);
      return `answer ${files.size}`;
    } finally {
      await database.close();
    }
  } catch (error) {
    if (error instanceof GlassboxError) return `refused ${error.message.replaceAll("\n", " ")}`;
    return `WRONG ${String((error as Error).stack ?? error).replaceAll("\n", " ")}`;
  }
}

for (let seed = from; seed < to; seed++) {
  const { what, bytes } = mutants.make(seed);
  const path = `${directory}/mutant.db`;
  Deno.writeFileSync(path, bytes);
  console.log(`${seed} begun ${what.replaceAll("\n", " ")}`);
  console.log(`${seed} ${await outcomeOf(path)}`);
  for (const end of ["-wal", "-journal", "-shm"]) await Deno.remove(path + end).catch(() => {});
}
