/** The page /phase in a real browser: what is typed, dragged, clicked, submitted, kept and sent. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { type OpenPage, openPage } from "../support/browser.ts";
import { newSandbox, type Program, programs } from "../support/glassbox.ts";
import { eventually } from "../support/processes.ts";

/** A wait that would go on for ever ends by then, however busy the machine is. */
const LONG = 60_000;

/** Resolves when the portrait of what the page holds now was drawn at least once. */
async function isDrawn(page: Page): Promise<void> {
  await page.waitForFunction(() => performance.getEntriesByName("first-portrait").length > 0, null, {
    timeout: LONG,
  });
}

async function text(page: Page, selector: string): Promise<string> {
  return (await page.locator(selector).innerText()).replace(/\s+/g, " ").trim();
}

/** Resolves when an element's text matches. */
async function says(page: Page, selector: string, pattern: RegExp): Promise<void> {
  const shown = page.locator(selector).filter({ hasText: pattern });
  await shown.first().waitFor({ timeout: LONG });
}

/** Types equations as a person does who starts anew. */
async function write(page: Page, equations: string): Promise<void> {
  await page.locator("#equations").fill(equations);
}

async function choose(page: Page, example: string): Promise<void> {
  await (await offered(page, example)).click();
}

async function offered(page: Page, example: string) {
  await page.locator("#open-gallery").click();
  return page.locator(`.gallery button:has(> span:text-is("${example}"))`);
}

/** How many pixels of the picture are nearly of this colour. */
async function pixelsOf(page: Page, color: string): Promise<number> {
  return await page.evaluate((color) => {
    const canvas = document.getElementById("picture") as HTMLCanvasElement;
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)) as [
      number,
      number,
      number,
    ];
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      const far = Math.abs(data[at]! - r) + Math.abs(data[at + 1]! - g) + Math.abs(data[at + 2]! - b);
      if (far < 24) count++;
    }
    return count;
  }, color);
}

/** Serves, opens the page, works on it, and holds it to have complained of nothing. */
async function onPhase(
  program: Program,
  work: (opened: OpenPage, url: string) => Promise<void>,
  options: Parameters<typeof openPage>[1] = {},
): Promise<void> {
  await using sandbox = await newSandbox(program);
  await using server = await sandbox.serve();
  await using opened = await openPage(`${server.url}/phase`, options);
  await isDrawn(opened.page);
  await work(opened, server.url);
  assert.deepEqual(opened.complaints, []);
}

