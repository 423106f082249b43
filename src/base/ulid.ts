/** Identifiers that sort by the time of their making: ULID, 26 characters. */

import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

// Crockford's base 32: no I, L, O, U.
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
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
  let prefix = "";
  return () => {
    const time = Math.max(0, Math.floor(clock.wallTime()));
    if (time !== lastTime) {
      lastTime = time;
      prefix = encodeTime(time);
    }
    if (used === POOL_BYTES) {
      random.fill(pool);
      used = 0;
    }
    let id = prefix;
    for (let i = 0; i < RANDOM_LENGTH; i++) id += ALPHABET[pool[used++] & 31];
    return id;
  };
}

function encodeTime(time: number): string {
  let text = "";
  for (let i = 0; i < 10; i++) {
    text = ALPHABET[time % 32] + text;
    time = Math.floor(time / 32);
  }
  return text;
}
