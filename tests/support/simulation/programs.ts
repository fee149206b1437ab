/** The programs that simulated jobs run: what they do is their first argument, and what they did is written down. */
import type { Script, ScriptedProcess } from "../../../src/platform/memory.ts";
import type { SeededRandom } from "../random.ts";

/** What a program does, as JSON in its first argument. */
export interface Behaviour {
  /** Writes, each a number of bytes that may cut lines anywhere. */
  readonly writes: readonly { readonly stream: "stdout" | "stderr"; readonly bytes: number }[];
  readonly pauseMs: number;
  /** 0 to 255; null never ends by itself. */
  readonly exit: number | null;
  readonly onTerm: "dies" | "ignores" | "ends well";
  readonly leavesBehind: boolean;
  /** Bytes of a file that it leaves, and that its job asks for; null for none. */
  readonly leavesFile: number | null;
  /** Text for the control channel. */
  readonly says: readonly string[];
}

/** Told of what a program did outside glassbox. */
export interface Witness {
  began(job: string, epoch: number): void;
  left(process: ScriptedProcess, bytes: Uint8Array): void;
}

export const PROGRAM = "/bin/simulated";

/** The file that a program leaves in its working directory. */
export const LEFT_FILE = "left.txt";

/** Bytes that a given stream of a given attempt holds from `from` on: numbered lines of uneven length. */
export function outputBytes(stream: "stdout" | "stderr", from: number, length: number): Uint8Array {
  const text = stream === "stdout" ? STDOUT : STDERR;
  return text.subarray(from, from + length);
}

const STDOUT = numberedLines("out");
const STDERR = numberedLines("err");

function numberedLines(name: string): Uint8Array {
  let text = "";
  for (let line = 1; text.length < 400_000; line++) text += `${name} ${line}${"-".repeat((line * 7) % 61)}\n`;
  return new TextEncoder().encode(text);
}

/** Draws a program: most are short and well, some flood, hang, ignore signals or leave something behind. */
export function drawBehaviour(random: SeededRandom): Behaviour {
  const flood = random.next() < 0.04;
  const count = flood ? 5 : random.int(0, 5);
  return {
    writes: Array.from({ length: count }, () => ({
      stream: random.pick(["stdout", "stdout", "stderr"] as const),
      bytes: flood ? random.int(500, 8_000) : random.int(1, 90),
    })),
    pauseMs: random.pick([0, 0, 5, 40, 200, 1_500]),
    exit: random.next() < 0.05 ? null : random.pick([0, 0, 0, 1, 3]),
    onTerm: random.pick(["dies", "dies", "ignores", "ends well"] as const),
    leavesBehind: random.next() < 0.04,
    leavesFile: random.next() < 0.1 ? random.int(0, 3_000) : null,
    says: random.next() < 0.15
      ? [
        '{"type":"progress","fraction":0.5}\n',
        '{"type":"event","kind":"seen","data":{"at":1}}\nnot a message\n',
      ]
      : [],
  };
}

/** Plays the behaviour that its first argument describes. */
export function simulatedProgram(witness: Witness): Script {
  return async (process) => {
    const behaviour = JSON.parse(process.request.args.at(-1)!) as Behaviour;
    // Nothing that has been killed gets past a write.
    await process.stdout("");
    const { GLASSBOX_JOB_ID: job, GLASSBOX_EPOCH: epoch } = process.request.env;
    witness.began(job!, Number(epoch));
    const ended = takeSignals(process, behaviour);
    return await Promise.race([ended, act(process, behaviour, witness)]);
  };
}

function takeSignals(process: ScriptedProcess, { onTerm }: Behaviour): Promise<number> {
  return new Promise((resolve) => {
    if (onTerm === "dies") return;
    process.onSignal(() => void (onTerm === "ends well" && resolve(0)));
  });
}

async function act(process: ScriptedProcess, behaviour: Behaviour, witness: Witness): Promise<number> {
  const written = { stdout: 0, stderr: 0 };
  if (behaviour.leavesBehind) process.leaveBehind();
  for (const text of behaviour.says) await process.control(text);
  for (const { stream, bytes } of behaviour.writes) {
    await process[stream](outputBytes(stream, written[stream], bytes));
    written[stream] += bytes;
    if (behaviour.pauseMs > 0) await process.clock.sleep(behaviour.pauseMs);
  }
  if (behaviour.leavesFile !== null) witness.left(process, outputBytes("stdout", 0, behaviour.leavesFile));
  return behaviour.exit ?? await new Promise<never>(() => {});
}
