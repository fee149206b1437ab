/** Jobs of the launch-parity suite about what a program writes, and what it is given besides its request. */
import { COMPLETED, type ParityJob, shell, told } from "./job.ts";

const LINES_100_000 = Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join("");

export const OUTPUT: readonly ParityJob[] = [
  {
    name: "writes to both streams in turn",
    program: shell('i=0; while [ $i -lt 100 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done'),
    expect: {
      ...COMPLETED,
      stdout: Array.from({ length: 100 }, (_, index) => `out ${index}\n`).join(""),
      stderr: Array.from({ length: 100 }, (_, index) => `err ${index}\n`).join(""),
      lines: 200,
    },
  },
  {
    name: "ends without a newline",
    program: shell("printf 'whole\\npart'; printf oops >&2"),
    expect: { ...COMPLETED, stdout: "whole\npart", stderr: "oops", lines: 3 },
  },
  {
    name: "completes a line after a while",
    program: shell("printf 'one '; sleep 0.2; printf 'line\\n'"),
    expect: { ...COMPLETED, stdout: "one line\n", lines: 1 },
  },
  {
    name: "writes a line of 1 MB",
    program: shell("head -c 1000000 /dev/zero | tr '\\0' x; echo"),
    // 15 pieces of 64 KiB, and the rest.
    expect: { ...COMPLETED, stdout: `${"x".repeat(1_000_000)}\n`, lines: 16 },
  },
  {
    name: "writes 100,000 lines",
    program: ["seq", "1", "100000"],
    expect: { ...COMPLETED, stdout: LINES_100_000, lines: 100_000 },
  },
  {
    name: "writes what is no UTF-8, and NUL",
    program: shell("printf 'a\\0b\\377\\376\\303(\\n\\0\\n\\355\\240\\200'"),
    expect: {
      ...COMPLETED,
      stdout: Uint8Array.of(97, 0, 98, 0xff, 0xfe, 0xc3, 40, 10, 0, 10, 0xed, 0xa0, 0x80),
      lines: 3,
    },
  },
  {
    name: "writes CR LF and lone CR",
    program: shell("printf 'dos\\r\\n50%%\\r100%%\\r\\n\\r'"),
    expect: { ...COMPLETED, stdout: "dos\r\n50%\r100%\r\n\r", lines: 3 },
  },
  {
    name: "writes control sequences and empty lines",
    program: shell("printf '\\033[31mred\\033[0m\\n\\n\\n'"),
    expect: { ...COMPLETED, stdout: "\x1b[31mred\x1b[0m\n\n\n", lines: 3 },
  },
  {
    name: "writes more than its bound",
    program: ["seq", "1", "1000"],
    outputBytesMax: 1000,
    expect: {
      ...COMPLETED,
      // 9 × 2 + 90 × 3 + 178 × 4 bytes are 1000: the bound itself is still allowed.
      stdout: LINES_100_000.slice(0, 1000),
      lines: 277,
      dropped: { lines: 723, bytes: 2893 },
      events: told(
        ["output_dropped", { droppedLines: 723, droppedBytes: 2893, outputBytesMax: 1000 }],
        "finished",
      ),
    },
  },
  {
    name: "looks at its environment",
    program: [
      "awk",
      // What names the job, and what stdbuf(1) adds, is for others to test.
      'BEGIN { for (name in ENVIRON) if (name !~ /^(GLASSBOX_(ATTEMPT|DIRECTORY|JOB_ID)|LD_PRELOAD|_STDBUF_.|AWK.*)$/) print name "=" ENVIRON[name] | "LC_ALL=C sort" }',
    ],
    expect: {
      ...COMPLETED,
      stdout: ({ cwd, env }) =>
        Object.entries({
          ...env,
          PWD: cwd,
          PYTHONUNBUFFERED: "1",
          GLASSBOX_CONTROL_FD: "3",
          GLASSBOX_EPOCH: "1",
        })
          .map(([name, value]) => `${name}=${value}\n`).sort().join(""),
    },
  },
  {
    name: "looks at its descriptors, signals and limits",
    program: shell(
      // Descriptor 3 is only written to, as what it is differs with the engine: Deno makes a socket, Bun a pipe.
      "for n in 0 1 2; do readlink /proc/$$/fd/$n | tr -d '0-9'; done; printf '' >&3 && echo open\n" +
        // Whatever else it has may only come from who started glassbox: no file, lock or socket of ours.
        "ls -l /proc/$$/fd | grep -v ' 3 -> ' | grep -E 'glassbox|anon_inode|socket'\n" +
        // Of the signals the first 28, as those for threads differ with who started whoever runs this; without HUP, INT
        // and QUIT, of which nohup and shells have what they start in the background ignore some.
        "for mask in $(grep -E '^Sig(Blk|Ign):' /proc/self/status | sed 's/.*\\(.......\\)$/\\1/'); do\n" +
        "printf '%07x\\n' $((0x$mask & 0xffffff8)); done\n" +
        "awk '{ print ($5 == $1), ($6 == $1) }' /proc/$$/stat\n" +
        "(umask; nice; ulimit -Sn; ulimit -Hn; ulimit -c) >&2",
    ),
    expect: {
      ...COMPLETED,
      stdout: "/dev/null\npipe:[]\npipe:[]\nopen\n0000000\n0000000\n1 1\n",
      stderr: null,
    },
  },
];
