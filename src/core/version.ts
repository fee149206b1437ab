/** The version of glassbox, as `glassbox version` and the first line print it. Kept equal to deno.json by a test. */
export const VERSION = "0.1.0";
