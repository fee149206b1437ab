/** A number as people type it: also a fraction, and with the signs that word processors put; null when it is none. */
export function readNumber(text: string): number | null {
  const plain = text.trim().replaceAll("−", "-").replaceAll("π", "pi");
  const fraction = /^(.+)\/(.+)$/.exec(plain);
  if (fraction !== null) {
    const [over, under] = [readNumber(fraction[1]!), readNumber(fraction[2]!)];
    return over === null || under === null || under === 0 ? null : over / under;
  }
  const multiple = /^(-?)([0-9.]*)\s*\*?\s*pi$/i.exec(plain);
  if (multiple !== null) {
    const factor = multiple[2] === "" ? 1 : Number(multiple[2]);
    return Number.isFinite(factor) ? (multiple[1] === "-" ? -factor : factor) * Math.PI : null;
  }
  if (plain === "" || !/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(plain)) return null;
  const value = Number(plain);
  return Number.isFinite(value) ? value : null;
}

/** A number for a field: all the digits that matter. */
export function fieldText(value: number): string {
  return String(Number(value.toPrecision(12)));
}

/** A number for reading: a few digits, and a real minus. */
export function shortNumber(value: number, digits = 5): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e6 || size < 1e-4
    ? value.toExponential(Math.max(0, digits - 2)).replace(/\.?0+e/, "e").replace("e+", "e")
    : String(Number(value.toPrecision(digits)));
  return text.replaceAll("-", "−");
}

/** Primes as typographers set them. */
export function primed(name: string): string {
  return name.replace("'''", "‴").replace("''", "″").replace("'", "′");
}

/** Rows of numbers, one to a line, and what is wrong with the first that is none. */
export function readRows(text: string, width: number | null): { rows: number[][]; fault: string | null } {
  const rows: number[][] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const plain = line.trim().replace(/^[({[]|[)}\]]$/g, "").replace(/[,;]\s*$/, "");
    if (plain === "") continue;
    const row = plain.split(/[,;]\s*|\s+/).map(readNumber);
    const bad = row.findIndex((value) => value === null);
    if (bad >= 0) return { rows, fault: `Line ${index + 1}: number ${bad + 1} must be a number` };
    if (width !== null && row.length !== width) {
      const wanted = `${width} number${width === 1 ? "" : "s"}, one for each state`;
      return {
        rows,
        fault: `Line ${index + 1}: there must be ${wanted}; there ${
          row.length === 1 ? "is" : "are"
        } ${row.length}`,
      };
    }
    rows.push(row as number[]);
  }
  return { rows, fault: null };
}
