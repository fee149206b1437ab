import { z } from "zod";
import { GlassboxError } from "../../core/errors.ts";
import { LAUNCH_MODES } from "../../core/launch.ts";
import type { Task } from "../../core/task.ts";
import { VERSION } from "../../core/version.ts";
import { findTask } from "../../executor/submit.ts";
import { toWorkerDocument, WorkerDocument } from "../documents.ts";
import { json, type Route, route } from "../route.ts";

const TaskDocument = z.strictObject({
  name: z.string(),
  summary: z.string(),
  isolation: z.enum(["child", "inline", "program"]),
  url: z.string(),
}).meta({ id: "Task", description: "A kind of work" });

const TaskDetail = z.strictObject({
  ...TaskDocument.shape,
  input: z.unknown().describe("JSON Schema of its input"),
  output: z.unknown().describe("JSON Schema of its result"),
}).meta({ id: "TaskDetail" });

const TaskList = z.strictObject({ tasks: z.array(TaskDocument) }).meta({ id: "TaskList" });

const WorkerList = z.strictObject({ workers: z.array(WorkerDocument) }).meta({ id: "WorkerList" });

const About = z.strictObject({
  version: z.string(),
  mode: z.enum(LAUNCH_MODES),
  why: z.string().describe("Why that mode"),
  engine: z.string(),
  engineVersion: z.string(),
  platform: z.string(),
  compiled: z.boolean(),
  binary: z.string(),
  pid: z.int(),
  startedAtMs: z.number(),
  isDraining: z.boolean(),
  watchers: z.int(),
  database: z.strictObject({ id: z.string(), schema: z.int(), display: z.string() }),
  worker: z.strictObject({ id: z.string(), running: z.array(z.string()).readonly() }).nullable(),
}).meta({ id: "About", description: "What this server is" });

const Status = z.strictObject({ status: z.string() }).meta({ id: "Status" });

const NoQuery = z.strictObject({});

export const serviceRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/v1/tasks",
    operation: "listTasks",
    summary: "What can run here",
    query: NoQuery,
    replies: [{ status: 200, about: "The tasks", schema: TaskList }],
    refuses: [],
    answer: ({ context }) => json({ tasks: context.registry.list().map(toTaskDocument) }),
  }),
  route({
    method: "GET",
    path: "/api/v1/tasks/:name",
    operation: "getTask",
    summary: "One task with the JSON Schemas of its input and result",
    query: NoQuery,
    replies: [{ status: 200, about: "The task", schema: TaskDetail }],
    refuses: ["task_unknown"],
    answer({ params, context }) {
      const task = findTask(context.registry, params.name!);
      const input = z.toJSONSchema(task.input, { io: "input", unrepresentable: "any" });
      const output = z.toJSONSchema(task.output, { io: "output", unrepresentable: "any" });
      return json({ ...toTaskDocument(task), input, output });
    },
  }),
  route({
    method: "GET",
    path: "/api/v1/workers",
    operation: "listWorkers",
    summary: "The processes that run jobs of this database",
    query: NoQuery,
    replies: [{ status: 200, about: "Those that have not said goodbye", schema: WorkerList }],
    refuses: [],
    answer: async ({ context }) =>
      json({ workers: (await context.store.workers.open()).map(toWorkerDocument) }),
  }),
  route({
    method: "GET",
    path: "/api/v1/about",
    operation: "about",
    summary: "What this server is: mode, database, version, engine",
    query: NoQuery,
    replies: [{ status: 200, about: "This server", schema: About }],
    refuses: [],
    answer({ context }) {
      const { host, launch, store } = context;
      const { engine, engineVersion, platform, compiled, binary } = host.about;
      return json(
        {
          version: VERSION,
          mode: launch.mode,
          why: launch.why,
          engine,
          engineVersion,
          platform,
          compiled,
          binary,
          pid: host.processes.self.pid,
          startedAtMs: context.startedAtMs,
          isDraining: context.isDraining(),
          watchers: context.watchers.count,
          database: { id: store.id, schema: store.schema, display: store.display },
          worker: context.worker(),
        } satisfies z.infer<typeof About>,
      );
    },
  }),
  route({
    method: "GET",
    path: "/health",
    operation: "health",
    summary: "Whether the process answers; asks nothing of the database",
    query: NoQuery,
    replies: [{ status: 200, about: "It does", schema: Status }],
    refuses: [],
    answer: () => json({ status: "ok" }),
  }),
  route({
    method: "GET",
    path: "/ready",
    operation: "ready",
    summary: "Whether jobs can be submitted: reads from the database",
    query: NoQuery,
    replies: [{ status: 200, about: "They can", schema: Status }],
    refuses: ["shutting_down", "storage_busy", "storage_io", "storage_unreachable"],
    async answer({ context }) {
      if (context.isDraining()) {
        throw new GlassboxError("shutting_down", "Cannot take jobs any more as this server is shutting down");
      }
      await context.store.jobs.find("ready");
      return json({ status: "ready" });
    },
  }),
];

function toTaskDocument({ name, summary, isolation }: Task): z.infer<typeof TaskDocument> {
  return { name, summary, isolation, url: `/api/v1/tasks/${encodeURIComponent(name)}` };
}
