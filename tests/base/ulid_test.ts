/** Identifiers that sort by time. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { type Random, seededRandom } from "../../src/base/random.ts";
import { ULID_PATTERN, ulidMaker } from "../../src/base/ulid.ts";

Deno.test("identifiers sort by the time of their making", async () => {
  const clock = new ManualClock();
  const newId = ulidMaker(clock, seededRandom(1));
  const ids: string[] = [];
  for (const ms of [0, 1, 9, 22, 1_000, 32_768, 86_400_000]) {
    await clock.advance(ms);
    ids.push(newId());
  }
  assertEquals(ids.toSorted(), ids);
});

Deno.test("the first ten characters are the milliseconds since 1970, as the ULID spec has them", () => {
  // The example of https://github.com/ulid/spec: 01ARYZ6S41 is 1469918176385.
  const newId = ulidMaker(new ManualClock(1_469_918_176_385), seededRandom(1));
  assertEquals(newId().slice(0, 10), "01ARYZ6S41");
});

Deno.test("an identifier is 26 characters of Crockford's alphabet, up to the year 10889", () => {
  for (const epoch of [-1, 0, Date.now() + 0.75, 2 ** 48 - 1]) {
    const newId = ulidMaker(new ManualClock(epoch), seededRandom(2));
    for (let i = 0; i < 200; i++) assertMatch(newId(), ULID_PATTERN);
  }
  for (const wrong of ["", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01ARYZ6S41TSV4RRFFQ69G5FAI"]) {
    assert(!ULID_PATTERN.test(wrong), wrong);
  }
});

Deno.test("ten thousand identifiers of one millisecond all differ, whenever chance is drawn anew", () => {
  let drawn = 0;
  const chance = seededRandom(3);
  const random: Random = {
    next: chance.next,
    fill(bytes) {
      drawn++;
      return chance.fill(bytes);
    },
  };
  const newId = ulidMaker(new ManualClock(), random);
  const ids = new Set(Array.from({ length: 10_000 }, newId));
  assertEquals(ids.size, 10_000);
  assertEquals(drawn, Math.ceil(10_000 / 64), "one draw for 64 identifiers");
});

Deno.test("two makers of different chance never agree", () => {
  const clock = new ManualClock();
  const [a, b] = [ulidMaker(clock, seededRandom(4)), ulidMaker(clock, seededRandom(5))];
  const ids = new Set(Array.from({ length: 100 }, () => [a(), b()]).flat());
  assertEquals(ids.size, 200);
});
