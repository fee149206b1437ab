import { paintScene } from "../../../tasks/phase_portrait/draw/canvas.ts";
import type { Mark, Theme } from "../../../tasks/phase_portrait/draw/scene.ts";
import { byId, element } from "../element.ts";
import { projected, trajectoryOf } from "./lines.ts";
import { problemOf } from "./problem.ts";
import { readEquations } from "./reading.ts";
import { RANGE_DEFAULT, type RequestDocument, settingsFrom } from "./settings.ts";
import type { Solver } from "./solver.ts";

const WIDTH = 280, HEIGHT = 210;

/** The systems that come with glassbox, each with a small picture solved here and now. */
export class Gallery {
  readonly #dialog = byId<HTMLDialogElement>("gallery");
  readonly #solver: Solver;
  readonly #open: (request: RequestDocument) => void;
  readonly #theme: () => Theme;
  #examples: Promise<RequestDocument[]> | null = null;
  #painted: Theme | null = null;

  constructor(solver: Solver, theme: () => Theme, open: (request: RequestDocument) => void) {
    [this.#solver, this.#theme, this.#open] = [solver, theme, open];
    byId("open-gallery").addEventListener("click", () => void this.show());
    byId("close-gallery").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
  }

  async show(): Promise<void> {
    this.#dialog.showModal();
    this.#examples ??= loadExamples();
    const examples = await this.#examples, theme = this.#theme();
    if (this.#painted === theme) return;
    this.#painted = theme;
    const cards = examples.map((example) => this.#card(example));
    byId("gallery-list").replaceChildren(...cards.map(({ root }) => root));
    for (const { example, canvas } of cards) {
      await this.#paint(example, canvas, theme).catch(() => undefined);
    }
  }

  #card(
    example: RequestDocument,
  ): { root: HTMLElement; example: RequestDocument; canvas: HTMLCanvasElement } {
    const canvas = element("canvas", { "aria-hidden": "true" });
    [canvas.width, canvas.height] = [2 * WIDTH, 2 * HEIGHT];
    const choose = () => {
      this.#dialog.close();
      this.#open(example);
    };
    const equations = String(example.equations);
    const button = element(
      "button",
      { type: "button", click: choose, title: equations },
      canvas,
      element("span", {}, String(example.name)),
      element("code", {}, equations),
    );
    return { root: element("li", {}, button), example, canvas };
  }

  async #paint(example: RequestDocument, canvas: HTMLCanvasElement, theme: Theme): Promise<void> {
    const settings = settingsFrom(example);
    const { system } = readEquations(
      settings.equations,
      Object.keys(settings.parameters),
      settings.independent,
    );
    if (system === null) return;
    const n = system.dimension;
    const traced = await this.#solver.sketch(problemOf(settings, system, settings.timespan[0]), 300);
    const axes = n === 1 ? [-1, 0] : settings.axes.length >= 2 ? settings.axes.slice(0, 2) : [0, 1];
    const ranges = axes.map((axis) =>
      axis < 0 ? settings.timespan : settings.view[system.states[axis]!] ?? RANGE_DEFAULT
    );
    const marks = traced.starts.map((_, k): Mark => {
      const points = projected(trajectoryOf(traced, k, n), n, axes);
      for (let at = 0; at < points.length; at += 2) {
        points[at] = ((points[at]! - ranges[0]![0]) / (ranges[0]![1] - ranges[0]![0])) * WIDTH;
        points[at + 1] = HEIGHT -
          ((points[at + 1]! - ranges[1]![0]) / (ranges[1]![1] - ranges[1]![0])) * HEIGHT;
      }
      return {
        kind: "line",
        points,
        color: theme.trajectories[k % theme.trajectories.length]!,
        width: n > 2 ? 0.8 : 1.6,
      };
    });
    const scene = { width: WIDTH, height: HEIGHT, background: theme.panel, marks };
    paintScene(canvas.getContext("2d")!, scene, 2);
  }
}

async function loadExamples(): Promise<RequestDocument[]> {
  const response = await fetch("/phase-examples.json");
  if (!response.ok) throw new Error(`The examples cannot be had: the server answered ${response.status}`);
  return await response.json() as RequestDocument[];
}
