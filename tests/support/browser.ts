/** A real browser, as the page's users have one, and what went wrong in it. */
import assert from "node:assert/strict";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const PROGRAM = "/usr/bin/chromium";

/** What is not there by then will never be, however busy the machine is. */
const GIVE_UP_MS = 60_000;

/** The sandbox needs rights that root in a container does not have, and shared memory is small there. */
const FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"];

/** A page of its own; disposing closes the browser and fails when the page complained. */
export interface OpenPage extends AsyncDisposable {
  readonly page: Page;
  /** Errors that no code of the page handled, and what it wrote as errors to the console. */
  readonly complaints: readonly string[];
  /** Requests to anything but the server under test. */
  readonly strangers: readonly string[];
}

export async function openPage(url: string, options: BrowserContextOptions = {}): Promise<OpenPage> {
  const browser: Browser = await chromium.launch({
    executablePath: PROGRAM,
    args: FLAGS,
    timeout: GIVE_UP_MS,
  });
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  context.setDefaultTimeout(GIVE_UP_MS);
  const page = await context.newPage(), complaints: string[] = [], strangers: string[] = [];
  const { origin } = new URL(url);
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("request", (request) => {
    const { protocol, origin: asked } = new URL(request.url());
    if (protocol !== "blob:" && protocol !== "data:" && asked !== origin) strangers.push(request.url());
  });
  await page.goto(url);
  return {
    page,
    complaints,
    strangers,
    async [Symbol.asyncDispose]() {
      await browser.close();
      assert.deepEqual(strangers, [], "the page asked other servers");
    },
  };
}
