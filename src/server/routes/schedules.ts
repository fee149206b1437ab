import { z } from "zod";
import { CATCH_UP_RULES, ScheduleDefinition, ScheduledRequest } from "../../core/schedule.ts";
import { outlook, prepareSchedule } from "../../executor/schedule.ts";
import { readObject } from "../body.ts";
import type { ServerContext } from "../context.ts";
import { json, type Route, route } from "../route.ts";

const ScheduleDocument = z.strictObject({
  name: z.string(),
  cron: z.string(),
  timeZone: z.string(),
  catchUp: z.enum(CATCH_UP_RULES),
  request: ScheduledRequest,
  paused: z.boolean(),
  createdAtMs: z.number(),
  settledUntilMs: z.number().describe("All due times up to this one have been dealt with"),
  nextMs: z.array(z.number()).describe("The next three due times; none while it is paused"),
  warning: z.string().nullable().describe("Said of a schedule that fires more often than once a minute"),
}).meta({ id: "Schedule", description: "When to submit which request" });

const ScheduleList = z.strictObject({ schedules: z.array(ScheduleDocument) }).meta({ id: "ScheduleList" });

const NoQuery = z.strictObject({});
const PATH = "/api/v1/schedules/:name";

function shown(context: ServerContext, schedule: Parameters<typeof outlook>[0]): Response {
  return json(outlook(schedule, context.host.clock.nowMs()));
}

export const scheduleRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/v1/schedules",
    operation: "listSchedules",
    summary: "All schedules, by name",
    query: NoQuery,
    replies: [{ status: 200, about: "The schedules", schema: ScheduleList }],
    refuses: [],
    async answer({ context: { store, host } }) {
      const schedules = await store.schedules.list();
      return json({ schedules: schedules.map((one) => outlook(one, host.clock.nowMs())) });
    },
  }),
  route({
    method: "GET",
    path: PATH,
    operation: "getSchedule",
    summary: "One schedule with its next times",
    query: NoQuery,
    replies: [{ status: 200, about: "The schedule", schema: ScheduleDocument }],
    refuses: ["schedule_not_found"],
    answer: async ({ params, context }) => shown(context, await context.store.schedules.get(params.name!)),
  }),
  route({
    method: "PUT",
    path: PATH,
    operation: "putSchedule",
    summary: "Add a schedule or replace it; an equal one stays as it is",
    query: NoQuery,
    body: { schema: ScheduleDefinition.meta({ id: "ScheduleDefinition" }), required: true },
    replies: [
      { status: 201, about: "It was added", schema: ScheduleDocument },
      { status: 200, about: "It was there; this is how it is now", schema: ScheduleDocument },
    ],
    refuses: [
      "bad_json",
      "too_deep",
      "too_large",
      "invalid_input",
      "task_unknown",
      "schedule_exists",
      "unsupported_media_type",
      "request_timeout",
    ],
    async answer({ request, params, context }) {
      const { host, registry, store } = context;
      const body = await readObject(request, host.clock, { required: true });
      const definition = await prepareSchedule(registry, params.name!, body, host.clock.nowMs());
      const { schedule, outcome } = await store.schedules.put(params.name!, definition, { replace: true });
      const document = outlook(schedule, host.clock.nowMs());
      return json(document, { status: outcome === "created" ? 201 : 200 });
    },
  }),
  route({
    method: "DELETE",
    path: PATH,
    operation: "removeSchedule",
    summary: "Remove a schedule; jobs that it fired stay",
    query: NoQuery,
    replies: [{ status: 200, about: "What was removed", schema: ScheduleDocument }],
    refuses: ["schedule_not_found"],
    answer: async ({ params, context }) => shown(context, await context.store.schedules.remove(params.name!)),
  }),
  route({
    method: "POST",
    path: `${PATH}/pause`,
    operation: "pauseSchedule",
    summary: "Fire no more until it is resumed",
    query: NoQuery,
    replies: [{ status: 200, about: "The schedule", schema: ScheduleDocument }],
    refuses: ["schedule_not_found"],
    answer: async ({ params, context }) => shown(context, await context.store.schedules.pause(params.name!)),
  }),
  route({
    method: "POST",
    path: `${PATH}/resume`,
    operation: "resumeSchedule",
    summary: "Fire again from now on; times of the pause are not caught up",
    query: NoQuery,
    replies: [{ status: 200, about: "The schedule", schema: ScheduleDocument }],
    refuses: ["schedule_not_found"],
    answer: async ({ params, context }) => shown(context, await context.store.schedules.resume(params.name!)),
  }),
];
