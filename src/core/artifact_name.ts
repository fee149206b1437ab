/** True for a relative name with forward slashes that can become a file on any machine. */
export function isArtifactName(name: string): boolean {
  if (name === "" || name.length > 255 || name.startsWith("/") || name.includes("\\")) return false;
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f]/.test(name)) return false;
  return name.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}
