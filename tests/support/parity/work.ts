/** Jobs of the launch-parity suite about what goes in and comes out: arguments, input, artifacts, reports, results, keys. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { COMPLETED, failed, type ParityJob, shell, told } from "./job.ts";

const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => byte);

const SELFTEST_OUTPUT = {
  stdout: "step 1 of 3\nstep 3 of 3\n",
  stderr: "step 2 of 3\n",
  artifacts: [{ name: "selftest.json", content: '{"steps":3}\n', mediaType: "application/json" }],
};
const SELFTEST_EVENTS = [
  ["task.began", { steps: 3 }],
  ["progress", { fraction: 1 / 3, message: "step 1" }],
  ["progress", { fraction: 2 / 3, message: "step 2" }],
  ["progress", { fraction: 1, message: "step 3" }],
  "artifact",
] as const;

export const WORK: readonly ParityJob[] = [
  {
    name: "takes Unicode in arguments and environment",
    program: ["awk", 'BEGIN { print ARGV[1]; print ENVIRON["GRÖSSE"] }', "grüße 🌍 e\u0301"],
    env: { "GRÖSSE": "größer als \u{1F680}\u200d" },
    expect: { ...COMPLETED, stdout: "grüße 🌍 e\u0301\ngrößer als \u{1F680}\u200d\n" },
  },
  {
    name: "takes arguments that a shell would change",
    program: [
      "printf",
      "[%s]",
      "",
      "two words",
      "--",
      "-n",
      "$HOME",
      "`id`",
      "a'b\"c",
      "new\nline",
      "*",
      "\\",
    ],
    expect: {
      ...COMPLETED,
      stdout: "[][two words][--][-n][$HOME][`id`][a'b\"c][new\nline][*][\\]",
      lines: 2,
    },
  },
  {
    name: "takes very long arguments",
    program: shell('echo "$# ${#1}"', "x".repeat(100_000), ...Array.from({ length: 999 }, String)),
    expect: { ...COMPLETED, stdout: "1000 100000\n" },
  },
  {
    name: "reads text from standard input",
    program: ["cat"],
    stdin: "\ufeffgrüße\r\nohne Ende",
    expect: { ...COMPLETED, stdout: "\ufeffgrüße\r\nohne Ende" },
  },
  {
    name: "reads bytes from standard input",
    program: ["cat"],
    stdin: ALL_BYTES,
    expect: { ...COMPLETED, stdout: ALL_BYTES },
  },
  {
    name: "leaves a large standard input unread",
    program: ["true"],
    stdin: "y\n".repeat(500_000),
    expect: COMPLETED,
  },
  {
    name: "leaves artifacts",
    program: shell(
      "mkdir sub; printf 'größe\\n' > 'größe ✓.txt'; printf '\\0\\1\\377' > sub/data.bin; echo '<svg/>' > plot.svg",
    ),
    outputs: [
      { name: "ergebnis/größe ✓.txt", path: "größe ✓.txt" },
      { name: "sub/data.bin", path: "sub/data.bin" },
      { path: "plot.svg" },
    ],
    expect: {
      ...COMPLETED,
      events: told("artifact", "artifact", "artifact", "finished"),
      artifacts: [
        { name: "ergebnis/größe ✓.txt", content: "größe\n", mediaType: "text/plain" },
        { name: "plot.svg", content: "<svg/>\n", mediaType: "image/svg+xml" },
        { name: "sub/data.bin", content: Uint8Array.of(0, 1, 255), mediaType: "application/octet-stream" },
      ],
    },
  },
  {
    name: "leaves out a required artifact",
    program: ["true"],
    outputs: [{ path: "report.html" }],
    expect: {
      state: "failed",
      failure: "missing_output",
      message: /output report\.html is not there$/,
      exit: 1,
      exitCode: 0,
    },
  },
  {
    name: "reports progress",
    program: shell(
      'printf \'%s\\n\' \'{"type":"progress","fraction":0.25,"message":"a quarter"}\' \'{"type":"progress","fraction":1}\' >&3',
    ),
    expect: {
      ...COMPLETED,
      events: told(
        ["progress", { fraction: 0.25, message: "a quarter" }],
        ["progress", { fraction: 1 }],
        "finished",
      ),
    },
  },
  {
    name: "reports events and an artifact",
    program: shell(
      'printf "x,y\\n" > "$GLASSBOX_DIRECTORY/t.csv"\n' +
        'printf \'%s\\n\' \'{"type":"event","kind":"fitted","data":{"b":[1,null,"ü"],"actor":"kept"}}\' >&3\n' +
        'printf \'%s\\n\' \'{"type":"artifact","name":"tables/t.csv","path":"t.csv"}\' >&3',
    ),
    expect: {
      ...COMPLETED,
      events: told(["task.fitted", { b: [1, null, "ü"], actor: "kept" }], "artifact", "finished"),
      artifacts: [{ name: "tables/t.csv", content: "x,y\n", mediaType: "text/csv" }],
    },
  },
  {
    name: "reports rubbish",
    program: shell('printf \'not json\\n{"type":"launch"}\\n\\n\\377\\376\\nno newline\' >&3'),
    expect: {
      ...COMPLETED,
      events: told(
        ["report_refused", { what: "not a control message: not json" }],
        ["report_refused", { what: 'not a control message: {"type":"launch"}' }],
        ["report_refused", { what: "an empty line" }],
        ["report_refused", { what: "not a control message: \ufffd\ufffd" }],
        ["report_refused", { what: "a message of 10 bytes ended without a newline" }],
        "finished",
      ),
    },
  },
  {
    name: "runs in another working directory",
    program: ["./here.sh"],
    cwd: "größe x",
    prepare: async (directory) => {
      await mkdir(join(directory, "größe x"));
      const script = '#!/bin/sh\necho "${PWD##*/}"; pwd -P | sed "s,.*/,,"\n';
      await writeFile(join(directory, "größe x", "here.sh"), script, { mode: 0o755 });
    },
    expect: { ...COMPLETED, stdout: "größe x\ngröße x\n" },
  },
  {
    name: "runs a task that ends well",
    task: { name: "selftest", input: {} },
    priority: 7,
    expect: {
      ...COMPLETED,
      result: { steps: 3, cancelled: false },
      ...SELFTEST_OUTPUT,
      events: told(...SELFTEST_EVENTS, "finished"),
    },
  },
  {
    name: "runs a task that throws",
    task: { name: "selftest", input: { ending: "throw" } },
    expect: {
      state: "failed",
      failure: "task_failed",
      message: /^The selftest was asked to throw$/,
      exit: 1,
      exitCode: 1,
      ...SELFTEST_OUTPUT,
      events: told(...SELFTEST_EVENTS, "finished"),
    },
  },
  {
    name: "runs a task whose result its schema refuses",
    task: { name: "selftest", input: { ending: "bad-result" } },
    expect: {
      state: "failed",
      failure: "bad_output",
      message: /result\.steps/,
      exit: 1,
      exitCode: 0,
      ...SELFTEST_OUTPUT,
      events: told(...SELFTEST_EVENTS, "finished"),
    },
  },
  {
    name: "runs a task that gives no result",
    task: { name: "selftest", input: { ending: "no-result" } },
    expect: {
      state: "failed",
      failure: "task_failed",
      message: /ended without a result$/,
      exit: 1,
      exitCode: 0,
      ...SELFTEST_OUTPUT,
      events: told(...SELFTEST_EVENTS, "report_refused", "finished"),
    },
  },
  {
    name: "is launched twice with one key",
    program: shell("echo once >> count; cat count"),
    act: "repeat",
    expect: { ...COMPLETED, stdout: "once\n" },
  },
  {
    name: "is launched in every way with one key",
    program: shell("echo shared; exit 4"),
    sharedKey: true,
    expect: { ...failed(4), stdout: "shared\n" },
  },
];
