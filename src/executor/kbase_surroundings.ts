import type { KbaseSurroundings } from "../core/task.ts";

/** In the environment of a KBase method's process: what glassbox knows beside the names that KBase gives. */
export const SURROUNDINGS_VARIABLE = "GLASSBOX_KBASE";

/** The environment that carries `surroundings` into a process; the names that KBase defines are any module's. */
export function kbaseEnvironment(surroundings: KbaseSurroundings): Record<string, string> {
  const { callbackUrl, token, userId, scratch, config } = surroundings;
  return {
    ...(callbackUrl === null ? {} : { SDK_CALLBACK_URL: callbackUrl }),
    // Empty rather than absent: a token of our own surroundings is not the caller's.
    KB_AUTH_TOKEN: token ?? "",
    [SURROUNDINGS_VARIABLE]: JSON.stringify({ userId, scratch, config }),
  };
}

/** What `kbaseEnvironment` put there; null in the environment of any other job. */
export function kbaseSurroundings(environment: Readonly<Record<string, string>>): KbaseSurroundings | null {
  const text = environment[SURROUNDINGS_VARIABLE];
  if (text === undefined) return null;
  const { userId, scratch, config } = JSON.parse(text);
  const { SDK_CALLBACK_URL: callbackUrl, KB_AUTH_TOKEN: token } = environment;
  return { callbackUrl: callbackUrl || null, token: token || null, userId, scratch, config };
}
