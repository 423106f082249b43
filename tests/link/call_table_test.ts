/** Calls by number, also when one lasts while thousands come and go. */

import { assertEquals } from "@std/assert";
import { CallTable } from "../../src/link/call_table.ts";

Deno.test("thousands of calls come and go, and those that last are found among them", () => {
  const table = new CallTable<string>();
  const lasting = new Map<number, string>();
  for (let id = 1; id < 20_000; id += 2) {
    table.set(id, `call ${id}`);
    if (id % 1_001 === 0) lasting.set(id, `call ${id}`);
    else {
      assertEquals(table.get(id), `call ${id}`);
      assertEquals(table.take(id), `call ${id}`);
    }
    assertEquals([table.get(id + 2), table.take(id + 2)], [undefined, undefined]);
    assertEquals(table.size, lasting.size);
  }
  for (const [id, call] of lasting) assertEquals(table.get(id), call);
  assertEquals(new Map(table.takeAll()), lasting);
  assertEquals([table.size, table.get(1_001), table.takeAll()], [0, undefined, []]);
});

Deno.test("two that would stand in one place, whichever goes first", () => {
  for (const first of [4, 4 + 2_048]) {
    const table = new CallTable<number>();
    for (const id of [4, 4 + 2_048]) table.set(id, id);
    assertEquals(table.take(first), first);
    assertEquals(table.take(first), undefined);
    const other = 4 + 2_048 + 4 - first;
    assertEquals([table.get(other), table.size], [other, 1]);
    assertEquals([table.take(other), table.size], [other, 0]);
  }
});
