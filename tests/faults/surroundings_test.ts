/** Files that cannot be read, pipes that nobody writes to, and a temporary directory that is not there. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newSandbox, programs } from "../support/glassbox.ts";
import { complaints } from "../support/jobs.ts";
import { makeGate } from "../support/processes.ts";
import { withoutOverride } from "../support/shell.ts";

for (const program of programs()) {
  const name = `(${program.name})`;

  Deno.test(`an input file ${name} that may not be read ends with 77`, async () => {
    await using sandbox = await newSandbox(program);
    await writeFile(join(sandbox.cwd, "secret.json"), "{}", { mode: 0o000 });
    for (const flags of [["selftest", "--input", "secret.json"], ["--stdin", "secret.json", "--", "cat"]]) {
      const ended = await withoutOverride(sandbox, ["run", ...flags]);
      assert.equal(ended.code, 77, ended.err);
      assert.match(
        ended.err,
        /^glassbox: Cannot read --(input|stdin) "secret\.json": permission is denied\n$/,
      );
    }
    assert.equal(existsSync(sandbox.database), false);
  });

  Deno.test(`a config file ${name} that may not be read ends with 78`, async () => {
    await using sandbox = await newSandbox(program);
    await writeFile(join(sandbox.cwd, "config.jsonc"), "{}", { mode: 0o000 });
    const ended = await withoutOverride(sandbox, ["--config", "config.jsonc", "jobs", "list"]);
    assert.equal(ended.code, 78, ended.err);
    assert.match(
      complaints(ended.err)[0]!,
      /Cannot read the config file "\S+\/config\.jsonc": .*permission/i,
    );
  });

  Deno.test(`a FIFO ${name} is read as input, and one that nobody writes to ends with 66 instead of waiting`, async () => {
    await using sandbox = await newSandbox(program);
    const written = await makeGate(sandbox.cwd, "written");
    const silent = await makeGate(sandbox.cwd, "silent");
    const reading = sandbox.start(["run", "--stdin", "written", "--", "cat"]);
    const waiting = sandbox.start(["run", "selftest", "--input", silent.path]);
    await written.open();
    const read = await reading.ended;
    assert.deepEqual([read.code, read.out], [0, "go\n"], read.err);
    const ended = await waiting.ended;
    assert.equal(ended.code, 66, ended.err);
    assert.match(complaints(ended.err)[0]!, /Cannot read --input "\S+\/silent": nobody writes to this pipe$/);
  });

  Deno.test(`a temporary directory ${name} that is not there ends with 73 where it is needed`, async () => {
    await using sandbox = await newSandbox(program);
    const nowhere = join(sandbox.directory, "nowhere");
    const env = { TMPDIR: nowhere, BUN_TMPDIR: nowhere };
    const ended = await sandbox.run(["run", "--", "echo", "hi"], { env });
    // Only a program that carries its own library has to unpack it.
    if (ended.code === 0) assert.equal(ended.out, "hi\n");
    else {
      assert.equal(ended.code, 73, ended.err);
      const [complaint, ...more] = complaints(ended.err);
      assert.match(
        complaint!,
        /the temporary directory must be writable and allow executable mappings: current value is \S+\/nowhere$/,
      );
      assert.deepEqual(more, []);
    }
    const doctor = await sandbox.run(["doctor"], { env });
    assert.equal(doctor.code, 69);
    assert.match(
      doctor.out,
      /^ {2}wrong +temporary directory +cannot be written: set TMPDIR to a directory that can$/m,
    );
  });
}
