import { concatBytes } from "../core/bytes.ts";
import { messageOf } from "../core/errors.ts";

/** Pieces are put together up to about this size: a write per line would cost more than the line. */
const CHUNK_BYTES = 64 * 1024;

/**
 * A body made as it is read: whoever reads slowly holds up only its own generator, and holds no bytes here. When the
 * generator fails the connection is cut, so that nobody takes a part for the whole.
 */
export function byteStream(
  pieces: AsyncGenerator<Uint8Array>,
  onError: (error: unknown) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let isCancelled = false;
  return new ReadableStream({
    async pull(controller) {
      try {
        const { chunk, isLast } = await takeChunk(pieces);
        // The reader may have gone while this waited, and a stream that was cancelled takes nothing.
        if (isCancelled) return;
        if (chunk.length > 0) controller.enqueue(chunk);
        if (isLast) controller.close();
      } catch (error) {
        if (isCancelled) return;
        onError(error);
        // The listener prints why, so it is given words and not an error with a stack.
        controller.error(messageOf(error));
      }
    },
    async cancel() {
      isCancelled = true;
      await pieces.return(undefined);
    },
  }, { highWaterMark: 0 });
}

async function takeChunk(
  pieces: AsyncGenerator<Uint8Array>,
): Promise<{ chunk: Uint8Array<ArrayBuffer>; isLast: boolean }> {
  const parts: Uint8Array[] = [];
  let isLast = false;
  for (let bytes = 0; bytes < CHUNK_BYTES;) {
    const next = await pieces.next();
    isLast = next.done === true;
    if (next.done) break;
    parts.push(next.value);
    bytes += next.value.length;
  }
  return { chunk: concatBytes(parts) as Uint8Array<ArrayBuffer>, isLast };
}
