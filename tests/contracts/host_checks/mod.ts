/** All checks of a host, by name. */

import type { Checks } from "./check.ts";
import { FILE_CHECKS, LOCK_CHECKS } from "./files.ts";
import { KEPT_OUTPUT_CHECKS } from "./kept_output.ts";
import { CLOSE_CHECKS, HTTP_CHECKS, SOCKET_CHECKS } from "./network.ts";
import { END_CHECKS, PIPE_CHECKS, SEARCH_CHECKS } from "./processes.ts";
import { CLOCK_CHECKS, TERMINAL_CHECKS } from "./terminal.ts";

export const ALL_CHECKS: Checks = {
  ...PIPE_CHECKS,
  ...KEPT_OUTPUT_CHECKS,
  ...END_CHECKS,
  ...SEARCH_CHECKS,
  ...FILE_CHECKS,
  ...LOCK_CHECKS,
  ...TERMINAL_CHECKS,
  ...CLOCK_CHECKS,
  ...HTTP_CHECKS,
  ...SOCKET_CHECKS,
  ...CLOSE_CHECKS,
};
