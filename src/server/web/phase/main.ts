import { LIGHT } from "../../../tasks/phase_portrait/draw/scene.ts";
import type { DialectName } from "../../../tasks/phase_portrait/language/mod.ts";
import { byId, element } from "../element.ts";
import { download, fileName, jsonFile, pngFile, svgFile } from "./export.ts";
import { documentIn, fragmentOf, jobIn } from "./fragment.ts";
import { Gallery } from "./gallery.ts";
import { History, JobCard, loadJob, submitJob } from "./jobs.ts";
import {
  completeRequest,
  FIRST,
  type RequestDocument,
  requestOf,
  type Settings,
  settingsFrom,
  shareOf,
} from "./settings.ts";
import { Solver } from "./solver.ts";
import { Studio } from "./studio.ts";

/** The page /phase: typed equations, and their portrait as they are typed. */

const ADDRESS_MS = 500;
const HISTORY_MS = 4_000;

performance.mark("script");
const solver = new Solver();
let studio: Studio;
let addressTimer: ReturnType<typeof setTimeout> | undefined;
let written = "";

function trouble(text: string | null): void {
  byId("trouble").hidden = text === null;
  byId("trouble").textContent = text ?? "";
}

/** Runs what a button asks for; what goes wrong is said at the top of the page. */
function attempt(act: () => void | Promise<void>): () => void {
  return () => {
    trouble(null);
    void (async () => await act())().catch((error) => trouble((error as Error).message));
  };
}

/** The address follows the controls, so that it can be kept and sent at any time. */
function keepAddress(settings: Settings): void {
  document.title = `${settings.name === "" ? "Phase portraits" : settings.name} · glassbox`;
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => void writeAddress(settings), ADDRESS_MS);
}

async function writeAddress(settings: Settings): Promise<string> {
  written = await fragmentOf(shareOf(settings, studio.states));
  history.replaceState(null, "", written);
  return location.href;
}

async function openAddress(): Promise<void> {
  if (location.hash === written) return;
  const id = jobIn(location.hash);
  if (id !== null) return await openJob(id);
  const document = await documentIn(location.hash).catch(() => {
    throw new Error("Cannot read the link: a part of it is missing");
  });
  if (document !== null) studio.load(document);
}

const card = new JobCard({
  result: () => void refreshHistory(),
  changed: () => void refreshHistory(),
});

const portraits = new History((id) => attempt(() => openJob(id))());

async function openJob(id: string): Promise<void> {
  const { job, result } = await loadJob(id);
  studio.load(job.input, result);
  card.follow(id);
}

async function submit(): Promise<void> {
  const button = byId<HTMLButtonElement>("submit");
  button.disabled = true;
  try {
    card.follow(await submitJob(requestOf(studio.settings, studio.states)));
    await refreshHistory();
  } catch (error) {
    card.refuse(error as Error);
  } finally {
    button.disabled = false;
  }
}

/** Each row of the menu: its words, the file's ending, and how it is made. */
const EXPORTS: readonly (readonly [string, string, () => Promise<Blob>])[] = [
  ["SVG, real vectors", "svg", async () => svgFile(await pictured())],
  ["PNG, twice the pixels", "png", async () => await pngFile(await pictured())],
  [
    "CSV, rows of all trajectories",
    "csv",
    async () =>
      new Blob([await solver.file(completeRequest(studio.settings, studio.states), "csv")], {
        type: "text/csv",
      }),
  ],
  ["JSON, request and result", "json", exportJson],
  [
    "JSON, request only",
    "request.json",
    () => Promise.resolve(jsonFile(requestOf(studio.settings, studio.states))),
  ],
];

/** What the equations can be copied as. */
const DIALECTS: readonly (readonly [string, DialectName])[] = [
  ["Copy as Mathematica", "mathematica"],
  ["Copy as Python", "python"],
  ["Copy as Julia", "julia"],
  ["Copy as LaTeX", "latex"],
];

async function copy(text: string): Promise<void> {
  await navigator.clipboard.writeText(text).catch(() => {
    throw new Error("The browser does not let this page write to the clipboard");
  });
}

