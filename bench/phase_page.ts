/** How fast the page of phase portraits is in a real browser: its first picture, and pictures while something is dragged. */
import { deflateRawSync } from "node:zlib";
import { type Browser, chromium, type Page } from "playwright-core";
import type { Room } from "./room.ts";
import { startServe } from "./service.ts";
import { interleave, type Sample, type Table } from "./table.ts";

const TRAJECTORIES = 200;
const DRAG_MS = 3_000;

/** Van der Pol's oscillator from so many starts on a grid. */
const REQUEST = {
  name: "Van der Pol, 200 starts",
  equations: "{x' == y, y' == mu (1 - x^2) y - x}",
  parameters: { mu: 1 },
  timespan: [0, 20],
  initial_conditions: Array.from(
    { length: TRAJECTORIES },
    (_, k) => [-4 + (8 * (k % 20)) / 19, -4 + (8 * Math.floor(k / 20)) / 9],
  ),
  integrator: { method: "auto", rtol: 1e-6, atol: 1e-9 },
  view: { x: [-4, 4], y: [-5, 5] },
};

/** The first portrait, from the start of the navigation; and new pictures a second while a control or a start is held. */
export async function measurePhasePage(room: Room): Promise<Table> {
  const service = await startServe(room, room.programs[0]!, room.newDatabase());
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  room.defer(() => browser.close());
  const url = `http://127.0.0.1:${service.port}/phase`;
  const rounds = room.quick ? 3 : 9;
  const rows = await interleave(
    [
      { name: "opening", run: () => opening(browser, url) },
      { name: "a parameter's slider", run: () => dragging(browser, url, dragSlider) },
      { name: "a start on the plane", run: () => dragging(browser, url, dragStart) },
      { name: "the plane itself", run: () => dragging(browser, url, dragPlane) },
    ],
    rounds,
    1,
  );
  return {
    name: "phase-page",
    about:
      `the page /phase in ${browser.version()}: its first portrait, and drags with ${TRAJECTORIES} trajectories`,
    columns: ["first portrait ms", "pictures/s", "solutions/s", "longest gap ms"],
    rows,
    compare: { column: "pictures/s", with: [] },
    rounds,
  };
}

/** A new context has an empty cache, as on a first visit. */
async function withPage<T>(browser: Browser, url: string, work: (page: Page) => Promise<T>): Promise<T> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  try {
    const page = await context.newPage();
    await page.goto(url);
    await page.waitForFunction(() => performance.getEntriesByName("first-portrait").length > 0);
    return await work(page);
  } finally {
    await context.close();
  }
}

async function opening(browser: Browser, url: string): Promise<Sample> {
  return await withPage(browser, url, async (page) => ({
    "first portrait ms": await page.evaluate(() =>
      performance.getEntriesByName("first-portrait")[0]!.startTime
    ),
  }));
}

async function dragging(browser: Browser, url: string, drag: (page: Page) => Promise<void>): Promise<Sample> {
  const fragment = deflateRawSync(JSON.stringify({ request: REQUEST })).toString("base64url");
  return await withPage(browser, `${url}#s=${fragment}`, async (page) => {
    // The first full solution and all that is looked for after it are there before the hands begin.
    await page.waitForFunction(() => document.querySelectorAll("#cycles li").length > 0);
    await page.evaluate(() => {
      const drawn: [number, number][] = [];
      Object.assign(globalThis, { drawn });
      addEventListener(
        "portrait-drawn",
        (event) => drawn.push([performance.now(), (event as CustomEvent).detail]),
      );
    });
    await drag(page);
    const drawn = await page.evaluate(() => (globalThis as unknown as { drawn: [number, number][] }).drawn);
    return figures(drawn);
  });
}

function figures(drawn: readonly (readonly [number, number])[]): Sample {
  const times = drawn.map(([time]) => time), seconds = (times.at(-1)! - times[0]!) / 1000;
  const gaps = times.slice(1).map((time, index) => time - times[index]!);
  return {
    "pictures/s": (times.length - 1) / seconds,
    "solutions/s": new Set(drawn.map(([, solution]) => solution)).size / seconds,
    "longest gap ms": Math.max(...gaps),
  };
}

/** Presses at a place and moves to and fro until the time is over. */
async function swing(
  page: Page,
  from: { x: number; y: number },
  reach: { x: number; y: number },
): Promise<void> {
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  const began = performance.now();
  for (let passed = 0; passed < DRAG_MS; passed = performance.now() - began) {
    const share = Math.sin(passed / 300);
    await page.mouse.move(from.x + reach.x * share, from.y + reach.y * share);
  }
  await page.mouse.up();
}

async function dragSlider(page: Page): Promise<void> {
  const { x, y, width, height } = (await page.locator("#parameters input[type=range]").boundingBox())!;
  await swing(page, { x: x + width / 2, y: y + height / 2 }, { x: width / 3, y: 0 });
}

async function dragStart(page: Page): Promise<void> {
  const [x, y] = await placeOf(page, REQUEST.initial_conditions[105]!);
  await swing(page, { x, y }, { x: 60, y: 60 });
}

async function dragPlane(page: Page): Promise<void> {
  const { x, y, width, height } = (await page.locator("#plane").boundingBox())!;
  await page.keyboard.down("Shift");
  await swing(page, { x: x + width / 2, y: y + height / 2 }, { x: 90, y: 60 });
  await page.keyboard.up("Shift");
}

/** Where a state is on the screen; the margins are those of portraits without a legend. */
async function placeOf(page: Page, [u, v]: number[]): Promise<[number, number]> {
  const box = (await page.locator("#picture").boundingBox())!,
    { x: [a, b], y: [c, d] } = REQUEST.view as {
      x: [number, number];
      y: [number, number];
    };
  const [left, right, top, bottom] = [70, 12, 12, 52];
  return [
    box.x + left + ((u! - a) / (b - a)) * (box.width - left - right),
    box.y + box.height - bottom - ((v! - c) / (d - c)) * (box.height - top - bottom),
  ];
}
