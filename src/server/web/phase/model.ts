import type { CompiledEquations } from "../../../tasks/phase_portrait/language/mod.ts";
import { axesOf } from "./picture.ts";
import { readEquations, type Reading } from "./reading.ts";
import { type Range, type Settings, settingsFrom } from "./settings.ts";

/** The settings and what their equations are read as: the two always belong together. */
export class Model {
  #settings: Settings;
  /** As they were loaded, which "Reset" goes back to. */
  #home: Settings;
  #reading: Reading;
  #remembered: Record<string, number> = {};

  constructor(document: unknown) {
    this.#settings = this.#home = settingsFrom(document);
    this.#reading = this.#read();
  }

  get settings(): Settings {
    return this.#settings;
  }

  get home(): Settings {
    return this.#home;
  }

  get reading(): Reading {
    return this.#reading;
  }

  /** Null while the equations cannot be read. */
  get system(): CompiledEquations | null {
    return this.#reading.system;
  }

  /** In space, when that is asked for and there is one. */
  get is3d(): boolean {
    return this.#settings.is3d && (this.system?.dimension ?? 0) > 2;
  }

  /** From the first to the last time that is asked for. */
  get times(): Range {
    const { timespan: [t0, tEnd], direction } = this.#settings;
    return [direction === "forward" ? t0 : 2 * t0 - tEnd, direction === "backward" ? t0 : tEnd];
  }

  load(document: unknown): void {
    this.#settings = this.#home = settingsFrom(document);
    this.#reading = this.#read();
  }

  change(patch: Partial<Settings>): void {
    this.#settings = { ...this.#settings, ...patch };
    const { system } = this;
    if (patch.parameters === undefined || system === null) return;
    system.setParameters(
      Float64Array.from(system.parameters, (name) => this.#settings.parameters[name] ?? 1),
    );
  }

  /** Values of parameters that are gone for a moment, while someone types, come back with their name. */
  setEquations(equations: string): void {
    this.#remembered = { ...this.#remembered, ...this.#settings.parameters };
    this.#settings = { ...this.#settings, equations, parameters: this.#remembered };
    this.#reading = this.#read();
    if (this.system === null) this.#settings = { ...this.#settings, parameters: this.#remembered };
  }

  /** Gives drawn states that have no range the usual one, and tells their names. */
  openRanges(): string[] {
    const { system } = this;
    if (system === null) return [];
    const axes = axesOf(this.#settings, system.dimension).filter((axis) => axis >= 0);
    const open = axes.map((axis) => system.states[axis]!).filter((name) =>
      this.#settings.view[name] === undefined
    );
    const view = Object.fromEntries(open.map((name) => [name, [-10, 10] as Range]));
    this.#settings = { ...this.#settings, view: { ...this.#settings.view, ...view } };
    return open;
  }

  #read(): Reading {
    const { equations, parameters, independent } = this.#settings;
    const reading = readEquations(equations, Object.keys(parameters), independent);
    if (reading.system !== null) this.#bind(reading);
    return reading;
  }

  /** Parameters that are new get a value; the others keep theirs. */
  #bind(reading: Extract<Reading, { problem: null }>): void {
    const { parameters } = this.#settings;
    const bound = Object.fromEntries(reading.parameters.map((name) => [name, parameters[name] ?? 1]));
    this.#settings = { ...this.#settings, parameters: bound };
    reading.system.setParameters(Float64Array.from(reading.parameters, (name) => bound[name]!));
  }
}
