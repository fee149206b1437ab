import type { PortraitRequest } from "../../../tasks/phase_portrait/request.ts";
import { type Method, METHODS } from "../../../tasks/phase_portrait/solve/methods.ts";

/** What can be drawn besides trajectories. */
export const LAYERS = ["field", "nullclines", "separatrices", "equilibria", "cycles"] as const;

export type Layer = (typeof LAYERS)[number];

export type Range = readonly [number, number];

/** Everything that the page's controls set: a request, and how it is looked at. */
export interface Settings {
  readonly name: string;
  readonly equations: string;
  readonly independent: string;
  readonly parameters: Readonly<Record<string, number>>;
  readonly timespan: Range;
  readonly starts: readonly (readonly number[])[];
  readonly method: Method;
  readonly rtol: number;
  readonly atol: number | readonly number[];
  readonly direction: "forward" | "backward" | "both";
  /** By name of a state. */
  readonly view: Readonly<Record<string, Range>>;
  /** Which states are drawn: numbers of states, and -1 for time. */
  readonly axes: readonly number[];
  readonly is3d: boolean;
  readonly show: Readonly<Record<Layer, boolean>>;
  readonly arrows: number;
  readonly arrowLength: number;
  /** The ends of the parameters' sliders that were set by hand. */
  readonly sliders: Readonly<Record<string, Range>>;
  /** The parts of a request that the page has no control for; they go with it unchanged. */
  readonly rest: Readonly<Record<string, unknown>>;
}

/** A request as people write it: what is left out is a default. */
export type RequestDocument = Record<string, unknown>;

export const RANGE_DEFAULT: Range = [-10, 10];

const SHOW_ALL: Settings["show"] = {
  field: true,
  nullclines: true,
  separatrices: true,
  equilibria: true,
  cycles: true,
};

/** What the page shows when nothing was asked for. */
export const FIRST: RequestDocument = {
  name: "Damped pendulum",
  equations: "x'' == -Sin[x] - c x'",
  parameters: { c: 0.25 },
  timespan: [0, 40],
  initial_conditions: [[-9, 3.2], [-9, 2.4], [9, -3.2], [9, -2.4], [-3, 2.6], [3, -2.6]],
  integrator: { method: "auto", rtol: 1e-8, atol: 1e-10 },
  view: { "x": [-9, 9], "x'": [-3.5, 3.5] },
};

const KNOWN = [
  "name",
  "equations",
  "independent",
  "parameters",
  "timespan",
  "initial_conditions",
  "view",
  "projection",
  "theme",
];

/** Reads a request, or a file that holds one under `request`; throws with what is wrong in words for people. */
export function settingsFrom(document: unknown): Settings {
  const outer = asObject(document, "the file");
  const request = "request" in outer && !("equations" in outer)
    ? asObject(outer.request, "its request")
    : outer;
  const { equations } = request;
  if (typeof equations !== "string") throw new Error("There are no equations in it");
  const integrator = asObject(request.integrator ?? {}, "integrator");
  const projection = numbers(request.projection ?? []);
  const page = asObject(outer.page ?? {}, "page");
  const rest = Object.fromEntries(Object.entries(request).filter(([key]) => !KNOWN.includes(key)));
  const method = METHODS.find((one) => one === integrator.method) ??
    (integrator.method === "BDF" ? "Rodas5P" : integrator.method === undefined ? "RK45" : "auto");
  return {
    name: typeof request.name === "string" ? request.name : "",
    equations,
    independent: typeof request.independent === "string" ? request.independent : "t",
    parameters: numbersByName(request.parameters),
    timespan: rangeOf(request.timespan) ?? [0, 10],
    starts: Array.isArray(request.initial_conditions) ? request.initial_conditions.map(numbers) : [],
    method,
    rtol: positive(integrator.rtol, 1e-6),
    atol: Array.isArray(integrator.atol) ? numbers(integrator.atol) : positive(integrator.atol, 1e-9),
    direction: integrator.direction === "both" || integrator.direction === "backward"
      ? integrator.direction
      : "forward",
    view: rangesByName(request.view),
    axes: projection.length >= 2 ? projection : [],
    is3d: page.is3d === true || (page.is3d === undefined && projection.length === 3),
    show: { ...SHOW_ALL, ...switchesOf(page.show) },
    arrows: clamped(page.arrows, 10, 50, 24),
    arrowLength: clamped(page.arrowLength, 0.05, 1, 0.6),
    sliders: rangesByName(page.sliders),
    rest,
  };
}

