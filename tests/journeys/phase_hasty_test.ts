/**
 * The page /phase under hasty hands: bursts of acts drawn from a seed, several of them in one turn of the page, so
 * that each part is asked for things that others do not know yet. It may show anything but an error of its own, and
 * must work afterwards. GLASSBOX_PHASE_HASTY_ROUNDS sets the number of bursts; GLASSBOX_SEED repeats a run.
 */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { openPage } from "../support/browser.ts";
import { newSandbox, programs } from "../support/glassbox.ts";
import { randomOf, type SeededRandom } from "../support/random.ts";
import { rigRun } from "../support/rig.ts";

const { seed: SEED, rounds: BURSTS } = rigRun("phase_hasty", { short: 100, long: 5_000 });

/** Some can be read and some cannot; one to eight states; blow-ups, constants, times, what grows while typed. */
const EQUATIONS = [
  "x' == y\ny' == -x - a y",
  "x' == y\ny' == -x - a y +",
  "x'[t] == x[t]^2",
  "x' == 1 - x",
  "x' == y z, y' == -x z, z' == -0.5 x y",
  "x' == sin(t) - x\ny' == x y",
  "x' == ",
  "",
  "x'' + b x' + sin(x) == 0",
  "x' == 1/x\ny' == log(y)",
  "x' == q\ny' == r\nz' == s",
  "a' == b, b' == c, c' == d, d' == e, e' == f, f' == g, g' == h, h' == -a",
  "x' == -1000 (x - cos(t))",
  "p' == q; q' == p",
  "x' == y\ny' == Sine[x]",
];
const STARTS = [
  "1 0",
  "1, 0\n0, 2",
  "0.1",
  "1 1 1",
  "",
  "1 0\nx",
  "1e9 -1e9",
  "0 0 0\n1 2 3\n4 5 6",
  "1 0 0 0 0 0 0 0",
];
const NUMBERS = ["0", "10", "-3", "1e-6", "1e-9", "100", "", "abc", "1e300", "5", "0.5", "-inf"];

/** One act of a hand: an element of a selector (the `at`-th, of those there are) and what is done to it. */
interface Act {
  readonly selector: string;
  readonly at: number;
  readonly what: "click" | "choose" | "slide" | "write" | "key" | "wheel";
  /** From 0 to 1: which option, where on the slider, how far the wheel. */
  readonly share: number;
  readonly text: string;
}

const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "+", "-", "0", "f", " "];

type Kind = readonly [selector: string, what: Act["what"], texts?: readonly string[]];

const KINDS: readonly Kind[] = [
  ["#gallery-list button", "click"],
  ["#gallery-list button", "click"],
  ["#equations", "write", EQUATIONS],
  ["#equations", "write", EQUATIONS],
  ["#starts", "write", STARTS],
  ["#t0, #t1", "write", NUMBERS],
  ["#rtol, #atol", "write", NUMBERS],
  ["#ranges input", "write", NUMBERS],
  ["#parameters input", "write", NUMBERS],
  ["#to-3d", "click"],
  ["#to-3d", "click"],
  ["#to-2d", "click"],
  ["#zoom-in, #zoom-out, #fit, #home", "click"],
  ["#undo-start, #clear-starts", "click"],
  ["#play", "click"],
  ["#layers input", "click"],
  ["#axis-0, #axis-1, #axis-2", "choose"],
  ["#direction, #method, #speed", "choose"],
  ["#parameters input[type=range]", "slide"],
  ["#scrub", "slide"],
  ["#arrows, #length", "slide"],
  ["#equilibria li, #equilibria button", "click"],
  ["#trajectories li, #trajectories button", "click"],
  ["#plane", "key", KEYS],
  ["#plane", "wheel"],
];

function burstOf(random: SeededRandom): Act[] {
  return Array.from({ length: random.int(1, 4) }, (): Act => {
    const [selector, what, texts = [""]] = KINDS[random.int(0, KINDS.length - 1)]!;
    return {
      selector,
      what,
      at: random.int(0, 999),
      share: random.int(0, 100) / 100,
      text: texts[random.int(0, texts.length - 1)]!,
    };
  });
}

