/** What every rig under tests/faults shares: its seed, how long it runs, and how a fault that was put in on purpose is written down. */

/** How far one run of a rig goes. */
export interface RigRun {
  /** Repeats what is random: GLASSBOX_SEED, or a new one, which the rig names in its tests and messages. */
  readonly seed: number;
  /** GLASSBOX_RIG_ROUNDS when set, else the long count under GLASSBOX_LONG=1, else the short one. */
  readonly rounds: number;
  readonly long: boolean;
}

/** The run that the environment asks of rig `name`, as `kill_points` reads GLASSBOX_KILL_POINTS_ROUNDS. */
export function rigRun(name: string, counts: { readonly short: number; readonly long: number }): RigRun {
  const variable = `GLASSBOX_${name.toUpperCase()}_ROUNDS`;
  const long = Deno.env.get("GLASSBOX_LONG") === "1";
  const rounds = Number(Deno.env.get(variable) ?? (long ? counts.long : counts.short));
  if (!Number.isSafeInteger(rounds) || rounds < 1) {
    throw new Error(
      `Cannot run ${name} as ${variable} must be a whole number of at least 1: it is ${
        Deno.env.get(variable)
      }`,
    );
  }
  const seed = Number(Deno.env.get("GLASSBOX_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  return { seed, rounds, long };
}

/**
 * How many of so many measured may be late. In CI other tests share the processors and the disk, and one stall is felt
 * by all that are measured side by side: a `share` of them may be late, when each kind of them is then in time alone.
 * By hand none may be.
 */
export function lateMax({ long }: RigRun, measured: number, share: number): number {
  return long ? 0 : Math.floor(measured * share);
}

/** What shares the machine in CI does so still. */
const TRIES_ALONE = 3;

/** The first of a few of one kind, measured one after the other, that is in time; the last when none is. */
export async function measuredAlone<T>(measure: () => Promise<T>, isLate: (one: T) => boolean): Promise<T> {
  for (let tries = 1;; tries++) {
    const one = await measure();
    if (!isLate(one) || tries === TRIES_ALONE) return one;
  }
}

/** A fault put into a copy of the sources, which a rig must find: `deno task test:faults --deliberate`. */
export interface DeliberateFault {
  /** In a few words, as `a worker claims a job that another holds`. */
  readonly name: string;
  /** The invariant or promise that it breaks, as `I4`, or `cancel`. */
  readonly guards: string;
  /** The file it is put into, from the project's root; `find` must be there exactly once. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The test file that must fail, the name of its tests (all when left out), and what its environment needs. */
  readonly rig: string;
  readonly filter?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What the rig's output must say, so that it fails for this reason and no other. */
  readonly says: RegExp;
}
