/**
 * What a program writes is seen while it runs. Each program here writes and then waits at a gate for the test, which
 * opens it only after having seen the text: seen late, the test would wait for ever instead of passing.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newSandbox, programs, type Sandbox } from "../support/glassbox.ts";
import { listJobs } from "../support/jobs.ts";
import { type Gate, makeGate } from "../support/processes.ts";
import { throughShell } from "../support/shell.ts";
import { watchMessages } from "../support/watch_job.ts";

interface Writer {
  readonly name: string;
  /** What it has written when it waits at the gate. */
  readonly before: string;
  /** What it writes after that. */
  readonly after: string;
  command(directory: string, gate: string): string[] | Promise<string[]>;
}

const PYTHON = "import sys; print('a'); open(sys.argv[1]).readline(); print('b')";
const PYTHON_PROMPT = "import sys; print('name? ', end=''); open(sys.argv[1]).readline(); print('b')";
const AWK = 'BEGIN { print "a"; getline line < ARGV[1]; print "b" }';

const C = `
#include <stdio.h>
int main(int argc, char **argv) {
  char line[8];
  if (argc == 3) printf("name? "), fflush(stdout);
  else printf("a\\n");
  FILE *gate = fopen(argv[1], "r");
  if (fgets(line, sizeof line, gate) == NULL) return 1;
  printf("b\\n");
  return 0;
}
`;

const WRITERS: readonly Writer[] = [
  { name: "python3", before: "a\n", after: "b\n", command: (_, gate) => ["python3", "-c", PYTHON, gate] },
  { name: "awk", before: "a\n", after: "b\n", command: (_, gate) => ["mawk", AWK, gate] },
  {
    name: "C",
    before: "a\n",
    after: "b\n",
    command: async (directory, gate) => [await compiled(directory), gate],
  },
  {
    name: "the child of a shell",
    before: "a\n",
    after: "b\n",
    command: (_, gate) => ["sh", "-c", 'python3 -c "$1" "$2"; exit', "sh", PYTHON, gate],
  },
  {
    name: "a C program behind a shell's pipe",
    before: "a\n",
    after: "b\n",
    command: async (
      directory,
      gate,
    ) => ["sh", "-c", '"$1" "$2" | cat', "sh", await compiled(directory), gate],
  },
  {
    name: "python3 without a newline",
    before: "name? ",
    after: "b\n",
    command: (_, gate) => ["python3", "-c", PYTHON_PROMPT, gate],
  },
  {
    name: "sh without a newline",
    before: "name? ",
    after: "b\n",
    command: (_, gate) => ["sh", "-c", 'printf "name? "; read line < "$1"; echo b', "sh", gate],
  },
  {
    name: "C without a newline",
    before: "name? ",
    after: "b\n",
    command: async (directory, gate) => [await compiled(directory), gate, "prompt"],
  },
];

async function compiled(directory: string): Promise<string> {
  const [source, binary] = [join(directory, "writer.c"), join(directory, "writer")];
  await writeFile(source, C);
  const { success, stderr } = await new Deno.Command("gcc", { args: ["-o", binary, source] }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return binary;
}

function exactly(text: string): RegExp {
  return new RegExp(`^${text.replaceAll("?", "\\?")}`);
}

async function prepared(sandbox: Sandbox, writer: Writer): Promise<{ gate: Gate; command: string[] }> {
  const gate = await makeGate(sandbox.directory, `gate for ${writer.name}`);
  return { gate, command: await writer.command(sandbox.directory, gate.path) };
}

for (const program of programs()) {
  for (const writer of WRITERS) {
    Deno.test(`run (${program.name}) into a pipe shows what ${writer.name} wrote while it still runs`, async () => {
      await using sandbox = await newSandbox(program);
      const { gate, command } = await prepared(sandbox, writer);
      await using running = throughShell(sandbox, '"$@" | cat', ["run", "--", ...command]);
      await running.said(exactly(writer.before), "stdout");
      assert.deepEqual((await listJobs(sandbox)).map((job) => job.state), ["running"]);
      await gate.open();
      assert.equal((await running.ended).out, writer.before + writer.after);
    });
  }

  Deno.test(`serve (${program.name}) shows a watcher what programs wrote while they still run`, async (t) => {
    await using sandbox = await newSandbox(program);
    await using server = await sandbox.serve();
    for (const writer of WRITERS) {
      await t.step(writer.name, async () => {
        const { gate, command } = await prepared(sandbox, writer);
        const id = await submit(server.url, command);
        const seen = await watchUntil(server.url, id, writer.before, async () => {
          assert.equal(await stateOf(server.url, id), "running");
          await gate.open();
        });
        assert.equal(seen, writer.before + writer.after);
      });
    }
  });
}

async function submit(url: string, [program, ...args]: string[]): Promise<string> {
  const response = await fetch(`${url}/api/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ task: "exec", input: { program, args } }),
  });
  const document = await response.json();
  assert.equal(response.status, 201, JSON.stringify(document));
  return document.id;
}

async function stateOf(url: string, id: string): Promise<string> {
  return (await (await fetch(`${url}/api/v1/jobs/${id}`)).json()).state;
}

/** Watches to the end, and calls `reached` once when standard output shows exactly `text`, finished lines or not. */
async function watchUntil(
  url: string,
  id: string,
  text: string,
  reached: () => Promise<void>,
): Promise<string> {
  let lines = "";
  let isReached = false;
  for await (const message of watchMessages(url, id)) {
    if (message.stream !== "stdout") continue;
    const shown = message.type === "line" ? lines + message.text + "\n" : lines + message.text;
    if (message.type === "line") lines = shown;
    if (shown !== text || isReached) continue;
    isReached = true;
    await reached();
  }
  assert.ok(isReached, `never showed ${JSON.stringify(text)}`);
  return lines;
}
