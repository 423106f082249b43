/** Whatever is written, lost, doubled and delayed: in the end all replicas show the same. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { convergenceOf, schedules } from "../support/schedules.ts";

const RUNS = Number(Deno.env.get("HANZO_SCHEDULES") ?? 300);

Deno.test(`${RUNS} random schedules over 3 to 7 replicas: no divergence, nothing added or appended is lost`, () => {
  fc.assert(
    fc.property(schedules, (schedule) => {
      const { shown, expected } = convergenceOf(schedule);
      for (const one of shown) assertEquals(one, shown[0]);
      const own = Object.fromEntries(shown[0]);
      for (const key of ["sum", "tally"] as const) assertEquals(own[key] ?? 0, expected[key], key);
      for (const key of ["log", "queue"] as const) {
        assertEquals(((own[key] ?? []) as string[]).toSorted(), expected[key].toSorted(), key);
      }
    }),
    { numRuns: RUNS },
  );
});
