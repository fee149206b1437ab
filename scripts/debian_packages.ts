/** Debian packages that a script needs: found, or installed, or named to the user. */
import { existsSync } from "node:fs";
import process from "node:process";
import { EXIT, runTool, say, ScriptError } from "./compile_steps.ts";

/** Package names, each with a program whose presence shows that it is installed. */
export type DebianPackages = Readonly<Record<string, string>>;

/** Installs what is missing by apt-get when run as root on Debian, and otherwise tells what to install. */
export async function installMissing(packages: DebianPackages, why: string): Promise<void> {
  const missing = Object.entries(packages).filter(([, program]) => !isInstalled(program)).map(([name]) =>
    name
  );
  if (missing.length === 0) return;
  const install = ["install", "-y", "--no-install-recommends", ...missing];
  if (process.getuid?.() !== 0 || !isInstalled("apt-get")) {
    const command = `apt-get update && apt-get ${install.join(" ")}`;
    throw new ScriptError(
      EXIT.unavailable,
      `Cannot ${why} without more Debian packages: run "${command}" as root`,
    );
  }
  say(`Installing Debian packages to ${why}: ${missing.join(" ")}`);
  await aptGet(["update"]);
  await aptGet(install);
}

/** A path, or a program in PATH or in /usr/sbin, which an ordinary user's PATH often leaves out. */
function isInstalled(program: string): boolean {
  if (program.startsWith("/")) return existsSync(program);
  const directories = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`.split(":").filter((one) => one !== "");
  return directories.some((directory) => existsSync(`${directory}/${program}`));
}

/** A machine that has just started may be installing updates by itself, and a mirror may be silent for a moment. */
const PATIENCE = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"];

async function aptGet(args: readonly string[]): Promise<void> {
  const { code, output } = await runTool("apt-get", [...PATIENCE, ...args], {
    env: { DEBIAN_FRONTEND: "noninteractive" },
  });
  if (code === 0) return;
  const tail = output.trim().split("\n").slice(-15).join("\n");
  throw new ScriptError(EXIT.unavailable, `apt-get ${args.join(" ")} ended with code ${code}:\n${tail}`);
}
