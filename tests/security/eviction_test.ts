/** Who stays when others are put out: nobody who may be one of them by another name. */

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { type EvictionWish, planEviction } from "../../src/security/eviction.ts";
import type { KnownNode } from "../../src/security/known_nodes.ts";

const NOW = Date.UTC(2026, 0, 10);
const DAY = 24 * 60 * 60 * 1_000;

/** A node that was seen long ago, at a host of its own. */
function node(nodeId: string, change: Partial<KnownNode> = {}): KnownNode {
  const identity = `identity of ${nodeId}`;
  const [firstSeen, lastSeen] = [NOW - 9 * DAY, NOW];
  return {
    nodeId,
    identity,
    firstSeen,
    lastSeen,
    hosts: [`host of ${nodeId}`],
    lastTag: null,
    ...change,
  };
}

/** The labels of the evicted, of those that stay, and of those that are out as well. */
function labels(known: readonly KnownNode[], wish: Partial<EvictionWish> = {}): string[] {
  const plan = planEviction(known, {
    evict: ["m"],
    keep: [],
    counts: () => true,
    now: NOW,
    ...wish,
  });
  return [plan.evicted, plan.staying, plan.doubted].map((nodes) =>
    nodes.map(({ nodeId }) => nodeId).join()
  );
}

Deno.test("who is named is out, and all that have been there for long stay", () => {
  const known = [node("a"), node("b"), node("m"), node("n")];
  assertEquals(labels(known), ["m", "a,b,n", ""]);
  assertEquals(labels(known, { evict: ["m", "n", "m"] }), ["m,n", "a,b", ""]);
});

Deno.test("who was first seen less than a day ago is out as well", () => {
  const known = [
    node("a", { firstSeen: NOW - DAY }),
    node("b", { firstSeen: NOW - DAY + 1 }),
    node("m"),
    node("of-tomorrow", { firstSeen: NOW + DAY }),
  ];
  assertEquals(labels(known), ["m", "a", "b,of-tomorrow"]);
});

Deno.test("who was only ever seen where an evicted one was is out as well", () => {
  const m = node("m", { hosts: ["10.0.0.6", "10.0.0.7"] });
  const known = [
    node("a", { hosts: ["10.0.0.6", "10.0.0.7"] }),
    node("b", { hosts: ["10.0.0.7", "10.0.0.8"] }),
    node("c", { hosts: [] }),
    m,
  ];
  assertEquals(labels(known), ["m", "b,c", "a"], "of one of before nobody knows where it was");
  const n = node("n", { hosts: ["10.0.0.8"] });
  assertEquals(labels([...known, n], { evict: ["m", "n"] }), ["m,n", "c", "a,b"]);
});

Deno.test("who is vouched for stays, under each of its labels", () => {
  const phone = { identity: "phone", firstSeen: NOW, hosts: ["host of m"] };
  const known = [
    node("m"),
    node("phone", phone),
    node("phone-2", phone),
    node("x", { firstSeen: NOW }),
  ];
  assertEquals(labels(known), ["m", "", "phone,phone-2,x"]);
  assertEquals(labels(known, { keep: ["phone"] }), ["m", "phone,phone-2", "x"]);
});

Deno.test("who is out already is in no list, unless it is named", () => {
  const known = [node("a"), node("gone"), node("gone-new", { firstSeen: NOW }), node("m")];
  const counts = ({ nodeId }: KnownNode) => !nodeId.startsWith("gone");
  assertEquals(labels(known, { counts }), ["m", "a", ""]);
  assertEquals(labels(known, { counts, evict: ["m", "gone"] }), ["gone,m", "a", ""]);
});

Deno.test("an identity that is evicted is out under all of its labels", () => {
  const known = [node("a"), node("m"), node("m-2", { identity: "identity of m", hosts: [] })];
  assertEquals(labels(known), ["m,m-2", "a", ""]);
});

Deno.test("a label that nobody has, and one that is to stay and to be out, are refused", () => {
  const known = [node("a"), node("m"), node("m-2", { identity: "identity of m" })];
  const cases: [Partial<EvictionWish>, string, string][] = [
    [{ evict: ["nobody"] }, "NOT_FOUND", "no such node was ever seen here"],
    [{ evict: ["m", "nobody"] }, "NOT_FOUND", '"nobody"'],
    [{ keep: ["nobody"] }, "NOT_FOUND", '"nobody"'],
    [{ keep: ["__proto__"] }, "NOT_FOUND", "no such node"],
    [{ keep: ["m"] }, "INVALID_ARGUMENT", 'Cannot keep "m"'],
    [{ keep: ["a", "m-2"] }, "INVALID_ARGUMENT", 'Cannot keep "m-2"'],
  ];
  for (const [wish, code, message] of cases) {
    const error = assertThrows(() => labels(known, wish), NetworkError);
    assertEquals(error.code, code);
    assertStringIncludes(error.message, message);
  }
});
