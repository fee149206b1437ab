import { z } from "zod";
import { GlassboxError, messageOf } from "../../core/errors.ts";
import type { Files } from "../../core/host.ts";
import { parseWith } from "../../core/schema.ts";

/** How genomes were seen to grow, and how well models of them predict that. */
export interface ReferencePhenotypes {
  readonly phenotypeIds: readonly string[];
  readonly genomes: readonly {
    readonly id: string;
    readonly accuracy: number | null;
    readonly vector: readonly number[];
  }[];
}

const BYTES_MAX = 64 * 1024 * 1024;

const Document = z.lazy(() =>
  z.object({
    phenotype_ids: z.array(z.string()),
    genomes: z.array(z.object({
      id: z.string(),
      accuracy: z.number().nullish().transform((accuracy) => accuracy ?? null),
      vector: z.array(z.number()),
    })),
  })
);

export async function readReferencePhenotypes(files: Files, path: string): Promise<ReferencePhenotypes> {
  const value = await readJson(files, path);
  const what = `the reference phenotypes in ${path}`;
  const { phenotype_ids, genomes } = parseWith(Document, value, "reference_phenotypes", what);
  return { phenotypeIds: phenotype_ids, genomes };
}

async function readJson(files: Files, path: string): Promise<unknown> {
  try {
    return JSON.parse(new TextDecoder().decode(await files.read(path, BYTES_MAX)));
  } catch (error) {
    const isJson = !(error instanceof SyntaxError);
    throw new GlassboxError(
      isJson ? "input_missing" : "bad_json",
      `Cannot read reference_phenotypes ${path}: ${messageOf(error)}`,
    );
  }
}
