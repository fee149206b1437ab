import { isGlassboxError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";

/** Between two tries while a server is away; the first is short, as most are only restarts and cut connections. */
const PAUSE = { firstMs: 100, lastMs: 2_000 };

/**
 * Does `work` again and again while the database server cannot be reached, with growing, jittered pauses, until
 * `givenUp` aborts. An answer may have been lost after the work was done, so it must be such that doing it twice is
 * the same as once; it is told whether it was tried before.
 */
export async function insist<T>(
  { clock, random }: Pick<Host, "clock" | "random">,
  givenUp: AbortSignal | undefined,
  work: (wasTried: boolean) => Promise<T>,
): Promise<T> {
  for (let pauseMs = PAUSE.firstMs, wasTried = false;; pauseMs = Math.min(pauseMs * 2, PAUSE.lastMs)) {
    try {
      return await work(wasTried);
    } catch (error) {
      if (givenUp === undefined || !isGlassboxError(error, "storage_unreachable")) throw error;
      await clock.sleep(pauseMs * (0.5 + random.bytes(1)[0]! / 256), givenUp);
      if (givenUp.aborted) throw error;
      wasTried = true;
    }
  }
}
