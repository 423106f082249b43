/** Which attempts came lately, so that none is started twice. */

/** Of a task's identifier: 26 characters of seven bits each, four in a word. */
const ID_LENGTH = 26;
const ID_WORDS = Math.ceil(ID_LENGTH / 4);
/** The last one is which attempt of the task it is: zero stands for none at all. */
const WORDS = ID_WORDS + 1;

/**
 * Remembers at least the last `capacity` attempts, and at most twice as many: half of them are
 * forgotten at once. In tables of numbers: strings in a `Set` outlive young garbage collections,
 * which copy them, and took a tenth of all that a node does for an empty run.
 *
 * Whoever chooses identifiers that all want one place makes a step cost `capacity` comparisons,
 * some 10 µs for 4,096, and no more.
 */
export class RecentAttempts {
  readonly #capacity: number;
  readonly #key = new Uint32Array(WORDS);
  /** Open addressing, at most half full. */
  #newer: Uint32Array;
  #older: Uint32Array;
  #size = 0;

  /** @param capacity A power of two. */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#newer = new Uint32Array(2 * capacity * WORDS);
    this.#older = new Uint32Array(2 * capacity * WORDS);
  }

  /**
   * Adds it; returns whether it was not there.
   *
   * @param taskId A ULID.
   * @param attempt 1 or more.
   */
  add(taskId: string, attempt: number): boolean {
    const home = this.#setKey(taskId, attempt);
    const older = this.#freePlace(this.#older, home);
    const newer = this.#freePlace(this.#newer, home);
    if (older < 0 || newer < 0) return false;
    this.#newer.set(this.#key, newer);
    if (++this.#size === this.#capacity) {
      [this.#older, this.#newer] = [this.#newer, this.#older.fill(0)];
      this.#size = 0;
    }
    return true;
  }

  /** Returns where it is looked for first. */
  #setKey(taskId: string, attempt: number): number {
    let hash = attempt;
    for (let word = 0; word < ID_WORDS; word++) {
      let bits = 0;
      const end = Math.min(4 * word + 4, ID_LENGTH);
      for (let i = 4 * word; i < end; i++) bits = bits << 7 | taskId.charCodeAt(i) & 0x7f;
      this.#key[word] = bits;
      hash = Math.imul(hash ^ bits, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    this.#key[ID_WORDS] = attempt;
    return hash & (2 * this.#capacity - 1);
  }

  /** Where the key would go; -1 when it is there already. */
  #freePlace(table: Uint32Array, home: number): number {
    const key = this.#key;
    for (let slot = home;; slot = slot + 1 & (2 * this.#capacity - 1)) {
      const place = slot * WORDS;
      if (table[place + ID_WORDS] === 0) return place;
      let word = WORDS - 1;
      // From the end, which is chance; the beginning is the time.
      while (word >= 0 && table[place + word] === key[word]) word--;
      if (word < 0) return -1;
    }
  }
}
