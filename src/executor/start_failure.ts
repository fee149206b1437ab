import type { FailureCode } from "../core/job.ts";

/** The program of a job could not be started; becomes the failure of its row. */
export class StartFailure extends Error {
  constructor(readonly code: FailureCode, message: string) {
    super(message);
    this.name = "StartFailure";
  }
}
