/** Rows as aligned columns, two spaces apart; the last column is as wide as it likes. */
export function table(
  rows: readonly (readonly string[])[],
  paint: (text: string, row: number, column: number) => string,
): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => widths[column] = Math.max(widths[column] ?? 0, cell.length));
  }
  return rows.map((row, index) =>
    row.map((cell, column) => {
      const padding = column === row.length - 1 ? "" : " ".repeat(widths[column]! - cell.length);
      return paint(cell, index, column) + padding;
    }).join("  ").trimEnd() + "\n"
  ).join("");
}
