/**
 * Power loss: real sessions of the program are recorded call by call, then the power is cut at random moments of the
 * recording, and everything that a disk may hold after such a cut is made and looked at: databases must be sound and
 * hold what was acknowledged, files that commands write for their users must be old, new or absent.
 */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { programs } from "../support/glassbox.ts";
import { type Cut, emptied, judge, judgeNextStart } from "../support/power_loss/judge.ts";
import {
  memoryDirectory,
  type Recording,
  recordSessions,
  sha256,
  type Word,
} from "../support/power_loss/record.ts";
import { randomOf, type SeededRandom } from "../support/random.ts";
import { rigRun } from "../support/rig.ts";
import { Disk } from "../support/system_calls/disk.ts";
import { buildShim, shimRefusal } from "../support/system_calls/shim.ts";

const { seed: SEED, rounds: ROUNDS } = rigRun("power_loss", { short: 10_000, long: 200_000 });
/** A moment is prepared once and cut several times, each time with another fate for what was not safe. */
const CUTS_PER_MOMENT = 4;
/** The next start is some fifty times as dear as a look. */
const NEXT_START_EVERY = 200;
const FOUND_MAX = 10;

const refusal = shimRefusal();
const forms = programs();

for (const program of forms) {
  const images = Math.ceil(ROUNDS / forms.length);
  const name = `${images} images of power cuts (${program.name}, seed ${SEED})`;
  Deno.test({
    name: refusal === null ? name : `${name}: not tried here as ${refusal}`,
    ignore: refusal !== null,
    fn: async () => {
      await using shim = await buildShim();
      const place = await memoryDirectory();
      try {
        const recordings = await recordSessions(program, shim);
        recordings.forEach(demandTransactions);
        const random = randomOf(SEED);
        const share = Math.ceil(images / recordings.length);
        for (const recording of recordings) await cutAll(recording, share, random, place);
      } finally {
        await rm(place, { recursive: true, force: true });
      }
    },
  });
}

/** A recording in which calls were missed would show nothing, and one without checkpoints not the hardest part. */
function demandTransactions({ name, database, entries }: Recording): void {
  const writes = entries.filter((entry) => entry.kind === "write" && entry.path === `${database}-wal`);
  assert.ok(writes.length > 50, `${name}: only ${writes.length} writes to the database's log were seen`);
  if (!name.startsWith("a server")) return;
  const last = entries.findLastIndex((entry) => entry.kind === "write" && entry.path === database);
  assert.ok(last > entries.length / 4, `${name}: the database's log was never taken back into its file`);
}

async function cutAll(recording: Recording, images: number, random: SeededRandom, place: string) {
  const moments = momentsOf(recording, Math.ceil(images / CUTS_PER_MOMENT), random);
  const found: string[] = [];
  const looked = await emptied(join(place, "looked"));
  let count = 0;
  for (const { at, disk, told, outputs, outcomes } of play(recording, moments)) {
    for (let cut = 0; cut < CUTS_PER_MOMENT && count < images; cut++) {
      const image = disk.image(random);
      const one: Cut = { recording, image, told, outputs: outputs(), outcomes };
      const wrong = judge(one, looked);
      if (count++ % NEXT_START_EVERY === 0) {
        wrong.push(...await judgeNextStart(one, await emptied(join(place, "started"))));
      }
      if (wrong.length > 0) found.push(`cut after call ${at}: ${wrong.slice(0, 3).join("; ")}`);
      if (found.length === FOUND_MAX) break;
    }
    if (found.length === FOUND_MAX) break;
  }
  assert.deepEqual(found, [], `${recording.name}, seed ${SEED}`);
  assert.equal(count, images);
}

/** Numbers of entries in order, some of them more than once when there are fewer entries than moments. */
function momentsOf({ entries }: Recording, count: number, random: SeededRandom): number[] {
  return Array.from({ length: count }, () => random.int(1, entries.length)).sort((a, b) => a - b);
}

interface Moment extends Pick<Cut, "told" | "outcomes"> {
  readonly at: number;
  readonly disk: Disk;
  readonly outputs: () => Cut["outputs"];
}

/** Lives through the recording and stops at each of the moments. */
function* play({ directory, entries }: Recording, moments: readonly number[]): Generator<Moment> {
  const disk = new Disk(directory);
  const told: Word[] = [];
  const outcomes = new Map<string, Set<string>>();
  const outputs = outputsOf(entries);
  let at = 0;
  for (const moment of moments) {
    for (; at < moment; at++) {
      const entry = entries[at]!;
      if (entry.kind === "told") {
        told.push(entry.word);
        continue;
      }
      disk.apply(entry);
      if (entry.kind !== "rename" || !entry.to.endsWith("/outcome.json")) continue;
      const wholes = outcomes.get(entry.to) ?? new Set();
      outcomes.set(entry.to, wholes.add(sha256(disk.whole(entry.to) ?? new Uint8Array())));
    }
    yield { at, disk, told, outcomes, outputs: () => outputs(told) };
  }
}

/** What each file for the user was to hold, and how many of these contents have been acknowledged. */
function outputsOf(entries: Recording["entries"]): (told: readonly Word[]) => Cut["outputs"] {
  const contents = new Map<string, string[]>();
  for (const entry of entries) {
    if (entry.kind !== "told" || entry.word.kind !== "file") continue;
    const { path, sha256 } = entry.word;
    contents.set(path, [...contents.get(path) ?? [], sha256]);
  }
  return (told) =>
    new Map(
      [...contents].map(([path, contents]) => {
        const acknowledged = told.filter((word) => word.kind === "file" && word.path === path).length;
        return [path, { contents, acknowledged }];
      }),
    );
}
