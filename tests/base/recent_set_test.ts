/** What was seen lately is remembered, and no more than twice as much of it. */

import { assertEquals } from "@std/assert";
import { RecentSet } from "../../src/base/recent_set.ts";

Deno.test("the last ones are remembered, and the old ones forgotten", () => {
  const seen = new RecentSet<number>(100);
  for (let n = 0; n < 1_000; n++) {
    assertEquals(seen.add(n), true);
    for (let back = 0; back < Math.min(100, n + 1); back++) assertEquals(seen.add(n - back), false);
  }
  // Of those that are long gone nothing is known.
  const forgotten = Array.from({ length: 700 }, (_, n) => n).filter((n) => seen.add(n));
  assertEquals(forgotten.length, 700);
});
