/** Lines out of a text that comes in portions, wherever those are cut. */

/** The longest line that is kept, in UTF-16 units: what is longer is no piece of an answer. */
export const MAX_LINE_LENGTH = 16 * 1024 * 1024;

/** Cuts at `\n`, `\r\n` and `\r`, also where a portion ends between the two. */
export class LineSplitter {
  readonly #maxLength: number;
  #rest = "";
  /** Whether the last portion ended with `\r`: a `\n` that follows belongs to it. */
  #isAfterReturn = false;

  /** @param maxLength Of a line, in UTF-16 units. */
  constructor(maxLength = MAX_LINE_LENGTH) {
    this.#maxLength = maxLength;
  }

  /** The beginning of a line that has not ended yet. */
  get rest(): string {
    return this.#rest;
  }

  /**
   * Takes the next portion.
   *
   * @param take Is told each line that ends in it, without its end.
   * @returns Whether no line was too long; after one that was, what came before is forgotten.
   */
  push(text: string, take: (line: string) => void): boolean {
    let from = 0;
    if (this.#isAfterReturn && text !== "") {
      this.#isAfterReturn = false;
      if (text.startsWith("\n")) from = 1;
    }
    // Each is looked for only once it was passed, so that a portion is read twice at most.
    let newline = text.indexOf("\n", from);
    let carriage = text.indexOf("\r", from);
    while (newline !== -1 || carriage !== -1) {
      const isReturn = carriage !== -1 && (newline === -1 || carriage < newline);
      const end = isReturn ? carriage : newline;
      if (this.#rest.length + end - from > this.#maxLength) return this.#overflow();
      const line = this.#rest + text.slice(from, end);
      this.#rest = "";
      from = end + 1;
      if (isReturn) {
        if (from === text.length) this.#isAfterReturn = true;
        else if (newline === from) from++;
        carriage = text.indexOf("\r", from);
      }
      if (newline !== -1 && newline < from) newline = text.indexOf("\n", from);
      take(line);
    }
    if (this.#rest.length + text.length - from > this.#maxLength) return this.#overflow();
    if (from < text.length) this.#rest += text.slice(from);
    return true;
  }

  #overflow(): false {
    this.#rest = "";
    return false;
  }
}
