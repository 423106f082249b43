/** Identifiers that sort by the time of their making: ULID, 26 characters. */

import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

// Crockford's base 32: no I, L, O, U.
const ALPHABET = new TextEncoder().encode("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
const LENGTH = 26;
const RANDOM_LENGTH = 16;
const POOL_BYTES = RANDOM_LENGTH * 64;

/** What {@linkcode ulidMaker}'s function returns looks like this. */
export const ULID_PATTERN = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/**
 * Makes a function that returns a new ULID at each call: 48 bits of the clock's wall time in
 * milliseconds, 80 bits of chance (https://github.com/ulid/spec).
 *
 * Random bytes are drawn for 64 ids at a time: asking the system for them costs more than all
 * else here.
 */
export function ulidMaker(clock: Clock, random: Random): () => string {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  let lastTime = -1;
  const id = new Uint8Array(LENGTH);
  return () => {
    const time = Math.max(0, Math.floor(clock.wallTime()));
    if (time !== lastTime) {
      lastTime = time;
      writeTime(time, id);
    }
    if (used === POOL_BYTES) {
      random.fill(pool);
      used = 0;
    }
    for (let i = LENGTH - RANDOM_LENGTH; i < LENGTH; i++) id[i] = ALPHABET[pool[used++] & 31];
    // All at once: a string that is put together letter by letter is one of strings.
    return String.fromCharCode.apply(null, id as unknown as number[]);
  };
}

function writeTime(time: number, id: Uint8Array): void {
  for (let i = LENGTH - RANDOM_LENGTH - 1; i >= 0; i--) {
    id[i] = ALPHABET[time % 32];
    time = Math.floor(time / 32);
  }
}
