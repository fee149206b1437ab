/** SciPy as a contestant: a Python process that solves what it is asked, one thing at a time. */
import { linesOf } from "./room.ts";
import type { Room } from "./room.ts";

export interface ScipyAnswer {
  readonly ms: number;
  /** As the case measures it. */
  readonly error: number;
}

/** A running Python with SciPy in it. */
export interface Scipy {
  readonly version: string;
  readonly python: string;
  ask(order: Record<string, unknown>): Promise<ScipyAnswer>;
}

const HELPER = new URL("ode_scipy.py", import.meta.url).pathname;

/** Null, with a word on stderr, when neither of this machine's Pythons has SciPy. */
export async function startScipy(room: Room): Promise<Scipy | null> {
  for (const python of [room.python, "python3"]) {
    const child = new Deno.Command(python, { args: [HELPER], stdin: "piped", stdout: "piped" }).spawn();
    const answers = linesOf(child.stdout), writer = child.stdin.getWriter();
    const { value } = await answers.next();
    const version: string | null = value === undefined ? null : JSON.parse(value).version;
    if (version === null) {
      await writer.close().catch(() => undefined);
      await child.status;
      continue;
    }
    room.defer(async () => {
      await writer.close().catch(() => undefined);
      await answers.return(undefined);
      await child.status;
    });
    return {
      version,
      python,
      ask: async (order) => {
        await writer.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`));
        const { value, done } = await answers.next();
        if (done) throw new Error("ode_scipy.py has ended");
        return JSON.parse(value);
      },
    };
  }
  console.error("No SciPy here: measuring ours alone. On Debian it is the package python3-scipy");
  return null;
}
