/** What has come on a connection and was not taken yet. */

/** Where bytes come from; `Deno.Conn` is one. */
export interface ByteSource {
  /** Puts what has come into `buffer`; resolves to how much, or to null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
}

const INITIAL_BYTES = 4_096;
/** A connection that brings much at once is read in pieces of this size. */
const MAX_BYTES = 65_536;

/** See the top of the file. It holds 64 KiB at most. */
export class Inbox {
  readonly #source: ByteSource;
  #buffer = new Uint8Array(INITIAL_BYTES);
  #start = 0;
  #end = 0;
  #filling: Promise<boolean> | undefined;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** How many bytes there are. */
  get size(): number {
    return this.#end - this.#start;
  }

  /** What there is. It is valid until more is asked for. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** Forgets the first `count` bytes. */
  drop(count: number): void {
    this.#start += count;
  }

  /** A copy of the first bytes, at most `count`; they are dropped. */
  take(count: number): Uint8Array<ArrayBuffer> {
    const taken = this.#buffer.slice(this.#start, this.#start + Math.min(count, this.size));
    this.drop(taken.length);
    return taken;
  }

  /**
   * Waits for more; whoever asks meanwhile waits for the same. Not to be asked of one that holds
   * {@linkcode MAX_BYTES}.
   *
   * @returns False when no more will come: the connection has ended, or is broken.
   */
  fill(): Promise<boolean> {
    this.#filling ??= this.#fill().finally(() => this.#filling = undefined);
    return this.#filling;
  }

  async #fill(): Promise<boolean> {
    this.#makeRoom();
    try {
      const count = await this.#source.read(this.#buffer.subarray(this.#end));
      this.#end += count ?? 0;
      return count !== null;
    } catch {
      return false;
    }
  }

  /** Nothing is moved while a read is under way. */
  #makeRoom(): void {
    const { size } = this;
    // Whoever has filled it gets a larger one.
    const isFull = this.#end === this.#buffer.length;
    if (this.#start > 0 || isFull) {
      const length = isFull ? Math.min(MAX_BYTES, this.#buffer.length * 2) : this.#buffer.length;
      if (length === this.#buffer.length) {
        this.#buffer.copyWithin(0, this.#start, this.#end);
      } else {
        const larger = new Uint8Array(length);
        larger.set(this.bytes);
        this.#buffer = larger;
      }
      this.#start = 0;
      this.#end = size;
    }
  }
}
