import { z } from "zod";
import { openApi } from "../openapi.ts";
import { json, type Route, route } from "../route.ts";
import { kbaseRoutes } from "./kbase.ts";
import { jobRoutes } from "./jobs.ts";
import { liveRoutes } from "./live.ts";
import { outputRoutes } from "./output.ts";
import { pageRoutes } from "./page.ts";
import { portraitRoutes } from "./portrait.ts";
import { scheduleRoutes } from "./schedules.ts";
import { serviceRoutes } from "./service.ts";

const openApiRoute = route({
  method: "GET",
  path: "/openapi.json",
  operation: "openApi",
  summary: "This interface as OpenAPI 3.1",
  query: z.strictObject({}),
  replies: [{ status: 200, about: "The document", schema: z.unknown() }],
  refuses: [],
  answer: () => json(openApi(ROUTES)),
});

/** Every route there is. Routing, the answers to wrong methods and /openapi.json are made from this table. */
export const ROUTES: readonly Route[] = [
  ...jobRoutes,
  ...outputRoutes,
  ...liveRoutes,
  ...scheduleRoutes,
  ...portraitRoutes,
  ...serviceRoutes,
  openApiRoute,
  ...kbaseRoutes,
  ...pageRoutes,
];