/**
 * The request that a job gets: what stands in the controls, and what came with it. Ranges of names that are no `states`
 * any more stay on the page, as they may come back.
 */
export function requestOf(settings: Settings, states: readonly string[] | null): RequestDocument {
  const { rest, show, view, axes, is3d } = settings;
  const analysis = { ...asObject(rest.analysis ?? {}, "analysis") };
  for (const layer of LAYERS) if (layer !== "field" && !show[layer]) analysis[layer] = false;
  const projection = axes.filter((axis) => axis >= 0);
  return {
    ...rest,
    name: settings.name,
    equations: settings.equations,
    ...(settings.independent === "t" ? {} : { independent: settings.independent }),
    parameters: settings.parameters,
    timespan: settings.timespan,
    ...(settings.starts.length === 0 ? {} : { initial_conditions: settings.starts }),
    integrator: {
      ...asObject(rest.integrator ?? {}, "integrator"),
      method: settings.method,
      rtol: settings.rtol,
      atol: settings.atol,
      direction: settings.direction,
    },
    ...(projection.length < 2 ? {} : { projection: is3d ? projection : projection.slice(0, 2) }),
    view: states === null
      ? view
      : Object.fromEntries(Object.entries(view).filter(([name]) => states.includes(name))),
    ...(Object.keys(analysis).length === 0 ? {} : { analysis }),
  };
}

/** The same as a whole request, every default set, as solvers take it. */
export function completeRequest(settings: Settings, states: readonly string[] | null): PortraitRequest {
  const request = requestOf(settings, states), integrator = request.integrator as Record<string, unknown>;
  return {
    events: [],
    projection: [],
    animate: false,
    theme: "light",
    ...request,
    integrator: { max_step: null, first_step: null, max_steps: 1_000_000, t_eval: null, ...integrator },
    analysis: { periods: false, ...(request.analysis as object | undefined) },
  } as unknown as PortraitRequest;
}

/** Request and page in one document: what a link and an exported file hold. */
export function shareOf(settings: Settings, states: readonly string[] | null): RequestDocument {
  const { is3d, show, arrows, arrowLength, sliders } = settings;
  return { request: requestOf(settings, states), page: { is3d, show, arrows, arrowLength, sliders } };
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new Error(`Cannot read ${what} as it must be a JSON object`);
}

function isFinite(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function numbers(value: unknown): number[] {
  return Array.isArray(value) ? value.filter(isFinite) : [];
}

function positive(value: unknown, otherwise: number): number {
  return isFinite(value) && value > 0 ? value : otherwise;
}

function clamped(value: unknown, low: number, high: number, otherwise: number): number {
  return isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
}

function rangeOf(value: unknown): Range | null {
  if (!Array.isArray(value) || value.length !== 2) return null;
  const [low, high] = value;
  return isFinite(low) && isFinite(high) && low < high ? [low, high] : null;
}

function numbersByName(value: unknown): Record<string, number> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, number] => isFinite(entry[1])),
  );
}

function rangesByName(value: unknown): Record<string, Range> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, range]) => {
      const read = rangeOf(range);
      return read === null ? [] : [[name, read] as const];
    }),
  );
}

function switchesOf(value: unknown): Partial<Record<Layer, boolean>> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter(([name, on]) =>
      (LAYERS as readonly string[]).includes(name) && typeof on === "boolean"
    ),
  );
}
