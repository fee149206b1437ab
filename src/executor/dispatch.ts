import { z } from "zod";
import { concatBytes } from "../core/bytes.ts";
import { CONTROL_FD, type ControlMessage } from "../core/control.ts";
import { EXIT } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { fieldErrors } from "../core/schema.ts";
import { type FunctionTask, taskFailure, type TaskRegistry } from "../core/task.ts";
import { kbaseSurroundings } from "./kbase_surroundings.ts";
import { taskContext } from "./task_context.ts";

/** What the executor writes to the standard input of a child that is to run a task. */
const Order = z.lazy(() =>
  z.strictObject({
    task: z.string(),
    input: z.json(),
    jobId: z.string(),
    epoch: z.int(),
    directory: z.string(),
  })
);

/**
 * The child's end of a function task: reads its order from standard input, runs the task, and reports over the
 * control channel. Returns the exit code; every outcome that has words was sent before it.
 */
export async function dispatch(host: Host, registry: TaskRegistry): Promise<number> {
  const control = host.terminal.descriptor(CONTROL_FD);
  const send = (message: ControlMessage) => control.write(`${JSON.stringify(message)}\n`);
  const order = await readOrder(host);
  const task = registry.get(order.task);
  if (task === undefined || task.isolation === "program") {
    await send({
      type: "failure",
      code: "task_failed",
      message: `Cannot find task ${order.task} in this glassbox`,
    });
    return EXIT.software;
  }
  const input = task.input.safeParse(order.input);
  if (!input.success) {
    const fields = fieldErrors("input", input.error);
    await send({
      type: "failure",
      code: "invalid_input",
      message: "Cannot run the task with this input",
      fields,
    });
    return EXIT.data;
  }
  return await runTask(host, task, order, input.data, send);
}

async function runTask(
  host: Host,
  task: FunctionTask,
  order: z.infer<typeof Order>,
  input: unknown,
  send: (message: ControlMessage) => Promise<void>,
): Promise<number> {
  const abort = new AbortController();
  const off = host.signals.on(() => abort.abort());
  const { jobId, epoch, directory } = order;
  const kbase = kbaseSurroundings(host.processes.environment);
  const { files, databases } = host;
  const context = taskContext({ jobId, epoch, directory, signal: abort.signal, files, databases, kbase }, {
    send,
    log: (stream, bytes) => host.terminal[stream].write(bytes),
    save: (path, bytes) => host.files.writeAtomic(path, bytes),
  });
  try {
    const result = await task.run(context, input);
    await send({ type: "result", value: result as never });
    return EXIT.completed;
  } catch (error) {
    // KBase's callers are promised the stack; it depends on how the program was built, so no other job keeps it.
    const stack = kbase !== null && error instanceof Error ? error.stack : undefined;
    const trace = stack === undefined ? {} : { trace: stack.slice(0, TRACE_LENGTH_MAX) };
    await send({ type: "failure", ...taskFailure(error), ...trace } as ControlMessage);
    return EXIT.failed;
  } finally {
    off();
  }
}

const TRACE_LENGTH_MAX = 16_000;

async function readOrder(host: Host): Promise<z.infer<typeof Order>> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of host.terminal.stdin.read()) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > 2 * LIMITS.inputBytesMax) break;
  }
  return Order.parse(JSON.parse(new TextDecoder().decode(concatBytes(pieces))));
}
