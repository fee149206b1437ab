import type { ControlMessage } from "../core/control.ts";
import type { StreamName } from "../core/job.ts";
import type { TaskContext } from "../core/task.ts";

/** How a task's words reach whoever records them: over the control channel, or by a call. */
export interface TaskOutlet {
  send(message: ControlMessage): Promise<void>;
  log(stream: StreamName, bytes: Uint8Array): Promise<void>;
  /** Writes the bytes of an artifact into the scratch directory, under this path. */
  save(path: string, bytes: Uint8Array): Promise<void>;
}

/** The one TaskContext there is; what differs between a child and inline is only the outlet. */
export function taskContext(
  identity: Omit<TaskContext, "log" | "progress" | "event" | "artifact">,
  outlet: TaskOutlet,
): TaskContext {
  const encoder = new TextEncoder();
  let saved = 0;
  return {
    ...identity,
    log: (text, stream = "stdout") => outlet.log(stream, encoder.encode(`${text}\n`)),
    progress: (fraction, message, counts) =>
      outlet.send({
        type: "progress",
        fraction,
        ...(message === undefined ? {} : { message }),
        ...(counts === undefined ? {} : { counts }),
      }),
    event: (kind, data) => outlet.send({ type: "event", kind, data: data as never }),
    artifact: async (name, content, mediaType) => {
      const path = `${identity.directory}/.artifact-${++saved}`;
      await outlet.save(path, typeof content === "string" ? encoder.encode(content) : content);
      await outlet.send({ type: "artifact", name, path, ...(mediaType === undefined ? {} : { mediaType }) });
    },
  };
}
