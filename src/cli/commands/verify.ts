import { EXIT } from "../../core/errors.ts";
import { isProvenDead } from "../../executor/reaper.ts";
import { verifyDatabase } from "../../verify/verify.ts";
import { ProgressLine } from "../progress_line.ts";
import { type Cli, type GlobalFlags, type Session, withSession } from "../session.ts";
import { writeJson } from "./run.ts";

/** `glassbox verify`: checks every invariant on a database, and prints what breaks. Exit 74 when something does. */
export function verify(cli: Cli, flags: GlobalFlags & { json?: boolean | undefined }): Promise<number> {
  return withSession(cli, flags, async (session) => {
    const { host, store, talk } = session;
    const total = Object.values(await store.jobs.count()).reduce((sum, count) => sum + count, 0);
    const progress = new ProgressLine(host.terminal.stderr, talk.style, !talk.isQuiet && !talk.isJson);
    const living = await livingWorkers(session);
    const report = await verifyDatabase(
      store,
      { isWorkerAlive: (worker) => living.has(worker) },
      (jobs) => progress.show(Math.min(1, jobs / Math.max(1, total)), `${jobs} of ${total} jobs`, false),
    );
    await progress.clear();
    if (flags.json) await writeJson(host, report);
    else {
      const lines = report.violations.map(({ invariant, job, message }) =>
        `${invariant}  ${job === null ? "the database" : `job ${job}`} ${message}\n`
      );
      await host.terminal.stdout.write(lines.join(""));
    }
    const count = report.violations.length;
    await talk.say(`${report.jobs} jobs checked, ${count} ${count === 1 ? "violation" : "violations"}`);
    return count === 0 ? EXIT.completed : EXIT.io;
  });
}

/** Workers that are not proven dead; a dead one's jobs were settled when this command opened the database. */
async function livingWorkers(session: Session): Promise<Set<string>> {
  const living = new Set<string>();
  for (const worker of await session.store.workers.open()) {
    if (!await isProvenDead(session, worker)) living.add(worker.id);
  }
  return living;
}
