import process from "node:process";

/** Holds the reports of a few dozen failed tests, which come at the end. */
const TAIL_LENGTH = 200_000;

/** What one of several processes prints: held until it is its turn to be shown. */
export class HeldOutput {
  tail = "";
  readonly #held: Uint8Array[] = [];
  #isEnded = false;
  #more = Promise.withResolvers<void>();

  async take(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const bytes of stream) {
      this.tail = (this.tail + new TextDecoder().decode(bytes)).slice(-TAIL_LENGTH);
      this.#held.push(bytes);
      this.#more.resolve();
    }
    this.#isEnded = true;
    this.#more.resolve();
  }

  async *#pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      yield* this.#held.splice(0);
      if (this.#isEnded && this.#held.length === 0) return;
      await this.#more.promise;
      this.#more = Promise.withResolvers();
    }
  }

  /** Prints what is held, and then what comes, until the stream has ended. */
  async show(): Promise<void> {
    for await (const bytes of this.#pieces()) process.stdout.write(bytes);
  }
}
