/** Turns of the event loop for streams that could fill every one of them. */

import { setImmediate } from "node:timers";
import { engine } from "./runtime.ts";

/** All streams together work so long in one turn, and a piece more. */
const TURN_MS = 4;
/** After so much work the kernel is asked what has come in meanwhile. */
const LISTEN_AFTER_MS = 10;
/** Deno's loop asks the kernel about sockets when it has nothing else to do, or at every 61st turn; Bun's at each. */
const TURNS_TO_LISTEN = engine === "deno" ? 64 : 1;

const WAITING: (() => void)[] = [];
let turnMs = 0;
let workMs = 0;

/** Tells that a stream has worked so long. */
export function spend(ms: number): void {
  turnMs += ms;
  workMs += ms;
}

/** True when whoever wants to work must wait for a turn of its own. */
export function isTurnOver(): boolean {
  return turnMs >= TURN_MS || WAITING.length > 0;
}

/**
 * Waits for a turn of the event loop that no other stream uses: if each of them had a part of every turn, timers and
 * requests would wait for all of them together.
 */
export function ownTurn(): Promise<void> {
  return new Promise((resolve) => {
    WAITING.push(resolve);
    if (WAITING.length === 1) schedule();
  });
}

function schedule(): void {
  const listens = workMs >= LISTEN_AFTER_MS;
  if (listens) workMs = 0;
  giveAfter(listens ? TURNS_TO_LISTEN : 1);
}

function giveAfter(turns: number): void {
  setImmediate(turns === 1 ? give : () => giveAfter(turns - 1));
}

function give(): void {
  turnMs = 0;
  WAITING.shift()!();
  if (WAITING.length > 0) schedule();
}
