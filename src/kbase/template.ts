/**
 * As much of Jinja as KBase's modules use in deploy.cfg: `{{ name }}`, `{{ name|default('x') }}` and
 * `{% if name %} … {% else %} … {% endif %}`. What is not known is empty, as it is there.
 */

type Values = ReadonlyMap<string, string>;

/** True for a text that `render` would change. */
export function hasPlaceholders(text: string): boolean {
  return /\{\{|\{%/.test(text);
}

/** Names are looked up without regard to case. */
export function render(template: string, values: Values): string {
  const pieces = template.split(/(\{%-?\s*(?:if\s+\w+|else|endif)\s*-?%\})/);
  let text = "";
  // For each open `if`, innermost last: whether what stands there now is wanted.
  const wanted: boolean[] = [];
  for (const piece of pieces) {
    const [, word, name] = /^\{%-?\s*(if|else|endif)\s*(\w*)\s*-?%\}$/.exec(piece) ?? [];
    if (word === "if") wanted.push((valueOf(values, name!) ?? "") !== "");
    else if (word === "else") wanted.push(!wanted.pop());
    else if (word === "endif") wanted.pop();
    else if (wanted.every(Boolean)) text += substituted(piece, values);
  }
  return text;
}

const EXPRESSION =
  /\{\{-?\s*(\w+)\s*(?:\|\s*default\(\s*(?:'([^']*)'|"([^"]*)")?\s*(?:,[^)]*)?\)\s*)?-?\}\}/g;

function substituted(text: string, values: Values): string {
  return text.replace(
    EXPRESSION,
    (_, name, single, double) => valueOf(values, name) ?? single ?? double ?? "",
  );
}

function valueOf(values: Values, name: string): string | undefined {
  return values.get(name.toLowerCase());
}
