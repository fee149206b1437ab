import type { VectorField } from "./stepper.ts";

/** An array, and as many pieces of it, one after the other, as there is room for. */
export interface Pieced {
  readonly whole: Float64Array;
  readonly pieces: readonly Float64Array[];
}

/** The pieces that an array was once cut into: each of a thousand trajectories would make them anew. */
const PIECES = new WeakMap<Float64Array, Pieced>();

/** Arrays that are free to be used again, of each field and length. */
const FREE = new WeakMap<VectorField, Map<number, Float64Array[]>>();

/**
 * Borrows arrays of a field for as long as one piece of work takes. A field's own memory only grows, and basins and
 * ensembles walk along thousands of trajectories, so what one has used the next one gets.
 */
export class WorkSpace {
  readonly #field: VectorField;
  readonly #free: Map<number, Float64Array[]>;
  readonly #taken: Float64Array[] = [];

  constructor(field: VectorField) {
    this.#field = field;
    this.#free = FREE.get(field) ?? new Map();
    FREE.set(field, this.#free);
  }

  /** An array whose contents are left over from other work. */
  take(length: number): Float64Array {
    const array = this.#free.get(length)?.pop() ?? this.#field.allocate(length);
    this.#taken.push(array);
    return array;
  }

  /** An array with its pieces of `size` numbers. */
  takePieced(length: number, size: number): Pieced {
    const whole = this.take(length), known = PIECES.get(whole);
    if (known !== undefined && known.pieces[0]!.length === size) return known;
    const count = Math.floor(length / size);
    const pieces = Array.from({ length: count }, (_, k) => whole.subarray(k * size, (k + 1) * size));
    PIECES.set(whole, { whole, pieces });
    return { whole, pieces };
  }

  /** Gives everything back; nothing taken may be used afterwards. */
  release(): void {
    for (const array of this.#taken.splice(0)) {
      const free = this.#free.get(array.length);
      if (free === undefined) this.#free.set(array.length, [array]);
      else free.push(array);
    }
  }
}

/** Does a piece of work with borrowed arrays. */
export function withWorkSpace<R>(field: VectorField, work: (space: WorkSpace) => R): R {
  const space = new WorkSpace(field);
  try {
    return work(space);
  } finally {
    space.release();
  }
}
