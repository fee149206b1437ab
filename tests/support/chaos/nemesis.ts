/** What goes wrong in a chaos run, and when: all of it follows from the seed. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Weather } from "../fault_proxy.ts";
import type { SeededRandom } from "../random.ts";
import { CAN_FAKE_CLOCKS, type Machine, type World } from "./world.ts";

/** Longer than the lease of a worker over a server. */
const STOP_MS = { remote: 12_000, file: 2_000 } as const;

type Deed = (world: World, random: SeededRandom, until: AbortSignal) => Promise<string>;

const killAny: Deed = (world, random) => {
  const actor = random.pick(world.actors);
  actor.signal("SIGKILL");
  return Promise.resolve(`kill -9 ${actor.name}`);
};

const stopAny: Deed = async (world, random, until) => {
  const actor = random.pick(world.actors);
  const stopped = actor.running;
  // What a stopped worker runs goes on, and nobody can keep it from it.
  if (stopped !== null) world.stopped.add(stopped.pid);
  const ms = world.restartServer === null ? STOP_MS.file : STOP_MS.remote;
  actor.signal("SIGSTOP");
  await pause(ms, until);
  if (actor.running === stopped) actor.signal("SIGCONT");
  return `stopped ${actor.name} for ${ms} ms`;
};

const drainAny: Deed = async (world, random, until) => {
  const actor = random.pick(world.actors);
  const asked = actor.running;
  actor.signal("SIGTERM");
  await pause(random.int(0, 3_000), until);
  const insists = random.next() < 0.5 && actor.running === asked;
  if (insists) actor.signal("SIGTERM");
  return `SIGTERM ${actor.name}${insists ? ", twice" : ""}`;
};

const jumpClock: Deed = (world, random) => {
  const machine = random.pick(world.machines);
  const offset = random.pick([-86_400, -3_600, 0, 3_600, 86_400]);
  machine.setClock(offset);
  return Promise.resolve(`clock of ${machine.name} at ${offset} s`);
};

/** As a foreign program would that knows nothing of glassbox's own lock. */
const holdDatabase: Deed = async (world, random, until) => {
  const seconds = random.int(10, 30) / 10;
  const script =
    "import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10); " +
    'db.execute("begin immediate"); time.sleep(float(sys.argv[2])); db.execute("rollback")';
  const child = new Deno.Command("python3", {
    args: ["-c", script, world.sandbox.database, String(seconds)],
    stderr: "null",
  }).spawn();
  await Promise.race([child.status, pause(15_000, until)]);
  await child.status;
  return `database held for ${seconds} s`;
};

const spoilNetwork: Deed = (world, random, until) => {
  const weather = random.pick(
    [
      { kind: "cut" },
      { kind: "half-open" },
      { kind: "slow", delayMs: random.int(20, 400) },
    ] as const,
  );
  return spoil(random.pick(world.machines), weather, random.int(200, 4_000), until);
};

/**
 * Long enough that workers must stop by themselves, and others may take over: also what a worker left behind that was
 * killed there meanwhile.
 */
const cutOff: Deed = async (world, random, until) => {
  const machine = random.pick(world.machines);
  const spoiled = spoil(machine, { kind: random.pick(["cut", "half-open", "half-open"]) }, 14_000, until);
  random.pick(world.actors.filter((actor) => actor.machine === machine)).signal("SIGKILL");
  return await spoiled;
};

/** One at a time on each network, as the end of one would heal the other. */
async function spoil(machine: Machine, weather: Weather, ms: number, until: AbortSignal): Promise<string> {
  if (spoiled.has(machine)) return `network of ${machine.name} left as it is`;
  spoiled.add(machine);
  machine.network!.set(weather);
  await pause(ms, until);
  machine.network!.set({ kind: "fair" });
  spoiled.delete(machine);
  return `network of ${machine.name} ${weather.kind} for ${ms} ms`;
}

const spoiled = new WeakSet<Machine>();

const restartServer: Deed = async (world) => {
  await world.restartServer!();
  return "database server killed and started again";
};

function deedsFor(world: World): readonly Deed[] {
  const clocks = CAN_FAKE_CLOCKS ? [jumpClock] : [];
  const common = [stopAny, ...clocks, killAny, drainAny, killAny, killAny];
  return world.restartServer === null
    ? [...common, holdDatabase]
    : [cutOff, ...common, spoilNetwork, spoilNetwork, restartServer];
}

/** Does one thing after the other until `until`, some of them overlapping; gives what was done, in order of its end. */
export async function torment(world: World, random: SeededRandom, until: AbortSignal): Promise<string[]> {
  const done: string[] = [];
  const startMs = performance.now();
  const underWay: Promise<unknown>[] = [];
  // Something must be under way before it can go wrong.
  await pause(2_500, until);
  const deeds = deedsFor(world);
  for (let turn = 0; !until.aborted; turn++) {
    // Each kind once before any comes by chance, so that no run is without one.
    const deed = turn < deeds.length ? deeds[turn]! : random.pick(deeds);
    underWay.push(
      deed(world, random, until).then((what) =>
        done.push(`${Math.round(performance.now() - startMs)} ms: ${what}`)
      ),
    );
    await pause(random.int(200, world.restartServer === null ? 2_000 : 3_500), until);
  }
  await Promise.all(underWay);
  heal(world);
  return done;
}

/** Everything works again. All clocks go far ahead, so that whatever was put off until some wall time is due. */
function heal(world: World): void {
  writeFileSync(peacePath(world), "");
  for (const actor of world.actors) actor.signal("SIGCONT");
  for (const machine of world.machines) {
    machine.network?.set({ kind: "fair" });
    machine.setClock(CAN_FAKE_CLOCKS ? 3 * 86_400 : 0);
  }
}

/** Ends early when the run is over. */
export function pause(ms: number, until: AbortSignal): Promise<void> {
  if (until.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      until.removeEventListener("abort", done);
      resolve();
    }
    until.addEventListener("abort", done, { once: true });
  });
}

/** Where sentinels note that they are alive. */
export function pulsesPath(world: World): string {
  return join(world.sandbox.directory, "pulses");
}

/** There when all works again. */
export function peacePath(world: World): string {
  return join(world.sandbox.directory, "peace");
}

/** Where programs note that they had their effect. */
export function effectsPath(world: World): string {
  return join(world.sandbox.directory, "effects");
}
