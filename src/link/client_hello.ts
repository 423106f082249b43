/**
 * The first that a TLS client says (RFC 8446, section 4.1.2): whether it is that at all, and which
 * name it asks for.
 */

import { Buffer } from "node:buffer";
import type net from "node:net";

/** What came first on a connection. */
export type FirstWords =
  /** Some of it is still to come. */
  | "incomplete"
  /** Something else than TLS. */
  | "no-hello"
  /** What it asks for; undefined when it asks for no name. */
  | { readonly serverName: string | undefined };

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const RECORD_HEADER_BYTES = 5;
/** Real ones have 200 to 2,000 bytes. One that goes on in a second record asks for no name here. */
const MAX_RECORD_BYTES = 16_384;

/** Reads what came so far; never throws. */
export function readFirstWords(bytes: Uint8Array): FirstWords {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length > 0 && bytes[0] !== HANDSHAKE_RECORD) return "no-hello";
  if (bytes.length > 1 && bytes[1] !== 3) return "no-hello";
  if (bytes.length < RECORD_HEADER_BYTES) return "incomplete";
  const length = view.getUint16(3);
  if (length < 4 || length > MAX_RECORD_BYTES) return "no-hello";
  if (bytes.length > RECORD_HEADER_BYTES && bytes[RECORD_HEADER_BYTES] !== CLIENT_HELLO) {
    return "no-hello";
  }
  if (bytes.length < RECORD_HEADER_BYTES + length) return "incomplete";
  try {
    return { serverName: serverNameIn(new DataView(view.buffer, view.byteOffset + 9, length - 4)) };
  } catch (thrown) {
    // A length that leads out of it.
    if (thrown instanceof RangeError) return "no-hello";
    throw thrown;
  }
}

/** @param hello Behind its type and length. */
function serverNameIn(hello: DataView): string | undefined {
  // Version and random number, then three lists, each behind its length.
  let at = 2 + 32;
  at += 1 + hello.getUint8(at);
  at += 2 + hello.getUint16(at);
  at += 1 + hello.getUint8(at);
  const end = at + 2 + hello.getUint16(at);
  for (at += 2; at < end;) {
    const type = hello.getUint16(at);
    const length = hello.getUint16(at + 2);
    at += 4;
    // The length of the list, the kind of name, the length of the name.
    if (type === SERVER_NAME) {
      const nameLength = hello.getUint16(at + 3);
      // Reaches as far as the name does, and throws where that is too far.
      hello.getUint8(at + 4 + nameLength);
      return new TextDecoder().decode(
        new Uint8Array(hello.buffer, hello.byteOffset + at + 5, nameLength),
      );
    }
    at += length;
  }
  return undefined;
}

/**
 * Waits for the first words on a connection, and puts them back.
 *
 * @param onRead Called at most once: not when it ends before.
 */
export function awaitFirstWords(
  socket: net.Socket,
  onRead: (words: Exclude<FirstWords, "incomplete">) => void,
): void {
  let bytes = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    const words = readFirstWords(bytes);
    if (words === "incomplete") return;
    socket.off("data", onData);
    socket.pause();
    socket.unshift(bytes);
    onRead(words);
  };
  socket.on("data", onData);
}
