import { GlassboxError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Artifact } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import { statement } from "./connection.ts";
import { insist } from "./insist.ts";
import { toArtifact, toBytes } from "./rows.ts";
import type { StoreCore } from "./store_core.ts";
import { eventIfChanged, type Fence } from "./transitions.ts";

/**
 * Named files that jobs leave, kept in parts beside everything else. Each upload has parts of its own, so that an
 * artifact stays whole while it is uploaded anew, and when that fails.
 */
export class Artifacts {
  #core: StoreCore;
  #host: Host;
  #uploads = 0;
  /** The upload under way for each name; only the process that holds a job uploads for it. */
  #current = new Map<string, number>();

  constructor(core: StoreCore, host: Host) {
    this.#core = core;
    this.#host = host;
  }

  /** Stores one part; part 0 begins a new upload. Parts that are never published vanish when the job ends. */
  async writePart(fence: Fence, name: string, part: number, bytes: Uint8Array): Promise<void> {
    const upload = part === 0 ? this.#begin(fence, name) : this.#current.get(keyOf(fence, name)) ?? 0;
    const storing = statement(
      `INSERT INTO artifact_parts (job_id, name, epoch, upload, part, bytes)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS
         (SELECT 1 FROM jobs WHERE id = ?1 AND owner = ?7 AND epoch = ?3 AND state = 'running')
       ON CONFLICT (job_id, name, epoch, upload, part) DO UPDATE SET bytes = excluded.bytes`,
      fence.jobId,
      name,
      fence.epoch,
      upload,
      part,
      bytes,
      fence.worker,
    );
    const results = await insist(this.#host, fence.lost, () => this.#core.write([storing]));
    demandHeld(results[0]!.rowsAffected, fence, name);
  }

  /** Makes the stored parts an artifact, replacing one of the same name, and tells it as an event. */
  async publish(
    fence: Fence,
    artifact: Pick<Artifact, "name" | "sizeBytes" | "mediaType" | "sha256">,
  ): Promise<void> {
    const atMs = this.#host.clock.nowMs();
    const { name, sizeBytes, mediaType, sha256 } = artifact;
    // An empty artifact has no part that began an upload.
    const upload = sizeBytes === 0 ? this.#begin(fence, name) : this.#current.get(keyOf(fence, name)) ?? 0;
    this.#current.delete(keyOf(fence, name));
    const statements = [
      statement(
        `INSERT INTO artifacts (job_id, name, epoch, upload, size_bytes, media_type, sha256, created_at_ms)
         SELECT ?1, ?2, ?3, ?9, ?4, ?5, ?6, ?7 WHERE EXISTS
           (SELECT 1 FROM jobs WHERE id = ?1 AND owner = ?8 AND epoch = ?3 AND state = 'running')
         ON CONFLICT (job_id, name) DO UPDATE SET epoch = excluded.epoch, upload = excluded.upload,
           size_bytes = excluded.size_bytes, media_type = excluded.media_type, sha256 = excluded.sha256,
           created_at_ms = excluded.created_at_ms
         WHERE (artifacts.epoch, artifacts.upload) <> (excluded.epoch, excluded.upload)`,
        fence.jobId,
        name,
        fence.epoch,
        sizeBytes,
        mediaType,
        sha256,
        atMs,
        fence.worker,
        upload,
      ),
      eventIfChanged(fence.jobId, fence.epoch, "artifact", { name, sizeBytes, mediaType, sha256 }, atMs),
      statement(
        `DELETE FROM artifact_parts WHERE changes() = 1 AND job_id = ? AND name = ?
           AND NOT (epoch = ? AND upload = ?)`,
        fence.jobId,
        name,
        fence.epoch,
        upload,
      ),
    ];
    await insist(this.#host, fence.lost, async (wasTried) => {
      const results = await this.#core.write(statements, [fence.jobId]);
      // Tried before, it may have been published then.
      if (!wasTried) demandHeld(results[0]!.rowsAffected, fence, name);
    });
  }

  async list(jobId: string): Promise<Artifact[]> {
    const rows = await this.#core.read(
      statement("SELECT * FROM artifacts WHERE job_id = ? ORDER BY name", jobId),
    );
    return rows.map(toArtifact);
  }

  async get(jobId: string, name: string): Promise<Artifact> {
    const rows = await this.#core.read(
      statement("SELECT * FROM artifacts WHERE job_id = ? AND name = ?", jobId, name),
    );
    if (rows[0] === undefined) {
      throw new GlassboxError(
        "artifact_not_found",
        `Cannot find artifact ${JSON.stringify(name)} of job ${jobId}`,
      );
    }
    return toArtifact(rows[0]);
  }

  /** The artifact's bytes, a part at a time. Throws when it was replaced since it was looked up. */
  async *parts(artifact: Artifact): AsyncGenerator<Uint8Array> {
    const count = Math.ceil(artifact.sizeBytes / LIMITS.artifactPartBytes);
    for (let part = 0; part < count; part++) {
      const rows = await this.#core.read(statement(
        `SELECT bytes FROM artifact_parts WHERE job_id = ?1 AND name = ?2 AND part = ?3 AND (epoch, upload) =
           (SELECT epoch, upload FROM artifacts WHERE job_id = ?1 AND name = ?2 AND sha256 = ?4)`,
        artifact.job,
        artifact.name,
        part,
        artifact.sha256,
      ));
      if (rows[0] === undefined) {
        throw new GlassboxError(
          "storage_io",
          `Cannot read artifact ${artifact.name}: part ${part} is not stored, or no longer`,
        );
      }
      yield toBytes(rows[0].bytes);
    }
  }

  #begin(fence: Fence, name: string): number {
    const upload = ++this.#uploads;
    this.#current.set(keyOf(fence, name), upload);
    return upload;
  }
}

function keyOf(fence: Fence, name: string): string {
  return `${fence.jobId} ${fence.epoch} ${name}`;
}

function demandHeld(rowsAffected: number, fence: Fence, name: string): void {
  if (rowsAffected === 1) return;
  throw new GlassboxError(
    "fenced",
    `Cannot store artifact ${name}: the attempt no longer holds job ${fence.jobId}`,
  );
}
