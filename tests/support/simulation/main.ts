/** Simulates worlds in a process of its own: `deno run -A main.ts FIRST_SEED COUNT [STRIDE]`; one JSON line a verdict. */
import { sha256 } from "@noble/hashes/sha2.js";
import { SimulatedDatabase } from "./database.ts";
import { current, simulate } from "./simulate.ts";

const [first = 1, count = 1, stride = 1] = Deno.args.map(Number);

// The runtime's own digest is made on another thread and answers when it likes; here it answers at once.
crypto.subtle.digest = (_name, data) =>
  Promise.resolve(
    sha256(new Uint8Array(data instanceof ArrayBuffer ? data : (data as Uint8Array<ArrayBuffer>).slice()))
      .slice().buffer,
  );

// Each reason that the runtime makes up for an abort is an error of its own, which nobody looks at here.
const abort = AbortController.prototype.abort;
const ABORTED = new Error("aborted");
AbortController.prototype.abort = function (reason = ABORTED) {
  abort.call(this, reason);
};

// What nobody catches ends a real process.
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  const { reason } = event;
  current?.violate("crash", null, `nobody caught ${reason instanceof Error ? reason.stack : String(reason)}`);
});

// Capturing stacks takes a part of the time; one world alone is one to be looked at.
if (count > 1) Error.stackTraceLimit = 0;

const database = new SimulatedDatabase();
for (let index = 0; index < count; index++) {
  const { trace, ...verdict } = await simulate((first + index * stride) >>> 0, database);
  const isBroken = verdict.violations.length > 0;
  console.log(JSON.stringify(isBroken ? { ...verdict, trace } : verdict));
  if (isBroken) break;
}
