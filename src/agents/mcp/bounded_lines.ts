/** Lines of a stream, none longer than a bound. */

const NEWLINE = 10;

/** What to do with a line that is too long. */
export interface LineBounds {
  /** Bytes at most. */
  readonly maxBytes: number;
  /** Whether the rest of a longer one is left out; by default the stream is not read any further. */
  readonly cuts?: boolean;
}

/**
 * The lines of a stream, without their ends, and what is left behind the last one.
 *
 * @throws {RangeError} When one is too long.
 */
export async function* boundedLines(
  stream: ReadableStream<Uint8Array>,
  { maxBytes, cuts = false }: LineBounds,
): AsyncGenerator<Uint8Array, void, void> {
  // The pieces of a line are joined once: it may come in thousands of them.
  let pieces: Uint8Array[] = [];
  let length = 0;
  const add = (piece: Uint8Array) => {
    if (length + piece.length > maxBytes && !cuts) {
      throw new RangeError(`a line of more than ${maxBytes} bytes`);
    }
    const kept = piece.subarray(0, maxBytes - length);
    if (kept.length === 0) return;
    // The reader may use its buffer again.
    pieces.push(kept.slice());
    length += kept.length;
  };
  const take = () => {
    const line = joined(pieces, length);
    pieces = [];
    length = 0;
    return line;
  };
  for await (const chunk of stream) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end === -1) break;
      add(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    add(chunk.subarray(start));
  }
  if (length > 0) yield take();
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
