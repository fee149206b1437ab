import { METHODS } from "../../../tasks/phase_portrait/solve/methods.ts";
import { byId, element } from "../element.ts";
import { fieldText, primed, readNumber, readRows } from "./numbers.ts";
import { type Layer, LAYERS, type Range, type Settings } from "./settings.ts";

/** What a change of settings is about; decides what must be solved and drawn anew. */
export type Topic = "name" | "parameters" | "solve" | "view" | "draw" | "layers";

/** Told of every change by a control; `isDraft` while a slider is held. */
export type Change = (patch: Partial<Settings>, topic: Topic, isDraft?: boolean) => void;

const LAYER_LOOKS: Readonly<Record<Layer, string>> = {
  field: "",
  nullclines: "dashed",
  separatrices: "",
  equilibria: "dot",
  cycles: "",
};

const METHOD_WORDS: Readonly<Record<string, string>> = {
  auto: "RK45, or DOP853 for tolerances below 1e-8; moves to Rodas5P where the equations are stiff.",
  RK45: "Dormand and Prince, order 5: the usual choice for equations that are not stiff.",
  DOP853: "Dormand and Prince, order 8: for tight tolerances, orbits and chaos.",
  Rodas5P: "Rosenbrock, order 5: for stiff equations.",
  Radau: "Radau IIA, order 5: for stiff equations at tight tolerances.",
  RK4: "The classical method with 200 equal steps. Its error is not controlled.",
};

/** The fields of the form, other than the equations: each shows the settings and tells of changes to them. */
export class Controls {
  readonly #change: Change;
  #settings: Settings;
  #states: readonly string[] = [];

  constructor(settings: Settings, change: Change) {
    this.#settings = settings;
    this.#change = change;
    this.#listenToText("name", (text) => this.#change({ name: text }, "name"));
    this.#listenToText("starts", () => this.#readStarts());
    for (const id of ["t0", "t1"]) this.#listenToText(id, () => this.#readTimes());
    for (const id of ["rtol", "atol"]) this.#listenToText(id, () => this.#readTolerances());
    this.#selects();
    this.#fieldSliders();
    this.#layerSwitches();
    byId("undo-start").addEventListener("click", () => this.#setStarts(this.#settings.starts.slice(0, -1)));
    byId("clear-starts").addEventListener("click", () => this.#setStarts([]));
  }

  /** Shows these settings; a field that is being typed into is left alone. */
  show(settings: Settings, states: readonly string[], parameters: readonly string[]): void {
    const isNew = states.join() !== this.#states.join();
    this.#settings = settings;
    this.#states = states;
    put("name", settings.name);
    put("starts", settings.starts.map((row) => row.map(fieldText).join(", ")).join("\n"));
    byId("starts-names").textContent = states.length === 0 ? "" : `(${states.map(primed).join(", ")})`;
    put("t0", fieldText(settings.timespan[0]));
    put("t1", fieldText(settings.timespan[1]));
    put("rtol", scientific(settings.rtol));
    put("atol", typeof settings.atol === "number" ? scientific(settings.atol) : settings.atol.join(", "));
    put("direction", settings.direction);
    put("method", settings.method);
    byId("method-remark").textContent = METHOD_WORDS[settings.method] ?? "";
    put("arrows", String(settings.arrows));
    put("length", String(settings.arrowLength));
    byId("arrows-value").textContent = String(settings.arrows);
    byId("length-value").textContent = settings.arrowLength.toFixed(2);
    for (const layer of LAYERS) byId<HTMLInputElement>(`layer-${layer}`).checked = settings.show[layer];
    if (isNew) this.#validate();
    this.#showParameters(parameters);
    this.#showRanges(states);
  }

  #listenToText(id: string, read: (text: string) => void): void {
    const field = byId<HTMLInputElement>(id);
    field.addEventListener("input", () => read(field.value));
    // What was typed is shown as it was understood once the field is left.
    field.addEventListener(
      "blur",
      () => this.show(this.#settings, this.#states, Object.keys(this.#settings.parameters)),
    );
  }

  #selects(): void {
    byId<HTMLSelectElement>("method").append(...METHODS.map((name) => element("option", {}, name)));
    byId<HTMLSelectElement>("method").addEventListener("change", (event) => {
      this.#change({ method: (event.target as HTMLSelectElement).value as Settings["method"] }, "solve");
    });
    byId<HTMLSelectElement>("direction").addEventListener("change", (event) => {
      this.#change(
        { direction: (event.target as HTMLSelectElement).value as Settings["direction"] },
        "solve",
      );
    });
  }

