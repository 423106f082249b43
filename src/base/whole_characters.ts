/** Text that comes in pieces, which may have been cut between the halves of a surrogate pair. */

/** Gives pieces on so that none of them ends in half a character: alone that is no text. */
export class WholeCharacters {
  #half = "";

  /** What can be given on now, which may be nothing. */
  with(piece: string): string {
    if (this.#half === "" && !endsInHalf(piece, piece.length)) return piece;
    const text = this.#half + piece;
    this.#half = endsInHalf(text, text.length) ? text.slice(-1) : "";
    return text.slice(0, text.length - this.#half.length);
  }

  /** The half whose other half has not come. */
  rest(): string {
    return this.#half;
  }
}

/** Whether the first `length` units of a text end between the halves of a pair. */
export function endsInHalf(text: string, length: number): boolean {
  const last = text.charCodeAt(length - 1);
  return last >= 0xd800 && last < 0xdc00;
}
