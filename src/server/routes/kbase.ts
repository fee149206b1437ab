import { z } from "zod";
import { GlassboxError } from "../../core/errors.ts";
import { type Route, route } from "../route.ts";

/** The methods of this build as a KBase module, beside the rest; see docs/kbase.md. */
export const kbaseRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/",
    operation: null,
    summary: "KBase JSON-RPC",
    query: z.object({}),
    replies: [{ status: 200, about: "The answer to the call" }],
    refuses: [],
    answer({ request, requestId, context }) {
      if (context.kbase !== null) return context.kbase.answer(request, requestId);
      throw new GlassboxError("not_found", "Cannot answer JSON-RPC as this server offers no methods");
    },
  }),
];