  #fieldSliders(): void {
    byId<HTMLInputElement>("arrows").addEventListener("input", (event) => {
      this.#change({ arrows: Number((event.target as HTMLInputElement).value) }, "draw");
    });
    byId<HTMLInputElement>("length").addEventListener("input", (event) => {
      this.#change({ arrowLength: Number((event.target as HTMLInputElement).value) }, "draw");
    });
  }

  #layerSwitches(): void {
    byId("layers").append(...LAYERS.map((layer) => {
      const box = element("input", { type: "checkbox", id: `layer-${layer}` });
      box.addEventListener("change", () => {
        this.#change({ show: { ...this.#settings.show, [layer]: box.checked } }, "layers");
      });
      return element(
        "label",
        { "data-layer": layer },
        box,
        element("i", { class: LAYER_LOOKS[layer] }),
        layer,
      );
    }));
  }

  #setStarts(starts: Settings["starts"]): void {
    this.#change({ starts }, "solve");
  }

  #validate(): void {
    const { fault } = readRows(byId<HTMLTextAreaElement>("starts").value, this.#width());
    remark("starts", "starts-remark", fault);
  }

  #width(): number | null {
    return this.#states.length === 0 ? null : this.#states.length;
  }

  #readStarts(): void {
    const { rows, fault } = readRows(byId<HTMLTextAreaElement>("starts").value, this.#width());
    remark("starts", "starts-remark", fault);
    if (fault === null) this.#setStarts(rows);
  }

  #readTimes(): void {
    const [t0, t1] = ["t0", "t1"].map((id) => readNumber(byId<HTMLInputElement>(id).value));
    const fault = t0 == null || t1 == null
      ? "The times must be numbers"
      : t0 < t1
      ? null
      : `The first time must be below the last: they are ${t0} and ${t1}`;
    remark("t1", "time-remark", fault);
    if (fault === null) this.#change({ timespan: [t0!, t1!] }, "solve");
  }

  #readTolerances(): void {
    const rtol = readNumber(byId<HTMLInputElement>("rtol").value);
    const parts = byId<HTMLInputElement>("atol").value.split(",").map(readNumber);
    const isRight = rtol !== null && rtol > 0 && rtol <= 1;
    const allRight = parts.every((value) => value !== null && value > 0) &&
      (parts.length === 1 || parts.length === this.#states.length);
    byId("rtol").setAttribute("aria-invalid", String(!isRight));
    byId("atol").setAttribute("aria-invalid", String(!allRight));
    if (!isRight || !allRight) return;
    this.#change({ rtol, atol: parts.length === 1 ? parts[0]! : parts as number[] }, "solve");
  }

  #showParameters(names: readonly string[]): void {
    const box = byId("parameters");
    byId("no-parameters").hidden = names.length > 0;
    const shown = [...box.children].map((row) => (row as HTMLElement).dataset.name);
    if (shown.join("\n") !== names.join("\n")) {
      box.replaceChildren(
        ...names.map((name) => new ParameterRow(name, this.#change, () => this.#settings).root),
      );
    }
    for (const row of box.children) ROWS.get(row)?.show(this.#settings);
  }

  #showRanges(states: readonly string[]): void {
    const box = byId("ranges");
    const shown = [...box.children].map((row) => (row as HTMLElement).dataset.name);
    if (shown.join("\n") !== states.join("\n")) {
      box.replaceChildren(...states.map((name) =>
        rangeRow(name, (range) => {
          this.#change({ view: { ...this.#settings.view, [name]: range } }, "view");
        })
      ));
    }
    for (const row of box.children) {
      const range = this.#settings.view[(row as HTMLElement).dataset.name!];
      row.querySelectorAll("input").forEach((field, end) =>
        putValue(field, range === undefined ? "" : fieldText(range[end]!))
      );
    }
  }
}

const ROWS = new WeakMap<Element, ParameterRow>();
const SLIDER_STEPS = 400;

/** A parameter: name, slider with ends that can be set, and the number itself. */
class ParameterRow {
  readonly root: HTMLElement;
  readonly #name: string;
  readonly #slider = element("input", { type: "range", step: "any" });
  readonly #field: HTMLInputElement;
  readonly #ends: readonly HTMLInputElement[];
  readonly #change: Change;
  readonly #settings: () => Settings;
  #isHeld = false;

