/** Chance that repeats itself, and orders made of it. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { seededRandom, systemRandom } from "../../src/base/random.ts";

function take(count: number, next: () => number): number[] {
  return Array.from({ length: count }, next);
}

Deno.test("the same seed gives the same numbers, another seed others", () => {
  assertEquals(take(50, seededRandom(7).next), take(50, seededRandom(7).next));
  assertNotEquals(take(50, seededRandom(7).next), take(50, seededRandom(8).next));
  // The published test values of mulberry32 for the seed 0.
  assertEquals(
    take(3, seededRandom(0).next).map((value) => Math.floor(value * 2 ** 32)),
    [1144304738, 1416247, 958946056],
  );
});

Deno.test("of a seed only its low 32 bits count, negative ones included", () => {
  assertEquals(seededRandom(-1).next(), seededRandom(0xffff_ffff).next());
  assertEquals(seededRandom(2 ** 32 + 5).next(), seededRandom(5).next());
});

Deno.test("seeded numbers are from 0 to below 1 and spread evenly", () => {
  const counts = new Array(10).fill(0);
  for (const value of take(10_000, seededRandom(3).next)) {
    assert(value >= 0 && value < 1);
    counts[Math.floor(value * 10)]++;
  }
  for (const count of counts) assert(count > 900 && count < 1_100, `${counts}`);
});

Deno.test("fill fills all bytes of the array that it is given, and returns it", () => {
  for (const random of [seededRandom(1), systemRandom]) {
    const bytes = new Uint8Array(4_096);
    assertEquals(random.fill(bytes), bytes);
    assertEquals(new Set(bytes).size, 256, "4,096 bytes of chance hold every value");
  }
  assertEquals(seededRandom(9).fill(new Uint8Array(8)), seededRandom(9).fill(new Uint8Array(8)));
});
