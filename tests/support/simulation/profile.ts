/** What a world is like: each seed draws its own subset and rates of actions and faults. */
import type { SeededRandom } from "../random.ts";

/** Weights of the actions, and chances of the mishaps, of one world. */
export interface Profile {
  /** An embedded file that all processes of one machine share, or a server with several machines around it. */
  readonly form: "embedded" | "server";
  readonly machines: number;
  /** Timers are late by up to this much, as on a busy machine. */
  readonly lateMs: number;
  readonly weights: Readonly<Record<ActionName, number>>;
  readonly chances: Readonly<Record<FaultName, number>>;
  /** Round trip of a call to a database server. */
  readonly latencyMs: number;
  /** Servers and workers at once. */
  readonly servicesMax: number;
  /** Programs die with the process that started them; else their remains are killed by whoever settles the job. */
  readonly diesWithParent: boolean;
}

export const ACTIONS = [
  "submit",
  "run",
  "serve",
  "cancel",
  "retry",
  "queue",
  "schedule",
  "prune",
  "drain",
  "watch",
  "kill",
  "stop",
  "reboot",
  "wallJump",
  "wait",
] as const;
export type ActionName = (typeof ACTIONS)[number];

export const FAULTS = [
  "fileNoSpace",
  "fileBroken",
  "spawn",
  "databaseFull",
  "databaseBroken",
  "databaseBusy",
  "lateRequest",
  "lostRequest",
  "lostAnswer",
  "hang",
] as const;
export type FaultName = (typeof FAULTS)[number];

const WEIGHTS: Readonly<Record<ActionName, number>> = {
  submit: 4,
  run: 1.5,
  serve: 2,
  cancel: 3,
  retry: 1,
  queue: 1.5,
  schedule: 0.5,
  prune: 0.5,
  drain: 1,
  watch: 1,
  kill: 3,
  stop: 2,
  reboot: 0.3,
  wallJump: 1,
  wait: 90,
};

/** Always there, or a world would show nothing. */
const STEADY: readonly ActionName[] = ["submit", "serve", "wait"];

/** Draws the profile of a world. */
export function drawProfile(random: SeededRandom): Profile {
  const form = random.next() < 0.6 ? "embedded" : "server";
  const weights = Object.fromEntries(ACTIONS.map((name) => {
    const isOn = STEADY.includes(name) || random.next() < (name === "schedule" ? 0.4 : 0.7);
    return [name, isOn ? WEIGHTS[name] * random.pick([0.5, 1, 1, 1.5]) : 0];
  })) as Record<ActionName, number>;
  const isCalm = random.next() < 0.3;
  const chances = Object.fromEntries(FAULTS.map((name) => {
    const isOn = !isCalm && random.next() < 0.35 && fits(name, form);
    return [name, isOn ? random.pick([0.002, 0.01, 0.03]) : 0];
  })) as Record<FaultName, number>;
  return {
    form,
    machines: form === "server" ? random.int(1, 3) : 1,
    lateMs: random.pick([100, 400, 800, 1_500]),
    weights,
    chances,
    latencyMs: form === "server" ? random.pick([2, 10, 40]) : 0,
    servicesMax: random.int(1, 3),
    diesWithParent: random.next() < 0.7,
  };
}

function fits(name: FaultName, form: Profile["form"]): boolean {
  if (["lateRequest", "lostRequest", "lostAnswer", "hang"].includes(name)) return form === "server";
  if (["databaseFull", "databaseBroken", "databaseBusy"].includes(name)) return form === "embedded";
  return true;
}
