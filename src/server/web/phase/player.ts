import { byId } from "../element.ts";
import { shortNumber } from "./numbers.ts";
import type { Range } from "./settings.ts";

/** The whole of the time is played in so long at speed 1. */
const WHOLE_MS = 12_000;

/** One clock for everything that moves: play, scrub, speed. */
export class Player {
  readonly #play = byId<HTMLButtonElement>("play");
  readonly #scrub = byId<HTMLInputElement>("scrub");
  readonly #speed = byId<HTMLSelectElement>("speed");
  readonly #onTime: (t: number) => void;
  #times: Range = [0, 1];
  #t = 0;
  #lastMs = 0;
  #isPlaying = false;
  #independent = "t";
  /** False until a time was chosen or played: then nothing moves on the picture. */
  isUsed = false;

  constructor(onTime: (t: number) => void) {
    this.#onTime = onTime;
    this.#play.addEventListener("click", () => this.toggle());
    this.#scrub.addEventListener("input", () => this.to(Number(this.#scrub.value)));
  }

  get t(): number {
    return this.#t;
  }

  /** The times there are; the clock stays where it is if that is one of them. */
  setTimes(times: Range, start: number, independent: string): void {
    this.#independent = independent;
    const isSame = times[0] === this.#times[0] && times[1] === this.#times[1];
    if (isSame) return this.#show();
    this.#times = times;
    if (!this.isUsed || this.#t < times[0] || this.#t > times[1]) {
      this.#t = start;
      this.isUsed = false;
    }
    [this.#scrub.min, this.#scrub.max] = [String(times[0]), String(times[1])];
    this.#show();
  }

  to(t: number): void {
    this.#t = t;
    this.isUsed = true;
    this.#show();
    this.#onTime(t);
  }

  toggle(): void {
    this.#isPlaying = !this.#isPlaying;
    this.#play.textContent = this.#isPlaying ? "❚❚" : "▶";
    this.#play.setAttribute("aria-label", this.#isPlaying ? "Pause" : "Play");
    if (!this.#isPlaying) return;
    if (this.#t >= this.#times[1]) this.#t = this.#times[0];
    this.#lastMs = performance.now();
    requestAnimationFrame((now) => this.#tick(now));
  }

  #tick(now: number): void {
    if (!this.#isPlaying) return;
    const [from, to] = this.#times, passed = Math.max(0, now - this.#lastMs);
    this.#lastMs = now;
    const t = this.#t + ((to - from) * passed * Number(this.#speed.value)) / WHOLE_MS;
    this.to(Math.min(to, t));
    if (t >= to) return this.toggle();
    requestAnimationFrame((next) => this.#tick(next));
  }

  #show(): void {
    this.#scrub.value = String(this.#t);
    byId("clock").textContent = `${this.#independent} = ${shortNumber(this.#t, 4)}`;
  }
}
