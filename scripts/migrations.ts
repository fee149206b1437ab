/**
 * Compiles src/store/migrations/*.sql into src/store/migrations.gen.ts, so that one bundle carries them.
 * With --check it only says whether the two agree, and exits 1 when they do not.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const folder = new URL("../src/store/migrations/", import.meta.url);
const target = new URL("../src/store/migrations.gen.ts", import.meta.url);

function statementsOf(sql: string): string[] {
  return sql
    .split(/\n\s*\n/)
    .map((block) => block.trim().replace(/;$/, ""))
    .filter((block) => block.split("\n").some((line) => line.trim() !== "" && !line.trim().startsWith("--")));
}

function generate(): string {
  const files = readdirSync(folder).filter((name) => name.endsWith(".sql")).sort();
  const entries = files.map((name, index) => {
    const version = Number(name.slice(0, 4));
    if (version !== index + 1) throw new Error(`Migrations must be numbered without gaps: found ${name}`);
    const statements = statementsOf(readFileSync(new URL(name, folder), "utf8"));
    const body = statements.map((statement) => `      ${JSON.stringify(statement)},`).join("\n");
    return `  {\n    version: ${version},\n    name: ${
      JSON.stringify(name)
    },\n    statements: [\n${body}\n    ],\n  },`;
  });
  return `// Made by scripts/migrations.ts from migrations/*.sql. Edit those, then run \`deno task migrations\`.
// deno-fmt-ignore-file

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly statements: readonly string[];
}

export const MIGRATIONS: readonly Migration[] = [
${entries.join("\n")}
];
`;
}

const wanted = generate();
if (Deno.args.includes("--check")) {
  if (readFileSync(target, "utf8") !== wanted) {
    console.error(
      "src/store/migrations.gen.ts does not agree with migrations/*.sql: run `deno task migrations`",
    );
    Deno.exit(1);
  }
} else {
  writeFileSync(target, wanted);
}