/** Does all of them before the page has a turn of its own. */
async function perform(page: Page, acts: readonly Act[]): Promise<void> {
  await page.evaluate((acts) => {
    for (const { selector, at, what, share, text } of acts) {
      const all = [...document.querySelectorAll<HTMLElement>(selector)];
      if (all.length === 0) continue;
      const one = all[at % all.length]!, field = one as HTMLInputElement & HTMLSelectElement;
      const tell = (...events: string[]) => {
        for (const name of events) one.dispatchEvent(new Event(name, { bubbles: true }));
      };
      if (what === "click") one.click();
      else if (what === "key") {
        one.dispatchEvent(new KeyboardEvent("keydown", { key: text, bubbles: true, cancelable: true }));
      } else if (what === "wheel") {
        const { left, top, width, height } = one.getBoundingClientRect();
        const [clientX, clientY] = [left + share * width, top + share * height];
        const deltaY = 400 * share - 200;
        one.dispatchEvent(
          new WheelEvent("wheel", { deltaY, clientX, clientY, bubbles: true, cancelable: true }),
        );
      } else if (what === "choose") {
        if (field.options.length === 0) continue;
        field.selectedIndex = Math.floor(share * (field.options.length - 1));
        tell("input", "change");
      } else if (what === "slide") {
        const [low, high] = [Number(field.min), Number(field.max)];
        field.value = String(low + share * (high - low));
        tell("input", ...(at % 2 === 0 ? ["change"] : []));
      } else {
        field.value = text;
        tell("input", ...(at % 2 === 0 ? ["change"] : []));
      }
    }
  }, acts);
}

/** A press, some moves and a release somewhere on the picture: a click, a drag or, with Shift, a pan. */
async function drag(page: Page, random: SeededRandom): Promise<void> {
  const box = (await page.locator("#plane").boundingBox())!;
  const place = () =>
    [box.x + random.int(5, 95) / 100 * box.width, box.y + random.int(5, 95) / 100 * box.height] as const;
  const isShift = random.int(0, 2) === 0;
  if (isShift) await page.keyboard.down("Shift");
  await page.mouse.move(...place());
  await page.mouse.down();
  if (random.int(0, 3) > 0) await page.mouse.move(...place(), { steps: random.int(1, 6) });
  // Something else may happen while the button is held.
  if (random.int(0, 2) === 0) await perform(page, burstOf(random));
  await page.mouse.up();
  if (isShift) await page.keyboard.up("Shift");
}

Deno.test(`/phase survives ${BURSTS} bursts of hasty acts (seed ${SEED})`, async () => {
  await using sandbox = await newSandbox(programs()[0]!);
  await using server = await sandbox.serve();
  await using opened = await openPage(`${server.url}/phase`);
  const { page } = opened;
  const random = randomOf(SEED);
  await page.locator("#open-gallery").click();
  await page.locator("#gallery-list button").first().waitFor();
  await page.locator("#close-gallery").click();
  for (let burst = 0; burst < BURSTS; burst++) {
    if (random.int(0, 4) === 0) await drag(page, random);
    else await perform(page, burstOf(random));
    // Half of the time some of it is drawn before more is asked for.
    for (let frames = random.int(-6, 6); frames > 0; frames--) {
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
    }
    assert.deepEqual(opened.complaints, [], `burst ${burst} of seed ${SEED}`);
  }
  await page.locator("#equations").fill("x' == y\ny' == -x");
  await page.locator("#starts").fill("1 0");
  await page.locator("#to-2d").click();
  await page.locator("#reading").filter({ hasText: "2 states: x, y" }).waitFor();
  await page.locator("#solved").filter({ hasText: /[1-9]\d* steps/ }).waitFor({ timeout: 60_000 });
  assert.deepEqual(opened.complaints, []);
});
