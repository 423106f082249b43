/** Server-sent events out of portions, wherever those are cut. */

import { assert, assertEquals } from "@std/assert";
import { EventReader } from "../../src/dialects/events.ts";
import { portions } from "./rig.ts";

function eventsOf(texts: readonly string[]): [string, string][] {
  const events: [string, string][] = [];
  const reader = new EventReader();
  for (const text of texts) assert(reader.push(text, (data, name) => events.push([data, name])));
  return events;
}

Deno.test("events have the data of all their lines, and their name only for themselves", () => {
  const text = "\ufeffevent: a\ndata: 1\ndata:2\n\n: a comment\nid: 5\n\ndata:  x\n\ndata\n\n";
  assertEquals(eventsOf([text]), [["1\n2", "a"], [" x", ""]]);
  for (const size of [1, 2, 3, 5]) assertEquals(eventsOf(portions(text, size)), eventsOf([text]));
});

Deno.test("errors in a field of their own, or in none, are events by the name error", () => {
  assertEquals(eventsOf(['error: {"code":500}\n\n', '{"error":"gone"}\n']), [
    ['{"code":500}', "error"],
    ['{"error":"gone"}', "error"],
  ]);
});

Deno.test("the last event of OpenAI's streams counts without its empty line", () => {
  for (const end of ["data: [DONE]", "data: [DONE]\n", "data:[DONE]"]) {
    const reader = new EventReader();
    assert(reader.push(`data: {}\n\n${end}`, () => {}));
    assert(reader.endsWithDone, end);
  }
  const reader = new EventReader();
  reader.push("data: {}\n\ndata: [DON", () => {});
  assert(!reader.endsWithDone);
});
