/** Ids of calls: unique in a run, whatever models and programs give. */

import { assertEquals } from "@std/assert";
import { CallIds } from "../../src/agents/call_ids.ts";
import { CallLabels } from "../../src/agents/call_labels.ts";

Deno.test("a call keeps the id that it was given unless it is another's, or none", () => {
  const ids = new CallIds();
  assertEquals(
    ["call_abc", "call_abc", "call_2", undefined, "call_1", "", "two words", "ü", 7].map((one) =>
      ids.next(one)
    ),
    [
      "call_abc",
      "call_1",
      "call_2",
      "call_3",
      "call_4",
      "call_5",
      "call_6",
      "call_7",
      "call_8",
    ],
  );
  assertEquals(ids.next("x".repeat(64)), "x".repeat(64));
  assertEquals(ids.next("x".repeat(65)), "call_9");
});

Deno.test("another attempt gives other ids than the first", () => {
  const [first, second] = [new CallIds(), new CallIds(2)];
  assertEquals([first.next(), second.next(), second.next()], ["call_1", "call_2_1", "call_2_2"]);
});

Deno.test("however many ids are given, all are different, and not all are kept", () => {
  const ids = new CallIds();
  const all = Array.from({ length: 20_000 }, (_, n) => ids.next(`mine-${n}`));
  assertEquals(new Set(all).size, 20_000);
  assertEquals([all[9_999], all[10_000]], ["mine-9999", "call_1"]);
});

Deno.test("people see a number where several calls of one tool run", () => {
  const labels = new CallLabels();
  const call = (callId: string) =>
    labels.of({ type: "tool-call", callId, tool: "look", arguments: null });
  const result = (callId: string) =>
    labels.of({ type: "tool-result", callId, tool: "look", result: null });
  assertEquals([call("a"), call("b"), call("c")], ["look", "look #2", "look #3"]);
  assertEquals([result("b"), call("d"), result("a"), result("c")], [
    "look #2",
    "look #2",
    "look",
    "look #3",
  ]);
  assertEquals([result("d"), call("e"), call(""), result("")], [
    "look #2",
    "look",
    "look #2",
    "look",
  ]);
});
