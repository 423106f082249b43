/** What was seen lately is remembered, and no more than twice as much of it. */

import { assert, assertEquals } from "@std/assert";
import { RecentSet } from "../../src/base/recent_set.ts";

Deno.test("the last ones are remembered, and the old ones forgotten", () => {
  const seen = new RecentSet<number>(100);
  for (let n = 0; n < 1_000; n++) {
    assert(!seen.has(n));
    seen.add(n);
    for (let back = 0; back < Math.min(100, n + 1); back++) assert(seen.has(n - back));
  }
  const remembered = Array.from({ length: 1_000 }, (_, n) => n).filter((n) => seen.has(n));
  assert(remembered.length <= 200, `${remembered.length}`);
  assertEquals(seen.has(700), false);
});
