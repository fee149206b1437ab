/** Follows a job of a server by server-sent events, as a page would. */
import { fromBase64 } from "../../src/core/bytes.ts";

export interface Line {
  readonly seq: number;
  readonly stream: "stdout" | "stderr";
  readonly end: "newline" | "cut" | "eof";
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** The job's lines, each once, as they come. Ends with the job; throws when the stream ends before it. */
export async function* watchJob(url: string, jobId: string): AsyncGenerator<Line> {
  for await (const message of watchMessages(url, jobId)) {
    if (message.type === "line") yield lineOf(message);
  }
}

/** Everything a watcher is told, as it comes, up to the end of the job; throws when the stream ends before it. */
export async function* watchMessages(url: string, jobId: string): AsyncGenerator<Message> {
  const response = await fetch(`${url}/api/v1/jobs/${jobId}/stream`);
  if (!response.ok) throw new Error(`Cannot watch job ${jobId}: ${response.status} ${await response.text()}`);
  for await (const message of messagesOf(response.body!)) {
    if (message.type === "end") return;
    yield message;
  }
  throw new Error(`The stream of job ${jobId} ended before the job`);
}

export interface Message {
  readonly type: string;
  readonly seq: number;
  readonly stream: Line["stream"];
  readonly end: Line["end"];
  readonly text: string;
  readonly base64?: string;
}

async function* messagesOf(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Message> {
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      const data = block.split("\n").find((line) => line.startsWith("data: "));
      if (data !== undefined) yield JSON.parse(data.slice("data: ".length));
    }
  }
}

function lineOf({ seq, stream, end, text, base64 }: Message): Line {
  const bytes = base64 === undefined ? new TextEncoder().encode(text) : fromBase64(base64);
  return { seq, stream, end, text, bytes };
}
