import { z } from "zod";
import { GlassboxError } from "../../core/errors.ts";
import { EventStream } from "../event_stream.ts";
import { type Call, type Route, route } from "../route.ts";
import { SocketQuery } from "../socket.ts";
import { checkPosition, parsePosition, START, watch, WatchMessage } from "../watch.ts";

const POSITION_ABOUT = "The id of the last message that was got, such as L41.E9: what comes after it is sent";

const StreamQuery = z.strictObject({ after: z.string().optional().describe(POSITION_ABOUT) });

/** The path of a job's WebSocket. */
export const SOCKET_PATH = "/ws/:id";

export const liveRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/v1/jobs/:id/stream",
    operation: "watchJob",
    summary: "Watch a job: first all that is stored, then what comes, as server-sent events",
    query: StreamQuery,
    headers: { "Last-Event-ID": `${POSITION_ABOUT}. Goes before the query` },
    replies: [{
      status: 200,
      about: "The messages; an event's name is the message's type",
      schema: WatchMessage,
      mediaTypes: ["text/event-stream"],
    }],
    refuses: ["usage", "job_not_found", "shutting_down", "too_many_watchers"],
    answer: streamJob,
  }),
  route({
    method: "GET",
    path: SOCKET_PATH,
    operation: "watchJobBySocket",
    summary: "The same messages over a WebSocket, one JSON text each",
    query: SocketQuery,
    replies: [{ status: 101, about: "The socket is open" }],
    refuses: ["usage", "shutting_down", "too_many_watchers"],
    answer() {
      throw new GlassboxError("usage", "Cannot answer as this path must be opened as a WebSocket");
    },
  }),
];

async function streamJob(call: Call<z.output<typeof StreamQuery>>): Promise<Response> {
  const { request, params, query, context: { store, host, watchers, report } } = call;
  const { id } = await store.jobs.get(params.id!);
  const position = request.headers.get("last-event-id") ?? query.after;
  const from = position === undefined ? START : parsePosition(position);
  await checkPosition(store, id, from);
  const headers = {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  };
  if (request.method === "HEAD") return new Response(null, { headers });
  const place = watchers.enter();
  const stream = new EventStream(
    watch(store, id, from, place),
    place,
    host.clock,
    (error) => report(error, call.requestId),
  );
  // A watcher that goes away before the body is first read cancels nothing.
  if (request.signal.aborted) stream.close();
  else request.signal.addEventListener("abort", () => stream.close(), { once: true });
  return new Response(stream.body, { headers });
}
