import { formatDuration } from "../config/duration.ts";
import { displayCut } from "../core/display.ts";
import type { ExitEvidence, Job, JobEvent } from "../core/job.ts";
import type { JobDocument } from "./job_document.ts";
import type { Session } from "./session.ts";
import { createStyle, stateText, wantsColor } from "./style.ts";
import { table } from "./table.ts";

/** A job for people: what it was, how it ended, what happened, what it left. */
export async function showJob(
  session: Session,
  document: JobDocument,
  events: readonly JobEvent[],
): Promise<void> {
  const { stdout } = session.host.terminal;
  const style = createStyle(wantsColor(session.settings.color, stdout));
  const label = (text: string, _row: number, column: number) => column === 0 ? style.dim(text) : text;
  const { job, attempts, artifacts, digest } = document;
  const evidence = attempts.at(-1)?.evidence ?? null;
  const facts = [
    ["job", job.id],
    ["task", job.task],
    ["state", stateText(style, job.state)],
    ["input", displayCut(JSON.stringify(job.input), 400)],
    ...(job.key === null ? [] : [["key", displayCut(job.key, 200)]]),
    ...(job.retryOf === null ? [] : [["retry of", job.retryOf]]),
    ...(job.schedule === null || job.dueAtMs === null
      ? []
      : [["schedule", `${job.schedule}, due ${new Date(job.dueAtMs).toISOString()}`]]),
    ["submitted", new Date(job.createdAtMs).toISOString()],
    ...(job.cancel === null ? [] : [["cancel", cancelText(job.cancel)]]),
    ...(job.failure === null
      ? []
      : [["failure", `${style.red(job.failure.code)}: ${displayCut(job.failure.message, 400)}`]]),
    ...(job.result === null ? [] : [["result", displayCut(JSON.stringify(job.result), 400)]]),
    ...(evidence === null ? [] : evidenceFacts(evidence)),
    ...(digest === null ? [] : [["digest", digest]]),
  ];
  await stdout.write(table(facts, label));
  if (artifacts.length > 0) {
    await stdout.write(`\n${style.bold("artifacts")}\n`);
    await stdout.write(table(
      artifacts.map((
        { name, sizeBytes, mediaType, sha256 },
      ) => [`  ${name}`, `${sizeBytes} bytes`, mediaType, sha256.slice(0, 16)]),
      (text) => text,
    ));
  }
  await stdout.write(`\n${style.bold("events")}\n`);
  await stdout.write(table(
    events.map((
      event,
    ) => [
      `  ${event.seq}`,
      new Date(event.atMs).toISOString().slice(11, 23),
      event.kind,
      displayCut(JSON.stringify(event.data), 100),
    ]),
    (text, _row, column) => column === 1 ? style.dim(text) : text,
  ));
}

function cancelText({ actor, reason }: NonNullable<Job["cancel"]>): string {
  return `asked by ${displayCut(actor, 100)}${reason === "" ? "" : `: ${displayCut(reason, 200)}`}`;
}

function evidenceFacts(evidence: ExitEvidence): string[][] {
  const {
    exitCode,
    signal,
    wallMs,
    cpuMs,
    peakMemoryBytes,
    lineCount,
    outputBytes,
    droppedLines,
    lastLines,
  } = evidence;
  const parts = [
    exitCode === null ? null : `exit code ${exitCode}`,
    signal,
    `took ${formatDuration(wallMs)}`,
    cpuMs === null ? null : `cpu ${formatDuration(cpuMs)}`,
    peakMemoryBytes === null ? null : `peak memory ${(peakMemoryBytes / 1048576).toFixed(1)} MiB`,
    `${lineCount} ${lineCount === 1 ? "line" : "lines"}, ${outputBytes} ${
      outputBytes === 1 ? "byte" : "bytes"
    }`,
    droppedLines === 0 ? null : `${droppedLines} lines dropped`,
  ];
  return [
    ["ended", parts.filter((part) => part !== null).join(", ")],
    ...lastLines.map((line, index) => [index === 0 ? "last lines" : "", line]),
  ];
}
