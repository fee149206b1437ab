import type { JobDetail, JobSummary } from "../documents.ts";
import type { Problem } from "../problem.ts";

/** A request that the server refused, or that never reached it. */
export class ApiError extends Error {
  readonly problem: Problem | null;

  constructor(message: string, problem: Problem | null) {
    super(message);
    this.problem = problem;
  }
}

export interface JobList {
  readonly jobs: readonly JobSummary[];
  readonly next: string | null;
}

export interface AboutServer {
  readonly version: string;
  readonly mode: string;
  readonly engine: string;
  readonly database: { readonly display: string; readonly id: string };
}

export const api = {
  about: () => call<AboutServer>("GET", "/api/v1/about"),
  list: (query: string) => call<JobList>("GET", `/api/v1/jobs?${query}`),
  job: (id: string) => call<JobDetail>("GET", `/api/v1/jobs/${id}`),
  submit: (request: unknown) => call<JobDetail>("POST", "/api/v1/jobs", request),
  cancel: (id: string) =>
    call<JobDetail>("POST", `/api/v1/jobs/${id}/cancel`, { reason: "asked on the page" }),
  retry: (id: string) => call<JobDetail>("POST", `/api/v1/jobs/${id}/retry`, {}),
};

async function call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
  const init = body === undefined
    ? { method }
    : { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, init).catch(() => {
    throw new ApiError("The server cannot be reached; trying again", null);
  });
  const document = await response.json().catch(() => null);
  if (response.ok) return document as Answer;
  const problem = document as Problem | null;
  throw new ApiError(problem?.detail ?? `The server answered ${response.status}`, problem);
}
