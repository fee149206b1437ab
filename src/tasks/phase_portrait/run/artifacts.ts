import type { SolvedBlock } from "./solve_block.ts";
import { allTimes, type Setup } from "./setup.ts";

/** `ic,t,states…`, a line for each row. Numbers are written so that reading them gives the same doubles. */
export function csvOf(setup: Setup, blocks: readonly SolvedBlock[]): string {
  const { system, backwardTimes, request } = setup, times = allTimes(setup), n = system.dimension;
  const head = ["ic", request.independent ?? "t", ...system.states].map(quoted).join(",");
  const lines = [head];
  let ic = 0;
  for (const { starts, values } of blocks) {
    let at = 0;
    for (const { rows, rowsBefore } of starts) {
      const first = Math.max(0, backwardTimes.length - 1) - rowsBefore;
      for (let row = 0; row < rows; row++, at += n) {
        lines.push(`${ic},${times[first + row]},${values.subarray(at, at + n).join(",")}`);
      }
      ic++;
    }
  }
  return lines.join("\r\n") + "\r\n";
}

function quoted(name: string): string {
  return /[",\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}

/**
 * Little-endian: the length of a JSON header as 4 bytes, the header padded by spaces to a multiple of 8 with those 4, then
 * all times and all rows as float64.
 */
export function binaryOf(setup: Setup, blocks: readonly SolvedBlock[]): Uint8Array {
  const times = allTimes(setup), starts = blocks.flatMap((block) => block.starts);
  const header = JSON.stringify({
    format: "glassbox-trajectories",
    version: 1,
    states: setup.system.states,
    times: times.length,
    rows: starts.map(({ rows }) => rows),
    first_rows: starts.map(({ rowsBefore }) => Math.max(0, setup.backwardTimes.length - 1) - rowsBefore),
  });
  const text = new TextEncoder().encode(header.padEnd(header.length + ((8 - ((header.length + 4) % 8)) % 8)));
  const count = times.length + blocks.reduce((sum, { values }) => sum + values.length, 0);
  const out = new Uint8Array(4 + text.length + 8 * count), view = new DataView(out.buffer);
  view.setUint32(0, text.length, true);
  out.set(text, 4);
  let at = 4 + text.length;
  for (const numbers of [times, ...blocks.map(({ values }) => values)]) {
    for (const value of numbers) {
      view.setFloat64(at, value, true);
      at += 8;
    }
  }
  return out;
}
