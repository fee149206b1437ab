/** How soon a waiting job speaks when its container starts, beside a container that does next to nothing. */
import { fileURLToPath } from "node:url";
import { preparePodman } from "../scripts/image_podman.ts";
import type { Room } from "./room.ts";
import { bounded, type Contestant, interleave, type Sample, type Table } from "./table.ts";

const SCRIPT = fileURLToPath(new URL("../scripts/image.ts", import.meta.url));

/** From a container's start to its first line, in milliseconds. */
const FIRST_LINE_MS_MAX = 150;

/** Libraries' own loader: the only program in the image besides glassbox, and one that ends at once. */
const LOADERS = { x86_64: "/lib64/ld-linux-x86-64.so.2", aarch64: "/lib/ld-linux-aarch64.so.1" } as const;

/** Builds the image of a KBase module and starts it with no argument, while an input.json waits. */
export async function measureContainer(room: Room): Promise<Table> {
  const rounds = room.quick ? 3 : 15;
  const tag = `localhost/glassbox-bench-${crypto.randomUUID().slice(0, 8)}`;
  await room.output([Deno.execPath(), "run", "-A", SCRIPT, "--target", "kbase", "--tag", tag]);
  const podman = await preparePodman();
  room.defer(async () => {
    await room.spawn(["podman", "rmi", "--force", tag], podman.env);
    await podman[Symbol.asyncDispose]();
  });
  const start = (work: string, name: string, ...rest: string[]) => [
    ...["podman", "run", ...podman.runFlags, "--name", name, "--volume", `${work}:/kb/module/work`],
    ...rest,
  ];
  const nothing: Contestant = {
    name: "podman, only the loader",
    run: () =>
      inContainer(
        room,
        podman.env,
        (work, name) => start(work, name, "--entrypoint", LOADERS[Deno.build.arch], tag, "--version"),
      ),
  };
  const waiting: Contestant = {
    name: "podman, a waiting job",
    run: () => inContainer(room, podman.env, (work, name) => start(work, name, tag)),
  };
  const bare: Contestant = {
    name: "the same without a container",
    run: async () => {
      const module = `${room.directory}/${crypto.randomUUID()}`;
      await layOut(`${module}/work`);
      const { argv } = room.programs[0]!;
      return await room.spawn(["/bin/sh", "-c", 'cd "$0" && exec "$@"', module, ...argv]);
    },
  };
  const rows = await interleave([nothing, waiting, bare], rounds, 1);
  return {
    name: "container",
    about:
      "a KBase job that waits in its container, started without an argument: to its exit, to its first line, and to that from when podman says that the container runs",
    columns: ["exitMs", "firstLineMs", "afterStartMs"],
    rows,
    compare: { column: "exitMs", with: [nothing.name] },
    rounds,
    goals: bounded(rows, "afterStartMs", waiting.name, FIRST_LINE_MS_MAX),
  };
}

/** Makes a container, waits for its end, and takes it away; the job in its work directory is a new one. */
async function inContainer(
  room: Room,
  env: Record<string, string>,
  argv: (work: string, name: string) => readonly string[],
): Promise<Sample> {
  const name = `glassbox-bench-${crypto.randomUUID()}`, work = `${room.directory}/${name}`;
  await layOut(work);
  try {
    const ended = await room.spawn(argv(work, name), env);
    const inspected = await room.output(
      ["podman", "inspect", "--format", "{{json .State.StartedAt}}", name],
      env,
    );
    const { firstLineMs, beganMs } = ended;
    const afterStartMs = firstLineMs === null
      ? null
      : beganMs + firstLineMs - Date.parse(JSON.parse(inspected));
    return { ...ended, afterStartMs };
  } finally {
    await room.output(["podman", "rm", "--force", name], env);
  }
}

async function layOut(work: string): Promise<void> {
  await Deno.mkdir(work, { recursive: true });
  const input = { version: "1.1", method: "Glassbox.selftest", params: [{ steps: 1 }] };
  await Deno.writeTextFile(`${work}/input.json`, JSON.stringify(input));
  await Deno.writeTextFile(`${work}/token`, "TOKEN");
}
