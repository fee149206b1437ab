/**
 * As much of Jinja as KBase's modules use in deploy.cfg: `{{ name }}`, `{{ name|default('x') }}`, comments and
 * `{% if name %} … {% elif not name %} … {% else %} … {% endif %}`. What is not known is empty, as it is there.
 */

type Values = ReadonlyMap<string, string>;

/** True for a text that `render` would change. */
export function hasPlaceholders(text: string): boolean {
  return /\{[{%#]/.test(text);
}

/** Names are looked up without regard to case. */
export function render(template: string, values: Values): string {
  const pieces = plain(template).split(/(\{%\s*(?:(?:if|elif)\s+(?:not\s+)?\w+|else|endif)\s*%\})/);
  let text = "";
  // For each open `if`, innermost last: whether what stands there now is wanted, and whether any branch was.
  const open: { isWanted: boolean; isDone: boolean }[] = [];
  for (const piece of pieces) {
    const [, word, not, name] = /^\{%\s*(if|elif|else|endif)\b\s*(not\s+)?(\w*)\s*%\}$/.exec(piece) ?? [];
    if (word === undefined) {
      if (open.every(({ isWanted }) => isWanted)) text += substituted(piece, values);
      continue;
    }
    const isTrue = word === "else" || ((valueOf(values, name!) ?? "") !== "") !== (not !== undefined);
    const inner = word === "if" ? undefined : open.pop();
    if (word === "if") open.push({ isWanted: isTrue, isDone: isTrue });
    else if (word !== "endif" && inner !== undefined) {
      open.push({ isWanted: isTrue && !inner.isDone, isDone: isTrue || inner.isDone });
    }
  }
  return text;
}

/** Without comments, without the white space that a `-` asks to take away, and without the last line's end. */
function plain(template: string): string {
  return template.replace(/\r?\n$/, "").replace(/\{#.*?#\}/gs, "")
    .replace(/\s*(\{[{%])-/g, "$1").replace(/-([%}]\})\s*/g, "$1");
}

const EXPRESSION =
  /\{\{\s*(\w+)\s*(?:\|\s*default\(\s*(?:'([^']*)'|"([^"]*)")?\s*(,\s*[Tt]rue\s*)?\)\s*)?\}\}/g;

function substituted(text: string, values: Values): string {
  return text.replace(EXPRESSION, (_, name, single, double, alsoEmpty) => {
    const value = valueOf(values, name);
    const isMissing = value === undefined || (alsoEmpty !== undefined && value === "");
    return isMissing ? single ?? double ?? "" : value;
  });
}

function valueOf(values: Values, name: string): string | undefined {
  return values.get(name.toLowerCase());
}
