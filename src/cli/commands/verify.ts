import { databasePath } from "../../config/resolve.ts";
import { EXIT } from "../../core/errors.ts";
import type { VerifyReport } from "../../verify/verify.ts";
import { type Cli, type GlobalFlags, prepare } from "../session.ts";
import type { Talk } from "../talk.ts";
import { writeJson } from "./run.ts";
import { Findings } from "./verify_findings.ts";
import { read, type ReaderFlags, readInChild, reportToParent } from "./verify_reader.ts";

export type VerifyFlags = GlobalFlags & ReaderFlags & { readonly json?: boolean | undefined };

/** `glassbox verify`: checks every invariant on a database, and prints what breaks. Exit 74 when something does. */
export async function verify(cli: Cli, flags: VerifyFlags): Promise<number> {
  if (flags.reader) return await reportToParent(cli, flags);
  const { settings, talk } = await prepare(cli, flags);
  const findings = new Findings(cli, talk);
  const path = databasePath(settings.database);
  // A server parses what it stores before we see it; a file is read in here, by a library that may end the process.
  const exitCode = path === null
    ? await read(cli, flags, null, (message) => findings.hear(message))
    : await readInChild(cli, flags, { settings, talk }, findings);
  await findings.hide();
  if (exitCode !== EXIT.completed) return exitCode;
  return await present(cli, talk, findings, flags.json ?? false);
}

async function present({ host }: Cli, talk: Talk, report: VerifyReport, json: boolean): Promise<number> {
  const { jobs, violations } = report;
  if (json) await writeJson(host, { jobs, violations });
  else {
    const lines = violations.map(({ invariant, job, message }) =>
      `${invariant}  ${job === null ? "the database" : `job ${job}`} ${message}\n`
    );
    await host.terminal.stdout.write(lines.join(""));
  }
  const count = violations.length;
  await talk.say(`${jobs} jobs checked, ${count} ${count === 1 ? "violation" : "violations"}`);
  return count === 0 ? EXIT.completed : EXIT.io;
}
