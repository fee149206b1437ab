/** Documents in the fragment of the page's address, which no server is sent. */

const BEFORE = "#s=";

/** The fragment that holds a document: JSON, compressed, in the letters that links keep. */
export async function fragmentOf(document: unknown): Promise<string> {
  const bytes = await through(new CompressionStream("deflate-raw"), JSON.stringify(document));
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return BEFORE + text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The document that a fragment holds; null when it holds none. Throws when it is damaged. */
export async function documentIn(fragment: string): Promise<unknown> {
  if (!fragment.startsWith(BEFORE)) return null;
  const text = fragment.slice(BEFORE.length).replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(await through(new DecompressionStream("deflate-raw"), bytes)));
}

/** The id of the job that a fragment names, or null. */
export function jobIn(fragment: string): string | null {
  return /^#job=([0-9A-Za-z-]+)$/.exec(fragment)?.[1] ?? null;
}

async function through(
  stream: CompressionStream | DecompressionStream,
  body: string | Uint8Array<ArrayBuffer>,
): Promise<Uint8Array> {
  const packed = new Blob([body]).stream().pipeThrough(
    stream as ReadableWritablePair<Uint8Array<ArrayBuffer>>,
  );
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
