/** Names in messages. */

import { assertEquals } from "@std/assert";
import { named } from "../../src/base/named.ts";

Deno.test("of many names the first twenty are told, and how many there are besides", () => {
  const names = Array.from({ length: 22 }, (_, i) => `n${i}`);

  assertEquals(named(["a", "b"]), "a, b");
  assertEquals(named(names.slice(0, 20)), names.slice(0, 20).join(", "));
  assertEquals(named(names), `${names.slice(0, 20).join(", ")}, and 2 more`);
});
