/** How much a block of HTTP/2 headers comes to when it is inflated (HPACK, RFC 7541). */

/** What a block comes to. */
export interface HeaderCost {
  /** Header fields. */
  readonly fields: number;
  /** At most so many bytes of names and values. */
  readonly bytes: number;
}

/** How long a text is: with Huffman's code only the bounds are known without inflating it. */
interface Length {
  readonly least: number;
  readonly most: number;
}

interface Field {
  readonly name: Length;
  readonly value: Length;
}

/** Entries of the static table; what has a greater index was sent before. */
const STATIC_ENTRIES = 61;
/** `age` and `access-control-allow-origin`; nothing and `gzip, deflate`. */
const STATIC_FIELD: Field = { name: { least: 3, most: 27 }, value: { least: 0, most: 13 } };
/** Of the dynamic table: only who is offered more in SETTINGS may use it, and nobody is. */
const TABLE_BYTES = 4_096;
/** What an entry counts beside its name and value (RFC 7541, 4.1). */
const ENTRY_BYTES = 32;
/** HPACK's Huffman codes have 5 to 30 bits. */
const HUFFMAN = { least: 8 / 30, most: 8 / 5 };
/** Longer numbers than any length there can be. */
const MAX_INTEGER_BYTES = 5;

/** What has come ends within a field. */
class Incomplete extends Error {}
/** No HPACK. */
class Unreadable extends Error {}

/**
 * Estimates the blocks of one connection, in order and as they come, without inflating them: a byte
 * can stand for 4 KiB that were sent once, which is what a bomb is made of.
 */
export class HeaderEstimate {
  readonly #table = new DynamicTable();
  /** The beginning of a field, and then what came behind it. */
  #bytes: Uint8Array = new Uint8Array();
  #at = 0;
  #cost = { fields: 0, bytes: 0 };

  /**
   * Takes what came next of a block.
   *
   * @returns What the block comes to so far; undefined when nobody can read it.
   */
  push(fragment: Uint8Array): HeaderCost | undefined {
    this.#bytes = join(this.#bytes, fragment);
    let start = 0;
    try {
      for (this.#at = 0; this.#at < this.#bytes.length; start = this.#at) this.#readNext();
    } catch (thrown) {
      if (thrown instanceof Unreadable) return undefined;
      if (!(thrown instanceof Incomplete)) throw thrown;
    }
    // A copy: the fragment is lent.
    this.#bytes = this.#bytes.slice(start);
    return { ...this.#cost };
  }

  /**
   * The block is over.
   *
   * @returns Whether its last field was complete.
   */
  end(): boolean {
    this.#cost = { fields: 0, bytes: 0 };
    return this.#bytes.length === 0;
  }

  /** Reads a field, or a change of the table's size, which is none. */
  #readNext(): void {
    const first = this.#bytes[this.#at];
    if ((first & 0xe0) === 0x20) return this.#table.resize(this.#integer(5));
    const { name, value } = first >= 0x80 ? this.#table.at(this.#integer(7)) : this.#literal(first);
    this.#cost.fields++;
    this.#cost.bytes += name.most + value.most;
  }

  #literal(first: number): Field {
    const isKept = first >= 0x40;
    const index = this.#integer(isKept ? 6 : 4);
    const name = index === 0 ? this.#string() : this.#table.at(index).name;
    const field = { name, value: this.#string() };
    if (isKept) this.#table.keep(field);
    return field;
  }

  #string(): Length {
    const isHuffman = this.#byte() >= 0x80;
    this.#at--;
    const length = this.#integer(7);
    this.#at += length;
    if (this.#at > this.#bytes.length) throw new Incomplete();
    return isHuffman
      ? { least: Math.floor(length * HUFFMAN.least), most: Math.floor(length * HUFFMAN.most) }
      : { least: length, most: length };
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
    throw new Unreadable();
  }

  #byte(): number {
    if (this.#at >= this.#bytes.length) throw new Incomplete();
    return this.#bytes[this.#at++];
  }
}

/**
 * What was sent to be referred to later. It forgets the oldest when it is full, and never earlier
 * than nghttp2: it counts what an entry has at least. So every index that nghttp2 knows stands for
 * the same field here.
 */
class DynamicTable {
  /** The oldest first. */
  readonly #fields: Field[] = [];
  #leastBytes = 0;
  #maxBytes = TABLE_BYTES;

  at(index: number): Field {
    if (index > 0 && index <= STATIC_ENTRIES) return STATIC_FIELD;
    const field = this.#fields.at(STATIC_ENTRIES - index);
    if (index === 0 || field === undefined) throw new Unreadable();
    return field;
  }

  /** One that is longer than the table empties it, and is not kept either. */
  keep(field: Field): void {
    this.#fields.push(field);
    this.#leastBytes += leastBytes(field);
    this.#evict();
  }

  resize(bytes: number): void {
    if (bytes > TABLE_BYTES) throw new Unreadable();
    this.#maxBytes = bytes;
    this.#evict();
  }

  #evict(): void {
    while (this.#leastBytes > this.#maxBytes) {
      this.#leastBytes -= leastBytes(this.#fields.shift()!);
    }
  }
}

function leastBytes({ name, value }: Field): number {
  return ENTRY_BYTES + name.least + value.least;
}

function join(one: Uint8Array, other: Uint8Array): Uint8Array {
  if (one.length === 0) return other;
  const bytes = new Uint8Array(one.length + other.length);
  bytes.set(one);
  bytes.set(other, one.length);
  return bytes;
}
