import { api, ApiError } from "./api.ts";
import { byId, element } from "./element.ts";
import { JobList } from "./job_list.ts";
import { JobView } from "./job_view.ts";

/** The page: a list of jobs, one job, and a form to start another. The address says which job is shown. */

const main = byId("main");
const troubles = new Map<string, string>();
const list = new JobList((text) => showTrouble("list", text));
let view: JobView | null = null;
let asked = 0;

/** Each part of the page tells its own trouble, so that one that is well does not hide another's. */
function showTrouble(part: string, text: string | null): void {
  if (text === null) troubles.delete(part);
  else troubles.set(part, text);
  const box = byId("trouble");
  const [first] = troubles.values();
  box.hidden = first === undefined;
  if (first !== undefined && box.textContent !== first) box.textContent = first;
}

async function navigate(): Promise<void> {
  const id = /^#\/jobs\/([0-9a-z]+)$/.exec(location.hash)?.[1] ?? "";
  const mine = ++asked;
  view?.close();
  view = null;
  showTrouble("job", null);
  list.mark(id);
  document.body.dataset.view = id === "" ? "list" : "job";
  if (id === "") {
    document.title = "glassbox";
    return main.replaceChildren(
      element("p", { class: "welcome quiet" }, "Choose a job to see every line it writes."),
    );
  }
  try {
    const opened = await JobView.open(id, {
      trouble: (text) => showTrouble("job", text),
      changed: () => void list.refresh(),
    });
    // Another job may have been chosen while this one was on its way.
    if (mine !== asked) return opened.close();
    view = opened;
    document.title = `${id} · glassbox`;
    main.replaceChildren(view.root);
    main.focus({ preventScroll: true });
  } catch (error) {
    if (mine === asked) {
      main.replaceChildren(element("p", { class: "welcome quiet" }, (error as Error).message));
    }
  }
}

async function submit(event: SubmitEvent): Promise<void> {
  event.preventDefault();
  const form = event.target as HTMLFormElement;
  const button = form.querySelector("button")!;
  const lines = byId<HTMLTextAreaElement>("args").value.replace(/\n+$/, "");
  const input = {
    program: byId<HTMLInputElement>("program").value,
    args: lines === "" ? [] : lines.split("\n"),
  };
  button.disabled = true;
  try {
    const { id } = await api.submit({ task: "exec", input });
    showFaults([]);
    location.hash = `#/jobs/${id}`;
    void list.refresh();
  } catch (error) {
    const fields = error instanceof ApiError ? error.problem?.errors ?? [] : [];
    const texts = fields.map(({ field, message }) => `${field} ${message}`);
    showFaults(texts.length > 0 ? texts : [(error as Error).message]);
  } finally {
    button.disabled = false;
  }
}

function showFaults(texts: readonly string[]): void {
  byId("faults").replaceChildren(...texts.map((text) => element("li", {}, text)));
}

async function showAbout(): Promise<void> {
  const { version, mode, engine, database } = await api.about();
  byId("about").textContent = `${version} · ${mode} · ${engine} · database ${database.display} (${
    database.id.slice(0, 8)
  })`;
}

addEventListener("hashchange", () => void navigate());
addEventListener("keydown", (event) => {
  const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
  if (event.key === "Escape" && !isTyping) location.hash = "#/";
});
byId<HTMLFormElement>("submit").addEventListener("submit", (event) => void submit(event));
void showAbout().catch((error) => showTrouble("list", (error as Error).message));
void list.refresh();
void navigate();
