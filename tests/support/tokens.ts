/** Just enough of TypeScript's grammar to tell code from comments, strings and regular expressions. */

export interface Token {
  readonly kind: "word" | "string" | "punctuation";
  /** Of a string, what stands between its quotes. */
  readonly text: string;
  readonly line: number;
}

/** After these words a slash begins a regular expression, not a division. */
const BEFORE_REGEX = new Set([
  ..."return typeof case in of instanceof new delete void throw do else yield await".split(" "),
]);
const WORD = /[\p{ID_Start}$_#][\p{ID_Continue}$]*|\d[\w.]*/uy;

/** The tokens of a source file. Code inside `${}` of a template counts; the template's text is one string. */
export function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  // For each open template, how many braces are open inside its present ${}.
  const templates: number[] = [];
  let line = 1;
  let at = 0;
  const take = (length: number): string => {
    const text = source.slice(at, at + length);
    line += text.split("\n").length - 1;
    at += length;
    return text;
  };
  const push = (kind: Token["kind"], text: string) => tokens.push({ kind, text, line });
  while (at < source.length) {
    const rest = source.slice(at, at + 2);
    const space = matchAt(/\s+/y, source, at);
    const word = matchAt(WORD, source, at);
    if (space !== "") take(space.length);
    else if (rest === "//") take(lengthUntil(source, at, "\n"));
    else if (rest === "/*") take(lengthUntil(source, at, "*/") + 2);
    else if (rest[0] === '"' || rest[0] === "'") {
      push("string", take(quotedLength(source, at, rest[0])).slice(1, -1));
    } else if (rest[0] === "`") {
      takeTemplate(1);
    } else if (rest[0] === "}" && templates.at(-1) === 0) {
      templates.pop();
      takeTemplate(1);
    } else if (word !== "") push("word", take(word.length));
    else if (rest[0] === "/" && isRegexNext(tokens.at(-1))) take(regexLength(source, at));
    else {
      if (templates.length > 0 && rest[0] === "{") templates[templates.length - 1]!++;
      if (templates.length > 0 && rest[0] === "}") templates[templates.length - 1]!--;
      push("punctuation", take(1));
    }
  }
  return tokens;

  /** Takes a template's text up to its end, or up to its next `${`, whose code follows as tokens. */
  function takeTemplate(opening: number): void {
    let end = at + opening;
    while (end < source.length && source[end] !== "`" && source.slice(end, end + 2) !== "${") {
      end += source[end] === "\\" ? 2 : 1;
    }
    const goesOn = source[end] === "$";
    push("string", take(end - at + (goesOn ? 2 : 1)).slice(1, goesOn ? -2 : -1));
    if (goesOn) templates.push(0);
  }
}

function matchAt(pattern: RegExp, source: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0] ?? "";
}

function lengthUntil(source: string, at: number, end: string): number {
  const found = source.indexOf(end, at);
  return (found === -1 ? source.length : found) - at;
}

function quotedLength(source: string, at: number, quote: string): number {
  let end = at + 1;
  while (end < source.length && source[end] !== quote && source[end] !== "\n") {
    end += source[end] === "\\" ? 2 : 1;
  }
  return end + 1 - at;
}

function isRegexNext(last: Token | undefined): boolean {
  if (last === undefined) return true;
  if (last.kind === "word") return BEFORE_REGEX.has(last.text);
  return last.kind === "punctuation" && !")]}".includes(last.text);
}

function regexLength(source: string, at: number): number {
  let end = at + 1;
  let isInClass = false;
  while (end < source.length && (isInClass || source[end] !== "/") && source[end] !== "\n") {
    if (source[end] === "[") isInClass = true;
    if (source[end] === "]") isInClass = false;
    end += source[end] === "\\" ? 2 : 1;
  }
  return end + 1 - at;
}
