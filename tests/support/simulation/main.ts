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

// What nobody catches ends a real process.
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  const { reason } = event;
  current?.violate("crash", null, `nobody caught ${reason instanceof Error ? reason.stack : String(reason)}`);
});

const database = new SimulatedDatabase();
for (let index = 0; index < count; index++) {
  const { trace, ...verdict } = await simulate((first + index * stride) >>> 0, database);
  console.log(JSON.stringify(verdict.violations.length > 0 ? { ...verdict, trace } : verdict));
}
