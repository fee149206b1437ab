/** How podman is made to run a container on machines without systemd, nested cgroups or a root that may do all. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** crun refuses some cgroup layouts, and a machine without systemd has neither its cgroups nor its journal. */
const CONTAINERS_CONF = `[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
netns = "host"
`;

/** What every call of podman needs: `env` for all of them, `runFlags` for `podman run`. Disposing removes its files. */
export interface Podman extends AsyncDisposable {
  readonly env: Record<string, string>;
  readonly runFlags: readonly string[];
}

/** Health checks are left out, as podman has systemd run them; images are never pulled. */
export async function preparePodman(): Promise<Podman> {
  const directory = await mkdtemp(join(tmpdir(), "glassbox-podman-"));
  const file = join(directory, "containers.conf");
  await writeFile(file, CONTAINERS_CONF);
  return {
    env: { CONTAINERS_CONF: file },
    runFlags: ["--pull=never", "--no-healthcheck", ...await allowedLimits()],
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** podman's default limits, lowered to our own: a root without CAP_SYS_RESOURCE may not raise them. */
async function allowedLimits(): Promise<string[]> {
  const ours = await readFile("/proc/self/limits", "utf8");
  const limits = [["nofile", "Max open files", 1_048_576], ["nproc", "Max processes", 32_768]] as const;
  return limits.map(([name, title, most]) => {
    const hard = Number(new RegExp(`^${title} +\\S+ +(\\d+)`, "m").exec(ours)?.[1] ?? most);
    return `--ulimit=${name}=${Math.min(hard, most)}:${Math.min(hard, most)}`;
  });
}
