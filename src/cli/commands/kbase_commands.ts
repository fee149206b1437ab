import { GlassboxError } from "../../core/errors.ts";
import { plannedLaunch } from "../planned_launch.ts";
import type { Cli, GlobalFlags } from "../session.ts";

const DEFAULT_ADDRESS = { host: "127.0.0.1", port: 5000 };

/** `glassbox kbase serve`. */
export async function kbaseServe(cli: Cli, flags: GlobalFlags): Promise<number> {
  const { kbaseService } = await import("./kbase_service.ts");
  if (cli.plan.mode !== "kbase") throw new GlassboxError("internal", "Cannot serve under another plan");
  return await kbaseService(cli, flags, cli.plan, DEFAULT_ADDRESS);
}

/** A mode of a module's container, by a command of our own instead of the container's argument. */
export async function kbaseMode(
  cli: Cli,
  flags: GlobalFlags,
  mode: "async" | "init" | "report",
): Promise<number> {
  const plan = await plannedLaunch(cli.host, [mode]);
  const asked = { ...cli, plan };
  if (plan.mode === "refuse") {
    const { refuseKbaseJob } = await import("./kbase_job.ts");
    return await refuseKbaseJob(asked, plan);
  }
  if (plan.mode !== "kbase") {
    throw new GlassboxError(
      "input_missing",
      `Cannot ${mode} as there is no KBase work directory here: ./work`,
    );
  }
  const { kbaseLaunch } = await import("./kbase.ts");
  return await kbaseLaunch(asked, flags, plan);
}
