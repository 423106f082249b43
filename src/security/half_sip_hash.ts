/** A keyed hash that is fast in JavaScript: for a sieve, not for a seal. */

/**
 * HalfSipHash-2-4 with 64 bits of output (Aumasson and Bernstein): a keyed hash that takes nothing
 * but 32-bit arithmetic, which JavaScript is fast at.
 *
 * @param key 8 bytes.
 * @param length How many of the bytes count.
 * @returns The output as two numbers of 32 bits, the first four bytes first, little endian.
 */
export function halfSipHash(
  key: Uint8Array,
  bytes: Uint8Array,
  length: number = bytes.length,
): [number, number] {
  const k0 = littleEndian(key, 0);
  const k1 = littleEndian(key, 4);
  let v0 = k0;
  let v1 = k1 ^ 0xee;
  let v2 = k0 ^ 0x6c796765;
  let v3 = k1 ^ 0x74656462;
  const whole = length & ~3;
  let last = length << 24;
  for (let at = whole; at < length; at++) last |= bytes[at] << 8 * (at - whole);
  let low = 0;
  // Two rounds for each word, and four times two behind the last one, as if words of 0 followed.
  for (let at = 0; at <= whole + 16; at += 4) {
    const word = at < whole ? littleEndian(bytes, at) : at === whole ? last : 0;
    v3 ^= word;
    for (let round = 0; round < 2; round++) {
      v0 = v0 + v1 | 0;
      v1 = (v1 << 5 | v1 >>> 27) ^ v0;
      v0 = v0 << 16 | v0 >>> 16;
      v2 = v2 + v3 | 0;
      v3 = (v3 << 8 | v3 >>> 24) ^ v2;
      v0 = v0 + v3 | 0;
      v3 = (v3 << 7 | v3 >>> 25) ^ v0;
      v2 = v2 + v1 | 0;
      v1 = (v1 << 13 | v1 >>> 19) ^ v2;
      v2 = v2 << 16 | v2 >>> 16;
    }
    v0 ^= word;
    if (at === whole) {
      v2 ^= 0xee;
    } else if (at === whole + 8) {
      low = v1 ^ v3;
      v1 ^= 0xdd;
    }
  }
  return [low, v1 ^ v3];
}

/** Four bytes as a number of 32 bits, the first one the least. */
export function littleEndian(bytes: Uint8Array, at: number): number {
  return bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24;
}
