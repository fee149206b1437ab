/** How this process was started; the first line says it, and why. */
export const LAUNCH_MODES = ["run", "serve", "worker", "kbase", "edge", "dispatch", "command"] as const;
export type LaunchMode = (typeof LAUNCH_MODES)[number];
