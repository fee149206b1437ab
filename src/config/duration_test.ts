import assert from "node:assert/strict";
import { isGlassboxError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import { formatDuration, parseDuration } from "./duration.ts";

const READ: readonly [string, number][] = [
  ["500ms", 500],
  ["0", 0],
  ["0ms", 0],
  ["90", 90_000],
  ["0.25", 250],
  ["10m", 600_000],
  ["1.5h", 5_400_000],
  ["1h30m", 5_400_000],
  ["1d2h3m4s5ms", 93_784_005],
  [" 2s ", 2_000],
  ["366d", LIMITS.timeoutMsMax],
];

for (const [text, ms] of READ) {
  Deno.test(`parseDuration() reads ${JSON.stringify(text)} as ${ms} ms`, () => {
    assert.equal(parseDuration(text, "--timeout"), ms);
  });
}

const REFUSED = [
  "",
  " ",
  "-1",
  "-1s",
  "+1s",
  "NaN",
  "Infinity",
  "1e999",
  "1e3",
  "0x10",
  "10 m",
  "10M",
  "10min",
  "30m1h",
  "1m1m",
  "m",
  ".5s",
  "1.s",
  "1,5s",
  "367d",
  "366d1ms",
  "31622401",
  "9".repeat(400),
];

for (const text of REFUSED) {
  Deno.test(`parseDuration() refuses ${JSON.stringify(text.slice(0, 20))} when asked for --timeout`, () => {
    assert.throws(() => parseDuration(text, "--timeout"), (error) => {
      assert.ok(isGlassboxError(error, "usage"));
      assert.match(error.message, /^Cannot use --timeout as it must be a duration such as 500ms/);
      assert.deepEqual(error.fields.map(({ field }) => field), ["--timeout"]);
      return true;
    });
  });
}

const WRITTEN: readonly [number, string][] = [
  [0, "0s"],
  [-5, "0s"],
  [999, "999ms"],
  [1_250, "1s250ms"],
  [90_000, "1m30s"],
  [5_400_000, "1h30m"],
  [93_784_005, "1d2h3m4s5ms"],
  [1_000.4, "1s"],
];

for (const [ms, text] of WRITTEN) {
  Deno.test(`formatDuration() writes ${ms} ms as ${text}`, () => assert.equal(formatDuration(ms), text));
}

Deno.test("formatDuration() is read back as the same time when the time is whole milliseconds", () => {
  for (let ms = 0; ms < LIMITS.timeoutMsMax; ms = ms * 3 + 7) {
    assert.equal(parseDuration(formatDuration(ms), "x"), ms);
  }
});
