/** Whoever comes and goes stands in the roster exactly as long as it is there. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Placed, Roster } from "../../src/base/roster.ts";

Deno.test("in whatever order things come and go, the roster has what a set would have", () => {
  fc.assert(fc.property(fc.array(fc.nat(9), { maxLength: 100 }), (steps) => {
    const all = Array.from({ length: 10 }, (_, name) => ({ name, place: -1 }));
    const roster = new Roster<Placed & { name: number }>();
    const expected = new Set<number>();
    for (const name of steps) {
      if (expected.delete(name)) roster.delete(all[name]);
      else {
        expected.add(name);
        roster.add(all[name]);
      }
      // Twice out is once out, and nobody else with it.
      if (!expected.has(name)) roster.delete(all[name]);
      assertEquals(roster.size, expected.size);
      assertEquals([...roster].map(({ name }) => name).sort(), [...expected].sort());
    }
  }));
});