  constructor(name: string, change: Change, settings: () => Settings) {
    [this.#name, this.#change, this.#settings] = [name, change, settings];
    const id = `parameter-${name}`;
    this.#field = element("input", { id, inputmode: "decimal", autocomplete: "off" });
    this.#slider.setAttribute("aria-label", `${name}, slider`);
    this.#ends = ["least", "most"].map((end) =>
      element("input", {
        inputmode: "decimal",
        "aria-label": `${name}, ${end} on the slider`,
        autocomplete: "off",
      })
    );
    this.root = element(
      "div",
      { class: "slider", "data-name": name },
      element("label", { for: id }, name),
      this.#slider,
      this.#field,
      element("span", { class: "ends" }, ...this.#ends),
    );
    ROWS.set(this.root, this);
    this.#listen();
  }

  show({ parameters, sliders }: Settings): void {
    const value = parameters[this.#name] ?? 1;
    if (!this.#isHeld) {
      const [low, high] = rangeFor(value, sliders[this.#name]);
      [this.#slider.min, this.#slider.max] = [String(low), String(high)];
      this.#slider.step = String((high - low) / SLIDER_STEPS);
      putValue(this.#ends[0]!, fieldText(low));
      putValue(this.#ends[1]!, fieldText(high));
      this.#slider.value = String(value);
    }
    putValue(this.#field, String(Number(value.toPrecision(7))));
    this.#field.title = fieldText(value);
  }

  #listen(): void {
    this.#slider.addEventListener("pointerdown", () => this.#isHeld = true);
    this.#slider.addEventListener(
      "input",
      () => this.#set(rounded(Number(this.#slider.value), this.#slider), true),
    );
    this.#slider.addEventListener("change", () => {
      this.#isHeld = false;
      this.#set(rounded(Number(this.#slider.value), this.#slider), false);
    });
    this.#field.addEventListener("input", () => {
      const value = readNumber(this.#field.value);
      this.#field.setAttribute("aria-invalid", String(value === null));
      if (value !== null) this.#set(value, false);
    });
    this.#field.addEventListener("blur", () => this.show(this.#settings()));
    for (const end of this.#ends) end.addEventListener("change", () => this.#setEnds());
  }

  #set(value: number, isDraft: boolean): void {
    const { parameters } = this.#settings();
    this.#change({ parameters: { ...parameters, [this.#name]: value } }, "parameters", isDraft);
  }

  #setEnds(): void {
    const [low, high] = this.#ends.map(({ value }) => readNumber(value));
    const isRange = low != null && high != null && low < high;
    if (isRange) {
      this.#change({ sliders: { ...this.#settings().sliders, [this.#name]: [low, high] } }, "draw");
    } else this.show(this.#settings());
  }
}

/** The slider's ends: those set by hand where they hold the value, else about the value itself. */
function rangeFor(value: number, set: Range | undefined): Range {
  if (set !== undefined && value >= set[0] && value <= set[1]) return set;
  if (value === 0) return [-1, 1];
  const far = Number((2 * value).toPrecision(2));
  return value > 0 ? [0, far] : [far, 0];
}

/** Without the digits that only come from the slider's own arithmetic. */
function rounded(value: number, { min, max }: HTMLInputElement): number {
  const step = (Number(max) - Number(min)) / SLIDER_STEPS;
  const digits = Math.max(0, Math.min(12, 1 - Math.floor(Math.log10(step))));
  return Number(value.toFixed(digits));
}

function rangeRow(name: string, take: (range: Range) => void): HTMLElement {
  const fields = ["from", "to"].map((end) =>
    element("input", { inputmode: "decimal", "aria-label": `${name} ${end}`, autocomplete: "off" })
  );
  const read = () => {
    const [low, high] = fields.map(({ value }) => readNumber(value));
    const isRange = low != null && high != null && low < high;
    for (const field of fields) field.setAttribute("aria-invalid", String(!isRange));
    if (isRange) take([low, high]);
  };
  for (const field of fields) field.addEventListener("change", read);
  return element(
    "div",
    { class: "range", "data-name": name },
    element("code", {}, primed(name)),
    fields[0]!,
    "to",
    fields[1]!,
  );
}

function put(id: string, value: string): void {
  putValue(byId<HTMLInputElement>(id), value);
}

/** A field that someone is typing into is not changed under their hands. */
function putValue(field: HTMLInputElement, value: string): void {
  if (document.activeElement === field && field.type !== "range" && field.tagName !== "SELECT") return;
  field.removeAttribute("aria-invalid");
  if (field.value !== value) field.value = value;
}

function remark(fieldId: string, remarkId: string, fault: string | null): void {
  byId(fieldId).setAttribute("aria-invalid", String(fault !== null));
  byId(remarkId).hidden = fault === null;
  byId(remarkId).textContent = fault ?? "";
}

function scientific(value: number): string {
  return value < 1e-3 ? value.toExponential() : String(value);
}
