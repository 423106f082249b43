/** Chance as it is handed to every room: the system's in a node, seeded in a test. */

/** A source of chance. Below the command line nothing else calls `Math.random`. */
export interface Random {
  /** A number from 0 (included) to 1 (excluded). */
  next(): number;
  /** Fills `bytes` and returns it. */
  fill(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
}

/** The system's chance; `fill` is fit for secrets. */
export const systemRandom: Random = {
  next: () => Math.random(),
  fill: (bytes) => crypto.getRandomValues(bytes),
};

/**
 * Chance that repeats itself: the same seed gives the same numbers. Not for secrets.
 *
 * The generator is mulberry32 (Tommy Ettinger, 2017, public domain): 32 bits of state, period 2³².
 *
 * @param seed Any integer; its low 32 bits count.
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 0x1_0000_0000;
  };
  return {
    next,
    fill(bytes) {
      for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(next() * 256);
      return bytes;
    },
  };
}
