import type { App } from "./app.ts";
import { checkEnvelope } from "./guard.ts";
import type { KbaseService } from "./kbase_service.ts";
import { problemResponse } from "./problem.ts";

/**
 * A KBase dynamic service: JSON-RPC on whatever path the deployment gives, and nothing else, so that it may be
 * open to all. Who may do what is up to each method's authentication.
 */
export function createKbaseApp(
  service: KbaseService,
  { newRequestId, drain }: { readonly newRequestId: () => string; readonly drain: () => void },
): App {
  return {
    async fetch(request) {
      const requestId = newRequestId();
      try {
        checkEnvelope(request);
      } catch (error) {
        return problemResponse(error, requestId);
      }
      if (request.method === "GET" && new URL(request.url).pathname === "/health") return healthy();
      return await service.answer(request, requestId);
    },
    upgrade: (request) => service.answer(request, newRequestId()),
    drain,
    endWatchers: () => undefined,
  };
}

function healthy(): Response {
  return new Response(JSON.stringify({ status: "ok" }), { headers: { "content-type": "application/json" } });
}
