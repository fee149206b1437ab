/** Figures, how they are gathered fairly, and how they are shown. */

/** One run of one contestant; null where it has no such figure. */
export type Sample = Readonly<Record<string, number | null>>;

/** Something that is measured beside others. */
export interface Contestant {
  readonly name: string;
  run(): Promise<Sample>;
}

export interface Row {
  readonly name: string;
  /** Medians of all rounds, by column. */
  readonly medians: Sample;
  readonly rounds: readonly Sample[];
}

export interface Table {
  readonly name: string;
  readonly about: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** The column that is compared, and with which rows: a ratio for each. */
  readonly compare: { readonly column: string; readonly with: readonly string[] };
  readonly rounds: number;
  /** A line for each thing that the figures must show, which says whether they do. */
  readonly goals?: readonly string[];
}

/**
 * Runs the contestants in turn, round after round, so that a machine that grows slower or faster meets all of them
 * alike. `warmUps` is the number of rounds before those that count.
 */
export async function interleave(
  contestants: readonly Contestant[],
  rounds: number,
  warmUps: number,
): Promise<Row[]> {
  const samples = contestants.map(() => [] as Sample[]);
  for (let round = 0; round < rounds + warmUps; round++) {
    for (const [index, contestant] of contestants.entries()) {
      const sample = await contestant.run();
      if (round >= warmUps) samples[index]!.push(sample);
    }
  }
  return contestants.map(({ name }, index) => ({
    name,
    medians: medians(samples[index]!),
    rounds: samples[index]!,
  }));
}

function medians(samples: readonly Sample[]): Sample {
  const columns = new Set(samples.flatMap((sample) => Object.keys(sample)));
  return Object.fromEntries([...columns].map((column) => {
    const values = samples.map((sample) => sample[column]).filter((value) => typeof value === "number");
    return [column, values.length === 0 ? null : quantile(values, 0.5)];
  }));
}

/** The value below which the given share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at));
}

/** The table as lines of text: a row per contestant, with its ratio to each row it is compared with. */
export function formatTable(table: Table): string {
  const { column, with: others } = table.compare;
  const bases = others.map((name) => table.rows.find((row) => row.name === name)?.medians[column] ?? null);
  const header = ["", ...table.columns, ...others.map((name) => `÷ ${name}`)];
  const rows = table.rows.map(({ name, medians }) => [
    name,
    ...table.columns.map((one) => shown(medians[one] ?? null)),
    ...bases.map((base) => ratio(medians[column] ?? null, base)),
  ]);
  const all = [header, ...rows];
  const widths = header.map((_, index) => Math.max(...all.map((row) => row[index]!.length)));
  const lines = all.map((row) =>
    row.map((cell, index) => index === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[index]!)).join("  ")
  );
  return [`${table.name}: ${table.about} (median of ${table.rounds})`, ...lines, ...table.goals ?? []].join(
    "\n",
  );
}

/**
 * Judges a row's median of a column by another's: at most that times `factor`. Nothing when either was not
 * measured, as SciPy where there is none.
 */
export function goal(
  rows: readonly Row[],
  column: string,
  name: string,
  other: string,
  { factor = 1, column: otherColumn = column }: { factor?: number; column?: string },
): string[] {
  const of = (row: string, one: string) => rows.find((found) => found.name === row)?.medians[one] ?? null;
  const seen = of(name, column), base = of(other, otherColumn);
  if (seen === null || base === null) return [];
  const wanted = factor === 1 ? other : `${Number(factor.toPrecision(2))} × ${other}`;
  return bounded(rows, column, name, base * factor, ` (${wanted})`);
}

/** Whether a row's median keeps a bound that does not depend on the machine's other rows. */
export function bounded(
  rows: readonly Row[],
  column: string,
  name: string,
  bound: number,
  why = "",
): string[] {
  const seen = rows.find((found) => found.name === name)?.medians[column] ?? null;
  if (seen === null) return [];
  const verdict = seen <= bound ? "met   " : "MISSED";
  return [`${verdict} ${name}: ${column} ${shown(seen)}, wanted at most ${shown(bound)}${why}`];
}

function ratio(value: number | null, base: number | null): string {
  if (value === null || base === null || base === 0) return "";
  return value === base ? "1" : (value / base).toPrecision(2);
}

/** Three significant digits at least, and whole numbers from 100 on. */
function shown(value: number | null): string {
  if (value === null) return "–";
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1);
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return value.toPrecision(3);
}
