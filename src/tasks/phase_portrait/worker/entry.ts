/** The code of a worker: what `deno task portrait-worker` bundles into `worker.gen.ts`, and the page starts as a file. */
import type { WorkerOrder, WorkerWord } from "./protocol.ts";
import { serveOrder } from "./serve.ts";

const scope = globalThis as unknown as {
  onmessage: ((event: { data: WorkerOrder }) => void) | null;
  postMessage(word: WorkerWord, transfer: Transferable[]): void;
};

scope.onmessage = ({ data }) => serveOrder(data, (word, transfer = []) => scope.postMessage(word, transfer));
