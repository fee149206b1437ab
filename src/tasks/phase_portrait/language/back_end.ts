import { BOUNDS } from "./bounds.ts";
import type { Graph, NodeId } from "./graph.ts";
import { type Evaluate, registerProgram } from "./register_program.ts";
import { importedFunction, wasmProgram } from "./wasm_program.ts";

export type BackEndName = "wasm" | "registers";

/** Turns nodes of a graph into functions, all over the same parameters and memory. */
export interface BackEnd {
  readonly name: BackEndName;
  /** Bound by whoever writes here; room for as many as there may be. */
  readonly parameters: Float64Array;
  allocate(length: number): Float64Array;
  compile(graph: Graph, roots: readonly NodeId[]): Evaluate;
}

/** The back end of that name. `auto` is WebAssembly where the engine and its content policy allow it. */
export function backEnd(name: BackEndName | "auto"): BackEnd {
  if (name === "registers") return new RegisterBackEnd();
  if (name === "wasm") return new WasmBackEnd();
  try {
    // A content policy refuses the module, and a browser with many pages open may refuse the memory.
    new WebAssembly.Module(EMPTY_MODULE);
    return new WasmBackEnd();
  } catch {
    return new RegisterBackEnd();
  }
}

const EMPTY_MODULE = new Uint8Array([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);

class RegisterBackEnd implements BackEnd {
  readonly name = "registers";
  readonly parameters = new Float64Array(BOUNDS.parameters);

  allocate(length: number): Float64Array {
    return new Float64Array(length);
  }

  compile(graph: Graph, roots: readonly NodeId[]): Evaluate {
    return registerProgram(graph, roots, this.parameters);
  }
}

/** 1 MiB of 64 KiB pages: enough for the work arrays of an implicit method with 64 states. */
const PAGES = 16;

const BYTES = Float64Array.BYTES_PER_ELEMENT;

/** A power of 2, so that the slot of an address is its last bits. */
const SLOTS = 1024;

/**
 * The memory never grows, as growing would take the arrays in it away from whoever holds them. What finds no room is
 * allocated outside, and copied on each call.
 */
class WasmBackEnd implements BackEnd {
  readonly name = "wasm";
  readonly #memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
  readonly #buffer = this.#memory.buffer;
  /** Arrays in the memory by the last bits of their address: asking an array for its buffer costs more than f(t, y). */
  readonly #slots: (Float64Array | null)[] = new Array(SLOTS).fill(null);
  #used = 0;
  readonly parameters = this.allocate(BOUNDS.parameters);
  readonly #statesCopy = this.allocate(BOUNDS.states);
  /** For results that lie outside; made when first needed, as a Jacobian's may be large. */
  #resultsCopy: Float64Array | null = null;

  allocate(length: number): Float64Array {
    const start = this.#freeSlot(this.#used);
    if (start + length > this.#buffer.byteLength / BYTES) return new Float64Array(length);
    const array = new Float64Array(this.#buffer, start * BYTES, length);
    this.#slots[start % SLOTS] = array;
    this.#used = start + length;
    return array;
  }

  /** The next place whose slot is free; with more arrays than slots, simply the next place. */
  #freeSlot(from: number): number {
    for (let place = from; place < from + SLOTS; place++) {
      if (this.#slots[place % SLOTS] === null) return place;
    }
    return from;
  }

  compile(graph: Graph, roots: readonly NodeId[]): Evaluate {
    const program = wasmProgram(graph, roots, PAGES);
    const results = program === null ? null : this.#resultsFor(roots.length);
    if (program === null || results === null) return registerProgram(graph, roots, this.parameters);
    const env = Object.fromEntries(program.imports.map((entry) => [entry.name, importedFunction(entry)]));
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(program.bytes), {
      env: { ...env, memory: this.#memory },
    });
    return this.#copying(exports.run as Run, results);
  }

  #copying(run: Run, results: Float64Array): Evaluate {
    const buffer = this.#buffer;
    const slots = this.#slots;
    const states = this.#statesCopy;
    const isOwn = (array: Float64Array) =>
      slots[(array.byteOffset >>> 3) & (SLOTS - 1)] === array || array.buffer === buffer;
    return (t, y, out) => {
      let from = y.byteOffset;
      if (!isOwn(y)) {
        states.set(y);
        from = states.byteOffset;
      }
      if (isOwn(out)) run(t, from, out.byteOffset);
      else {
        run(t, from, results.byteOffset);
        out.set(results);
      }
    };
  }

  /** A view of that length; null when the memory has no room left for one. */
  #resultsFor(length: number): Float64Array | null {
    if (this.#resultsCopy === null || this.#resultsCopy.length < length) {
      const array = this.allocate(length);
      if (array.buffer !== this.#buffer) return null;
      this.#resultsCopy = array;
    }
    return this.#resultsCopy.subarray(0, length);
  }
}

type Run = (t: number, states: number, results: number) => void;