for (const program of programs()) {
  const name = `(${program.name})`;
  const withPhase = (work: Parameters<typeof onPhase>[1], options?: Parameters<typeof openPage>[1]) =>
    onPhase(program, work, options);

  Deno.test(`/phase draws a portrait on opening, with its equilibria in words ${name}`, async () => {
    await withPhase(async ({ page }) => {
      await says(page, "#equilibria", /saddle/);
      assert.match(await text(page, "#equilibria"), /stable focus x = 0, x′ = 0 λ = −0\.125 ± 0\.992157 i/);
      // What comes last of all that is looked for.
      await says(page, "#legend", /unstable separatrix/);
      assert.match(await text(page, "#legend"), /x′ = 0 x″ = 0 stable separatrix unstable separatrix/);
      // The colours of a stable and an unstable separatrix are on the picture, at the next frame.
      await eventually("a stable separatrix is seen", async () => await pixelsOf(page, "#0a7f57") > 100);
      await eventually("an unstable separatrix is seen", async () => await pixelsOf(page, "#b3261e") > 100);
    });
  });

  Deno.test(`/phase says what is wrong with equations at its place, while they are typed ${name}`, async () => {
    await withPhase(async ({ page }) => {
      await write(page, "x' == y\ny' == -Sine[x]");
      await says(
        page,
        "#remarks",
        /line 2, column 8: unknown function "Sine"; did you mean Sin\? E_UNKNOWN_FUNCTION/,
      );
      assert.equal(await text(page, ".ink-bad"), "Sine");
      assert.equal(await page.locator("#equations").getAttribute("aria-invalid"), "true");
      assert.equal(await page.locator("#stale").isVisible(), true);
      await page.locator("#equations").press("F8");
      assert.equal(
        await page.evaluate(() => (document.activeElement as HTMLTextAreaElement).selectionStart),
        15,
      );
      await write(page, "x' == y\ny' == -1/2 x");
      await says(page, "#remarks", /W_IMPLICIT_AFTER_SLASH/);
      await says(page, "#equilibria", /centre of the linearisation/);
      assert.equal(await page.locator("#stale").isVisible(), false);
    });
  });

  Deno.test(`/phase finds parameters in the equations, and their sliders move the portrait ${name}`, async () => {
    await withPhase(async ({ page }) => {
      await write(page, "{x' == mu x - y - x (x^2 + y^2), y' == x + mu y - y (x^2 + y^2)}");
      const field = page.getByLabel("mu", { exact: true });
      assert.equal(await field.inputValue(), "1");
      await says(page, "#equilibria", /unstable focus/);
      await says(page, "#cycles", /^stable, period 6\.2831853/);
      await page.getByLabel("mu, least on the slider").fill("-1");
      await page.getByLabel("mu, least on the slider").press("Enter");
      const slider = page.getByLabel("mu, slider"), { width, height } = (await slider.boundingBox())!;
      // Where it lies is looked up once more, as what stands above it may have grown.
      await slider.click({ position: { x: width * 0.1, y: height / 2 } });
      await says(page, "#equilibria", /(?<!un)stable focus/);
      assert.ok(Number(await field.inputValue()) < 0);
    });
  });

  Deno.test(`/phase starts a trajectory forward and backward where the plane is pressed ${name}`, async () => {
    await withPhase(async ({ page }) => {
      await page.locator("#clear-starts").click();
      const box = (await page.locator("#plane").boundingBox())!;
      await page.mouse.move(box.x + 300, box.y + 150);
      await page.mouse.down();
      await page.mouse.move(box.x + 330, box.y + 170, { steps: 3 });
      await page.mouse.up();
      await says(page, "#trajectories-count", /^1$/);
      assert.equal(await page.locator("#direction").inputValue(), "both");
      assert.equal((await page.locator("#starts").inputValue()).split(",").length, 2);
      // Taken hold of, a start is moved and none is added.
      await page.mouse.move(box.x + 330, box.y + 170);
      await page.mouse.down();
      await page.mouse.move(box.x + 400, box.y + 230, { steps: 4 });
      const before = await page.locator("#starts").inputValue();
      await page.mouse.up();
      await says(page, "#trajectories-count", /^1$/);
      assert.match(before, /^-?[\d.]+, -?[\d.]+$/);
    });
  });

  Deno.test(`/phase pans and zooms with the wheel and the keys ${name}`, async () => {
    await withPhase(async ({ page }) => {
      const box = (await page.locator("#plane").boundingBox())!;
      await page.locator("#ranges-card summary").click();
      const from = page.getByLabel("x from");
      assert.equal(await from.inputValue(), "-9");
      await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
      await page.mouse.wheel(0, -400);
      await page.waitForFunction(() =>
        Number((document.querySelector('[aria-label="x from"]') as HTMLInputElement).value) > -8
      );
      await page.locator("#plane").focus();
      const zoomed = Number(await from.inputValue());
      await page.keyboard.press("ArrowRight");
      assert.ok(Number(await from.inputValue()) > zoomed);
      await page.keyboard.press("0");
      assert.equal(await from.inputValue(), "-9");
    });
  });

  Deno.test(`/phase draws many trajectories while a hand pans, and well once it rests ${name}`, async () => {
    await withPhase(async ({ page }) => {
      const rows = Array.from({ length: 100 }, (_, k) => `${-4 + (k % 10)}, ${-4 + Math.floor(k / 10)}`);
      await write(page, "{x' == y, y' == (1 - x^2) y - x}");
      await page.locator("#starts").fill(rows.join("\n"));
      await says(page, "#trajectories-count", /^100$/);
      const box = (await page.locator("#plane").boundingBox())!;
      await page.keyboard.down("Shift");
      await page.mouse.move(box.x + 300, box.y + 200);
      await page.mouse.down();
      await page.mouse.move(box.x + 340, box.y + 220, { steps: 12 });
      // The first trajectories' colour, of which a line on the ground shows about a half, at the next frame.
      const areDrawn = async () => await pixelsOf(page, "#71b0d3") > 100;
      await eventually("the trajectories are seen while a hand pans", areDrawn);
      await page.mouse.up();
      await page.keyboard.up("Shift");
      await eventually("the trajectories are seen when it rests", areDrawn);
    });
  });

  Deno.test(`/phase keeps its state in the address, and opens it again ${name}`, async () => {
    await withPhase(async ({ page }, url) => {
      await write(page, "x' == a - x^2");
      await page.locator("#name").fill("A fold");
      await page.getByLabel("a", { exact: true }).fill("4");
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      // It says so only for a moment.
      await Promise.all([says(page, "#share", /Copied/), page.locator("#share").click()]);
      // The browser tells us of another address later than the page has it.
      const shared = await page.evaluate(() => location.href);
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), shared);
      await using other = await openPage(shared);
      await isDrawn(other.page);
      assert.equal(await other.page.locator("#equations").inputValue(), "x' == a - x^2");
      assert.equal(await other.page.getByLabel("a", { exact: true }).inputValue(), "4");
      await says(other.page, "#equilibria", /stable node\s*x = 2/);
      assert.ok(shared.startsWith(url));
    });
  });

  Deno.test(`/phase copies equations for other programs, and takes a pasted NDSolve apart ${name}`, async () => {
    await withPhase(async ({ page }) => {
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      await write(page, "s = NDSolve[{x'[t] == -k x[t], x[0] == 2}, x, {t, 0, 6}];");
      await says(page, "#reading", /1 state: x/);
      assert.equal(await page.locator("#equations").inputValue(), "{x'[t] == -k x[t], x[0] == 2}");
      assert.equal(await page.locator("#t1").inputValue(), "6");
      await page.locator("#export").click();
      await page.getByRole("menuitem", { name: "Copy as Python" }).click();
      // The page says nothing when it has copied; a new browser's clipboard is empty.
      const copied = await eventually(
        "something was copied",
        async () => await page.evaluate(() => navigator.clipboard.readText()) || null,
      );
      assert.match(copied, /^import numpy as np\n\n\ndef f\(t, y, k=1\):\n {4}x, = y\n/);
    });
  });

  Deno.test(`/phase submits a job, follows it, and opens it from the history ${name}`, async () => {
    await withPhase(async ({ page }, url) => {
      await choose(page, "Lotka and Volterra: predator and prey");
      await page.locator("#equations").press("Control+Enter");
      await page.locator('#job .state[data-state="completed"]').waitFor({ timeout: LONG });
      await says(page, "#job", /RK45 · \d+ steps · solved in/);
      await says(page, "#history", /Lotka and Volterra: predator and prey/);
      const { jobs } = await (await fetch(`${url}/api/v1/jobs?task=phase-portrait`)).json();
      assert.equal(jobs.length, 1);
      await choose(page, "Pendulum");
      await says(page, "#reading", /x, x′/);
      await page.locator("#history button").first().click();
      await says(page, "#reading", /2 states: x, y/);
      await says(page, "#equilibria", /saddle/);
      assert.match(await page.locator("#equations").inputValue(), /d x y - c y/);
      // The list of jobs shows the same job with its picture.
      await page.goto(`${url}/#/jobs/${jobs[0].id}`);
      const picture = page.locator("img.portrait");
      await picture.waitFor({ timeout: LONG });
      await page.waitForFunction(() =>
        (document.querySelector("img.portrait") as HTMLImageElement).naturalWidth > 500
      );
      await page.getByText("Open in the phase portraits").click();
      await says(page, "#reading", /2 states: x, y/);
    });
  });

  Deno.test(`/phase follows its job also while the list of jobs cannot be had ${name}`, async () => {
    await withPhase(async ({ page, complaints }) => {
      await page.route("**/api/v1/jobs?*", (route) => route.abort());
      await page.locator("#submit").click();
      await page.locator('#job .state[data-state="completed"]').waitFor({ timeout: LONG });
      await says(page, "#job", /RK45 · \d+ steps · solved in/);
      // The browser itself writes each request that failed to its console.
      const told = (complaints as string[]).splice(0);
      assert.deepEqual(told.filter((one) => !/Failed to load resource/.test(one)), []);
      await page.unrouteAll({ behavior: "wait" });
      await says(page, "#history", /Damped pendulum/);
      (complaints as string[]).splice(0, complaints.length);
    });
  });

  Deno.test(`/phase shows what the server refuses, and marks nothing as submitted ${name}`, async () => {
    await withPhase(async ({ page, complaints }, url) => {
      await write(page, "x' == ");
      await page.locator("#submit").click();
      await says(page, "#job", /equations Failed to parse equations/);
      const { jobs } = await (await fetch(`${url}/api/v1/jobs`)).json();
      assert.deepEqual(jobs, []);
      // The browser itself writes the 400 to its console, and nothing else may stand there.
      await eventually("the browser told of the refusal", () => complaints.length > 0);
      const told = (complaints as string[]).splice(0);
      assert.deepEqual(told.filter((one) => !/status of 400/.test(one)), []);
    });
  });

  Deno.test(`/phase exports SVG, PNG, CSV and JSON, and reads its JSON again ${name}`, async () => {
    await withPhase(async ({ page }) => {
      const save = async (words: string) => {
        await page.locator("#export").click();
        const [file] = await Promise.all([
          page.waitForEvent("download"),
          page.getByRole("menuitem", { name: words }).click(),
        ]);
        return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
      };
      // A picture is saved as it is seen, and the equilibria come after the first one.
      await says(page, "#equilibria", /stable focus/);
      const svg = await save("SVG");
      assert.equal(svg.name, "damped-pendulum.svg");
      assert.match(
        svg.bytes.toString(),
        /^<svg [\s\S]*<polyline[\s\S]*<title>stable focus<\/title>[\s\S]*<\/svg>\s*$/,
      );
      const png = await save("PNG");
      assert.deepEqual([png.bytes.readUInt32BE(16), png.bytes.readUInt32BE(20)], [2000, 1440]);
      const csv = (await save("CSV")).bytes.toString().split("\r\n");
      assert.equal(csv[0], "ic,t,x,x'");
      assert.equal(csv.length, 1 + 6 * 201 + 1);
      const json = await save("JSON, request and result");
      const { request, result } = JSON.parse(json.bytes.toString());
      assert.equal(result.trajectories.length, 6);
      await choose(page, "Hopf: a cycle is born");
      await says(page, "#reading", /x, y/);
      await page.locator("#import-file").setInputFiles({
        name: "again.json",
        mimeType: "application/json",
        buffer: json.bytes,
      });
      await says(page, "#reading", /x, x′/);
      const again = JSON.parse((await save("JSON, request only")).bytes.toString());
      assert.deepEqual(again, request);
    });
  });

  Deno.test(`/phase turns a system of three states in space, and plays it ${name}`, async () => {
    await withPhase(async ({ page }) => {
      // In one turn of the page, so that no trajectory of three states is known when space is asked for.
      await (await offered(page, "Lorenz")).evaluate((button: HTMLElement) => {
        button.click();
        document.getElementById("to-3d")!.click();
      });
      assert.equal(await page.locator("#plane").getAttribute("data-mode"), "3d");
      await says(page, "#equilibria", /saddle-focus with 2 unstable directions/);
      const lines = () =>
        page.evaluate(() => (document.getElementById("lines") as HTMLCanvasElement).toDataURL().length);
      await page.waitForFunction(() => document.getElementById("lines") !== null);
      assert.ok(await lines() > 0);
      const box = (await page.locator("#plane").boundingBox())!;
      await page.mouse.move(box.x + 300, box.y + 200);
      await page.mouse.down();
      await page.mouse.move(box.x + 400, box.y + 240, { steps: 4 });
      await page.mouse.up();
      // Slowly, so that it still plays when we come to the pause.
      await page.locator("#speed").selectOption("0.25");
      await page.locator("#play").click();
      await says(page, "#clock", /t = [1-9]/);
      await page.getByLabel("Pause").click();
    });
  });

  Deno.test(`/phase stays quick when far more time is asked for than can be solved ${name}`, async () => {
    await withPhase(async ({ page }) => {
      await write(page, "x' == y\ny' == -x");
      await page.locator("#starts").fill("1 0");
      await page.locator("#t1").fill("1e300");
      await says(page, "#trajectories", /max steps at t = .* The end was not reached in 200000 steps/);
      await page.locator("#play").click();
      await says(page, "#clock", /t = [1-9]\d\d/);
    });
  });

  Deno.test(`/phase fits a narrow screen and a dark one, and needs no sideways scrolling ${name}`, async () => {
    await withPhase(async ({ page }) => {
      const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(widths[0]! <= widths[1]!, `${widths}`);
      assert.equal(await page.locator("#picture").isVisible(), true);
      // The dark theme's own ground.
      assert.ok(await pixelsOf(page, "#181d22") > 1_000);
    }, { viewport: { width: 380, height: 800 }, colorScheme: "dark" });
  });
}

Deno.test("every example opens, is solved, and shows no trouble", async () => {
  const [program] = programs();
  await using sandbox = await newSandbox(program!);
  await using server = await sandbox.serve();
  await using opened = await openPage(`${server.url}/phase`);
  const { page } = opened;
  await isDrawn(page);
  const examples: { name: string }[] = await (await fetch(`${server.url}/phase-examples.json`)).json();
  assert.ok(examples.length >= 20, `${examples.length}`);
  for (const example of examples) {
    await choose(page, example.name);
    await page.waitForFunction((name) => document.title.startsWith(name), example.name, { timeout: LONG });
    await says(page, "#solved", /\d+ steps/);
    assert.equal(await page.locator("#remarks .bad").count(), 0, example.name);
    assert.equal(await page.locator("#trajectories .bad").count(), 0, example.name);
    assert.equal(await page.locator("#trouble").isVisible(), false, example.name);
  }
  assert.deepEqual(opened.complaints, []);
});