function pictured() {
  const scene = studio.scene(studio.theme ?? LIGHT);
  if (scene === null) throw new Error("There is no picture yet: the equations cannot be read");
  return Promise.resolve(scene);
}

async function exportJson(): Promise<Blob> {
  const { result } = JSON.parse(
    await solver.file(completeRequest(studio.settings, studio.states), "json"),
  ) as RequestDocument;
  return jsonFile({ ...shareOf(studio.settings, studio.states), result });
}

function fillExports(): void {
  const menu = byId("export-menu"), button = byId("export");
  const toggle = (isOpen: boolean) => {
    menu.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) menu.querySelector("button")?.focus();
  };
  const item = (words: string, act: () => Promise<void>) => {
    const click = attempt(async () => {
      toggle(false);
      await act();
    });
    return element("button", { type: "button", role: "menuitem", click }, words);
  };
  menu.replaceChildren(
    ...EXPORTS.map(([words, ending, make]) =>
      item(words, async () => download(fileName(studio.settings.name, ending), await make()))
    ),
    element("hr", { role: "separator" }),
    ...DIALECTS.map(([words, dialect]) => item(words, () => copy(studio.copyAs(dialect)))),
  );
  button.addEventListener("click", () => toggle(menu.hidden === true));
  menu.addEventListener("keydown", (event) => {
    const items = [...menu.querySelectorAll("button")],
      at = items.indexOf(document.activeElement as HTMLButtonElement);
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0) items[(at + step + items.length) % items.length]!.focus();
    if (event.key === "Escape") {
      toggle(false);
      button.focus();
    }
    if (step !== 0) event.preventDefault();
  });
  addEventListener("pointerdown", (event) => {
    if (!menu.hidden && !(event.target as Element).closest(".menu")) toggle(false);
  });
}

async function importFile(file: File): Promise<void> {
  const document: unknown = await file.text().then(JSON.parse).catch(() => {
    throw new Error(`Cannot read ${file.name}: it is no JSON`);
  });
  settingsFrom(document);
  studio.load(document);
}

function listen(): void {
  fillExports();
  byId("share").addEventListener(
    "click",
    attempt(async () => {
      const address = await writeAddress(studio.settings);
      await navigator.clipboard.writeText(address).catch(() => {
        throw new Error("The browser does not let the page copy; the link is the page's address");
      });
      byId("share").textContent = "Copied";
      setTimeout(() => byId("share").textContent = "Copy link", 1_500);
    }),
  );
  const input = byId<HTMLInputElement>("import-file");
  byId("import").addEventListener("click", () => input.click());
  input.addEventListener(
    "change",
    attempt(async () => {
      const [file] = input.files ?? [];
      input.value = "";
      if (file !== undefined) await importFile(file);
    }),
  );
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer?.files ?? [];
    if (file !== undefined) attempt(() => importFile(file))();
  });
  // A form with a submitting button would be submitted by Enter in any of its fields.
  byId("submit").addEventListener("click", () => void submit());
  byId("form").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    void submit();
  });
  addEventListener("hashchange", attempt(openAddress));
  document.addEventListener("visibilitychange", () => void refreshHistory());
}

/** Other pages and command lines submit portraits too. A list that cannot be had now is asked for again soon. */
async function refreshHistory(): Promise<void> {
  if (document.hidden) return;
  await portraits.refresh().catch(() => undefined);
}

async function start(): Promise<void> {
  const shared = await documentIn(location.hash).catch(() => null) as RequestDocument | null;
  studio = new Studio(solver, shared ?? FIRST, { changed: keepAddress });
  listen();
  new Gallery(solver, () => studio.theme, (request) => {
    card.clear();
    studio.load(request);
    keepAddress(studio.settings);
  });
  if (jobIn(location.hash) !== null) attempt(openAddress)();
  await refreshHistory();
  setInterval(() => void refreshHistory(), HISTORY_MS);
}

void start().catch((error) => trouble((error as Error).message));
