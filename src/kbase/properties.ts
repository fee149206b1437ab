/** The INI dialect of KBase's config.properties and deploy.cfg: sections, `key = value`, comments on their own lines. */

/** Sections by name, each with its values by lower-case key. */
export type Properties = ReadonlyMap<string, ReadonlyMap<string, string>>;

export function parseProperties(text: string): Properties {
  const sections = new Map<string, Map<string, string>>();
  let section = new Map<string, string>();
  for (const raw of text.replace(/^\uFEFF/, "").split(/\r?\n/)) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    const [, name] = /^\[(.+)\]$/.exec(line) ?? [];
    if (name !== undefined) {
      section = sections.get(name) ?? new Map();
      sections.set(name, section);
      continue;
    }
    const cut = line.search(/[=:]/);
    // A value without a key says nothing that anyone could ask for.
    if (cut > 0) section.set(line.slice(0, cut).trim().toLowerCase(), line.slice(cut + 1).trim());
  }
  return sections;
}
