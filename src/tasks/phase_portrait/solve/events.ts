import type { Stepper } from "./stepper.ts";

/** A function of time and state whose zeros are looked for. */
export interface EventFunction {
  readonly evaluate: (t: number, y: Float64Array) => number;
  /** Which way the function goes through zero: 1 upwards, -1 downwards, 0 both. */
  readonly direction: -1 | 0 | 1;
  /** Ends the walk at its first zero. */
  readonly terminal: boolean;
}

/** A zero of the event function with this index. */
export interface EventHit {
  readonly event: number;
  readonly t: number;
  readonly y: Float64Array;
}

/** A sign change and back within one step would be missed with the ends alone. */
const INNER_POINTS = 4;

/**
 * Finds the zeros of event functions step by step: it looks at both ends of a step and at four places within, and
 * closes in on a change of sign on the method's own interpolant, to 4 units in the last place of t.
 */
export class EventFinder {
  readonly hits: EventHit[] = [];
  readonly #events: readonly EventFunction[];
  readonly #point: Float64Array;
  readonly #values: Float64Array;
  #started = false;

  constructor(point: Float64Array, events: readonly EventFunction[]) {
    this.#events = events;
    this.#point = point;
    this.#values = new Float64Array(events.length);
  }

  /** Looks through the last step. The time of the first terminal hit, when there is one; later hits are left out. */
  visit(stepper: Stepper): number | null {
    if (this.#events.length === 0) return null;
    if (!this.#started) this.#start(stepper);
    const found: EventHit[] = [];
    for (let index = 0; index < this.#events.length; index++) this.#search(stepper, index, found);
    const forward = stepper.t > stepper.tOld ? 1 : -1;
    found.sort((a, b) => forward * (a.t - b.t));
    const end = found.find(({ event }) => this.#events[event]!.terminal);
    for (const hit of found) {
      if (end === undefined || forward * (hit.t - end.t) <= 0) this.hits.push(hit);
    }
    return end?.t ?? null;
  }

  #start(stepper: Stepper): void {
    this.#started = true;
    for (let index = 0; index < this.#events.length; index++) {
      this.#values[index] = this.#events[index]!.evaluate(stepper.tOld, stepper.yOld);
    }
  }

  #search(stepper: Stepper, index: number, found: EventHit[]): void {
    const event = this.#events[index]!;
    const at = (t: number) => {
      if (t === stepper.t) return event.evaluate(t, stepper.y);
      stepper.interpolate(t, this.#point);
      return event.evaluate(t, this.#point);
    };
    let from = stepper.tOld, before = this.#values[index]!;
    for (let point = 1; point <= INNER_POINTS + 1; point++) {
      const to = point > INNER_POINTS
        ? stepper.t
        : stepper.tOld + (point / (INNER_POINTS + 1)) * (stepper.t - stepper.tOld);
      const after = at(to);
      // Zero at the start of the look is no change of sign: an event at the very start waits until it has left zero.
      if (before * after < 0 || (after === 0 && before !== 0)) {
        const t = after === 0 ? to : zero(at, from, before, to, after);
        if (event.direction === 0 || (event.direction === 1) === (before < 0)) {
          found.push({ event: index, t, y: this.#stateAt(stepper, t) });
        }
      }
      // Having touched zero, the function counts as what it was, until it has left.
      if (after !== 0) before = after;
      else if (before !== 0) before = 0;
      from = to;
    }
    this.#values[index] = before;
  }

  #stateAt(stepper: Stepper, t: number): Float64Array {
    if (t === stepper.t) return Float64Array.from(stepper.y);
    stepper.interpolate(t, this.#point);
    return Float64Array.from(this.#point);
  }
}

/**
 * A zero of `f` between a and b, where it has different signs, by Brent's method (Algorithms for Minimization Without
 * Derivatives (1973), chapter 4), to 4 units in the last place.
 */
export function zero(f: (t: number) => number, a: number, fa: number, b: number, fb: number): number {
  let c = a, fc = fa, step = b - a, last = step;
  for (let iteration = 0; iteration < 100; iteration++) {
    if (fb * fc > 0) {
      c = a;
      fc = fa;
      step = last = b - a;
    }
    if (Math.abs(fc) < Math.abs(fb)) [a, b, c, fa, fb, fc] = [b, c, b, fb, fc, fb];
    const tolerance = 2 * Number.EPSILON * Math.abs(b);
    const middle = (c - b) / 2;
    if (fb === 0 || Math.abs(middle) <= tolerance) return b;
    [step, last] = nextStep({ a, b, c, fa, fb, fc, middle, tolerance, step, last });
    a = b;
    fa = fb;
    b += Math.abs(step) > tolerance ? step : Math.sign(middle) * Math.max(tolerance, Number.MIN_VALUE);
    fb = f(b);
  }
  return b;
}

interface Bracket {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly fa: number;
  readonly fb: number;
  readonly fc: number;
  readonly middle: number;
  readonly tolerance: number;
  readonly step: number;
  readonly last: number;
}

/** An interpolated step when it is trusted, else a half: with the step before it. */
function nextStep({ a, b, c, fa, fb, fc, middle, tolerance, step, last }: Bracket): [number, number] {
  if (Math.abs(last) < tolerance || Math.abs(fa) <= Math.abs(fb)) return [middle, middle];
  const s = fb / fa;
  let p: number, q: number;
  if (a === c) {
    p = 2 * middle * s;
    q = 1 - s;
  } else {
    const r = fb / fc, u = fa / fc;
    p = s * (2 * middle * u * (u - r) - (b - a) * (r - 1));
    q = (u - 1) * (r - 1) * (s - 1);
  }
  if (p > 0) q = -q;
  else p = -p;
  const trusted = 2 * p < Math.min(3 * middle * q - Math.abs(tolerance * q), Math.abs(last * q));
  return trusted ? [p / q, step] : [middle, middle];
}
