/** Whatever is written, lost, doubled and delayed: in the end all replicas show the same. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { convergenceOf, schedules } from "../support/schedules.ts";

/** `HANZO_SCHEDULES=100000` for the long form; what fails is replayed with the seed that is printed. */
const RUNS = Number(Deno.env.get("HANZO_SCHEDULES") ?? 300);
const SEED = Number(Deno.env.get("HANZO_SEED") ?? Math.floor(Math.random() * 2 ** 31));
const BATCH = 500;

Deno.test(`${RUNS} random schedules over 3 to 7 replicas: no divergence, nothing added or appended is lost`, async () => {
  for (let run = 0; run < RUNS; run += BATCH) {
    fc.assert(
      fc.property(schedules, (schedule) => {
        const { shown, expected } = convergenceOf(schedule);
        for (const one of shown) assertEquals(one, shown[0]);
        const own = Object.fromEntries(shown[0]);
        for (const key of ["sum", "tally"] as const) {
          assertEquals(own[key] ?? 0, expected[key], key);
        }
        for (const key of ["log", "queue"] as const) {
          assertEquals(((own[key] ?? []) as string[]).toSorted(), expected[key].toSorted(), key);
        }
      }),
      { numRuns: Math.min(BATCH, RUNS - run), seed: SEED + run },
    );
    // What replicas have put off for the end of the turn is let go.
    await new Promise((resolve) => setTimeout(resolve));
  }
});
