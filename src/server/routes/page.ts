import { z } from "zod";
import { assets } from "../web/assets.gen.ts";
import { type Route, route } from "../route.ts";

/** Solving happens in WebAssembly that the page and its workers make themselves; nothing else may be run. */
const SOLVING_POLICY =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; object-src 'none'; base-uri 'none'; form-action 'self'; " +
  "frame-ancestors 'none'";

/** The pages and their parts, as compiled into the binary. */
export const pageRoutes: readonly Route[] = assets().map((asset) =>
  route({
    method: "GET",
    path: asset.path,
    operation: null,
    summary: "A part of the page",
    query: z.object({}),
    replies: [{ status: 200, about: "Its text", mediaTypes: [asset.mediaType] }],
    refuses: [],
    answer({ request }) {
      const headers = {
        "content-type": `${asset.mediaType}; charset=utf-8`,
        "cache-control": "no-cache",
        etag: `"${asset.sha256}"`,
        ...(asset.path.startsWith("/phase") ? { "content-security-policy": SOLVING_POLICY } : {}),
      };
      const isKnown = request.headers.get("if-none-match") === headers.etag;
      return isKnown ? new Response(null, { status: 304, headers }) : new Response(asset.text, { headers });
    },
  })
);
