import { concatBytes } from "../core/bytes.ts";

/** Pieces are put together up to about this size: a write per line would cost more than the line. */
const CHUNK_BYTES = 64 * 1024;

/** A body made as it is read: whoever reads slowly holds up only its own generator, and holds no bytes here. */
export function byteStream(pieces: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async pull(controller) {
      const chunk: Uint8Array[] = [];
      for (let bytes = 0; bytes < CHUNK_BYTES;) {
        const next = await pieces.next();
        if (next.done) {
          if (chunk.length > 0) controller.enqueue(concatBytes(chunk) as Uint8Array<ArrayBuffer>);
          return controller.close();
        }
        chunk.push(next.value);
        bytes += next.value.length;
      }
      controller.enqueue(concatBytes(chunk) as Uint8Array<ArrayBuffer>);
    },
    async cancel() {
      await pieces.return(undefined);
    },
  }, { highWaterMark: 0 });
}
