/** Who is next when a slot becomes free. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Priority, WaitingLine } from "../../src/tasks/waiting_line.ts";

interface Somebody {
  readonly caller: string;
  readonly priority: Priority;
  readonly n: number;
}

function line(...waiters: [caller: string, priority?: Priority][]) {
  const made = new WaitingLine<Somebody>();
  waiters.forEach(([caller, priority = "normal"], n) => made.add({ caller, priority, n }));
  return made;
}

function order(from: WaitingLine<Somebody>): string {
  const taken: string[] = [];
  for (let next = from.next(); next; next = from.next()) taken.push(`${next.caller}${next.n}`);
  return taken.join(" ");
}

Deno.test("callers take turns, each in the order in which it sent", () => {
  assertEquals(order(line(["a"], ["a"], ["a"], ["b"], ["c"], ["b"])), "a0 b3 c4 a1 b5 a2");
});

Deno.test("a higher priority goes first, and yet nobody waits for ever", () => {
  assertEquals(order(line(["a", "low"], ["a"], ["a", "high"])), "a2 a1 a0");
  const busy = line(["a", "low"], ...Array.from({ length: 20 }, () => ["b"] as [string]));
  assertEquals(order(busy).split(" ").indexOf("a0"), 7);
});

Deno.test("between those who are urgent and those who are not, nobody is forgotten", () => {
  const made = new WaitingLine<Somebody>();
  const add = (priority: Priority, n: number) => made.add({ caller: priority, priority, n });
  add("normal", 0);
  // Of both there are always more.
  for (let n = 0; n < 4; n++) add("high", n), add("low", n);
  const taken: Priority[] = [];
  for (let n = 0; n < 40; n++) {
    const { priority } = made.next()!;
    taken.push(priority);
    add(priority, n);
  }
  const count = (priority: Priority) => taken.filter((one) => one === priority).length;
  assertEquals([count("high"), count("normal"), count("low")], [35, 2, 3]);
});

Deno.test("a full line makes room for who is more urgent, or has less in it", () => {
  const full = line(["a"], ["a"], ["a"], ["b", "low"], ["b", "low"]);
  const room = (caller: string, priority: Priority) => full.displacedBy({ caller, priority })?.n;
  assertEquals(room("c", "high"), 4, "the last of the least urgent");
  assertEquals(room("c", "normal"), 4);
  assertEquals(room("c", "low"), 4, "b has two, c none");
  assertEquals(room("b", "low"), undefined);
  const equal = line(["a"], ["a"], ["a"], ["b"], ["b"]);
  assertEquals(equal.displacedBy({ caller: "c", priority: "normal" })?.n, 2, "the last of a");
  assertEquals(equal.displacedBy({ caller: "b", priority: "normal" }), undefined);
  assertEquals(equal.displacedBy({ caller: "c", priority: "low" }), undefined);
});

Deno.test("property: whoever is added and not taken out comes out once", () => {
  const somebody = fc.record({
    caller: fc.constantFrom("a", "b", "c"),
    priority: fc.constantFrom<Priority>("high", "normal", "low"),
    leaves: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(somebody), (all) => {
    const waiting = new WaitingLine<Somebody>();
    const waiters = all.map((one, n) => ({ ...one, n }));
    for (const one of waiters) waiting.add(one);
    for (const one of waiters) {
      if (one.leaves) waiting.remove(one);
      if (one.leaves) waiting.remove(one);
    }
    const stayed = waiters.filter(({ leaves }) => !leaves).map(({ n }) => n);
    assertEquals(waiting.length, stayed.length);
    assertEquals([...waiting].map(({ n }) => n).sort((a, b) => a - b), stayed);
    const taken: number[] = [];
    for (let next = waiting.next(); next; next = waiting.next()) taken.push(next.n);
    assertEquals(taken.sort((a, b) => a - b), stayed);
  }));
});
