/** How much a block of HTTP/2 headers comes to when it is inflated (HPACK, RFC 7541). */

/** What a block would come to. */
export interface HeaderCost {
  /** Header fields. */
  readonly fields: number;
  /** At most so many bytes of names and values. */
  readonly bytes: number;
}

/** Entries of the static table; what has a greater index was sent before. */
const STATIC_ENTRIES = 61;
/** None of the static table is longer, name and value together. */
const STATIC_BYTES = 64;
/** The shortest code of HPACK's Huffman table has 5 bits for a byte. */
const HUFFMAN_GROWTH = 8 / 5;
/** Longer numbers than any length there can be. */
const MAX_INTEGER_BYTES = 5;

/**
 * Estimates blocks of one connection, in order, without inflating them: a byte can stand for 4 KiB
 * that were sent once, which is what a bomb is made of.
 */
export class HeaderEstimate {
  #block: Uint8Array = new Uint8Array();
  #at = 0;
  /** The longest that was sent to be referred to later. */
  #longestKept = 0;

  /** Undefined when the block cannot be read; the connection is no use then. */
  of(block: Uint8Array): HeaderCost | undefined {
    this.#block = block;
    this.#at = 0;
    let fields = 0;
    let bytes = 0;
    try {
      while (this.#at < block.length) {
        const first = block[this.#at];
        // A change of the table's size is no field.
        if ((first & 0xe0) === 0x20) {
          this.#integer(5);
          continue;
        }
        fields++;
        bytes += this.#field(first);
      }
    } catch (thrown) {
      if (thrown instanceof RangeError) return undefined;
      throw thrown;
    }
    return { fields, bytes };
  }

  /** The bytes that one field comes to. */
  #field(first: number): number {
    if (first >= 0x80) return this.#referred(this.#integer(7));
    const isKept = first >= 0x40;
    const name = this.#integer(isKept ? 6 : 4);
    const bytes = (name === 0 ? this.#string() : this.#referred(name)) + this.#string();
    if (isKept) this.#longestKept = Math.max(this.#longestKept, bytes);
    return bytes;
  }

  #referred(index: number): number {
    return index > STATIC_ENTRIES ? this.#longestKept : STATIC_BYTES;
  }

  #string(): number {
    const isHuffman = this.#byte() >= 0x80;
    this.#at--;
    const length = this.#integer(7);
    this.#at += length;
    if (this.#at > this.#block.length) throw new RangeError("It ends in the middle.");
    return isHuffman ? length * HUFFMAN_GROWTH : length;
  }

  /** A number that begins in the last bits of a byte. */
  #integer(prefixBits: number): number {
    const limit = 2 ** prefixBits - 1;
    let value = this.#byte() & limit;
    if (value < limit) return value;
    for (let i = 0; i < MAX_INTEGER_BYTES; i++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw new RangeError("It is too great.");
  }

  #byte(): number {
    if (this.#at >= this.#block.length) throw new RangeError("It ends in the middle.");
    return this.#block[this.#at++];
  }
}
