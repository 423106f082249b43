/** What came lately is remembered, and no more than twice as much of it. */

import { assert, assertEquals } from "@std/assert";
import { seededRandom } from "../../src/base/random.ts";
import { ulidMaker } from "../../src/base/ulid.ts";
import { RecentAttempts } from "../../src/tasks/recent_attempts.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";

const newId = ulidMaker(new ManualClock(), seededRandom(1));

Deno.test("the last ones are remembered, and the old ones forgotten", () => {
  const recent = new RecentAttempts(64);
  const ids = Array.from({ length: 1_000 }, newId);
  for (let n = 0; n < ids.length; n++) {
    assert(recent.add(ids[n], 1));
    for (let back = 0; back < Math.min(64, n + 1); back++) assert(!recent.add(ids[n - back], 1));
  }
  // Of those that are long gone nothing is known.
  assertEquals(ids.slice(0, 700).filter((id) => recent.add(id, 1)).length, 700);
});

Deno.test("another attempt at the same task, or one letter that differs, is another one", () => {
  const recent = new RecentAttempts(64);
  const id = newId();
  assert(recent.add(id, 1));
  assert(recent.add(id, 2));
  for (let at = 0; at < id.length; at++) {
    const other = id.slice(0, at) + (id[at] === "7" ? "6" : "7") + id.slice(at + 1);
    assert(recent.add(other, 1), `${id} and ${other}`);
  }
  assert(!recent.add(id, 1));
  assert(!recent.add(id, 2));
});
