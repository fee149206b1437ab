import { GlassboxError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Artifact } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import { statement } from "./connection.ts";
import { toArtifact, toBytes } from "./rows.ts";
import type { StoreCore } from "./store_core.ts";
import { eventStatements, type Fence } from "./transitions.ts";

/** Named files that jobs leave, kept in parts beside everything else. */
export class Artifacts {
  #core: StoreCore;
  #host: Host;

  constructor(core: StoreCore, host: Host) {
    this.#core = core;
    this.#host = host;
  }

  /** Stores one part. Parts without a `publish` belong to nothing and vanish with the job. */
  async writePart(fence: Fence, name: string, part: number, bytes: Uint8Array): Promise<void> {
    const results = await this.#core.write([statement(
      `INSERT INTO artifact_parts (job_id, name, epoch, part, bytes)
       SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS
         (SELECT 1 FROM jobs WHERE id = ?1 AND owner = ?6 AND epoch = ?3 AND state = 'running')
       ON CONFLICT (job_id, name, epoch, part) DO UPDATE SET bytes = excluded.bytes`,
      fence.jobId,
      name,
      fence.epoch,
      part,
      bytes,
      fence.worker,
    )]);
    demandHeld(results[0]!.rowsAffected, fence, name);
  }

  /** Makes the stored parts an artifact, replacing one of the same name, and tells it as an event. */
  async publish(
    fence: Fence,
    artifact: Pick<Artifact, "name" | "sizeBytes" | "mediaType" | "sha256">,
  ): Promise<void> {
    const atMs = this.#host.clock.nowMs();
    const { name, sizeBytes, mediaType, sha256 } = artifact;
    const results = await this.#core.write([
      statement(
        `INSERT INTO artifacts (job_id, name, epoch, size_bytes, media_type, sha256, created_at_ms)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS
           (SELECT 1 FROM jobs WHERE id = ?1 AND owner = ?8 AND epoch = ?3 AND state = 'running')
         ON CONFLICT (job_id, name) DO UPDATE SET epoch = excluded.epoch, size_bytes = excluded.size_bytes,
           media_type = excluded.media_type, sha256 = excluded.sha256, created_at_ms = excluded.created_at_ms`,
        fence.jobId,
        name,
        fence.epoch,
        sizeBytes,
        mediaType,
        sha256,
        atMs,
        fence.worker,
      ),
      ...eventStatements(fence, "artifact", { name, sizeBytes, mediaType, sha256 }, atMs),
    ], [fence.jobId]);
    demandHeld(results[0]!.rowsAffected, fence, name);
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

  /** The artifact's bytes, a part at a time. */
  async *parts(artifact: Artifact): AsyncGenerator<Uint8Array> {
    const count = Math.ceil(artifact.sizeBytes / LIMITS.artifactPartBytes);
    for (let part = 0; part < count; part++) {
      const rows = await this.#core.read(statement(
        "SELECT bytes FROM artifact_parts WHERE job_id = ? AND name = ? AND epoch = ? AND part = ?",
        artifact.job,
        artifact.name,
        artifact.epoch,
        part,
      ));
      if (rows[0] === undefined) {
        throw new GlassboxError(
          "storage_io",
          `Cannot read artifact ${artifact.name}: part ${part} is not stored`,
        );
      }
      yield toBytes(rows[0].bytes);
    }
  }
}

function demandHeld(rowsAffected: number, fence: Fence, name: string): void {
  if (rowsAffected === 1) return;
  throw new GlassboxError(
    "fenced",
    `Cannot store artifact ${name}: the attempt no longer holds job ${fence.jobId}`,
  );
}
