/** How fast models are, of what was asked. */

import { assertAlmostEquals, assertEquals } from "@std/assert";
import { ModelTimes } from "../../../src/network/models/model_times.ts";

Deno.test("an answer in pieces says how long until the first token, and from one to the next", () => {
  const times = new ModelTimes();
  assertEquals(times.speed("m", "a"), undefined);
  times.note("m", "a", { firstMs: 200, tokens: 101 }, 1_200, 10);
  assertEquals(times.speed("m", "a"), { firstTokenMs: 200, tokensPerSecond: 100 });
  assertEquals(times.speed("m", "b"), undefined);
  assertEquals(times.speed("other", "a"), undefined);
  // A device that becomes slower is known after a few.
  for (let i = 0; i < 20; i++) times.note("m", "a", { firstMs: 400, tokens: 101 }, 4_400, 10);
  const { firstTokenMs, tokensPerSecond } = times.speed("m", "a")!;
  assertAlmostEquals(firstTokenMs!, 400, 2);
  assertAlmostEquals(tokensPerSecond!, 25, 0.5);
});

Deno.test("devices are compared by an answer of usual length, however long their own were", () => {
  const times = new ModelTimes();
  // The fast one was asked for much, the slow one for little.
  times.note("m", "fast", { firstMs: 100, tokens: 1_001 }, 10_100, 10);
  times.note("m", "slow", { firstMs: 100, tokens: 11 }, 1_100, 10);
  const on = times.of("m").of("hanzo.model")!;
  assertEquals(on.on("fast")! < on.on("slow")!, true);
  assertAlmostEquals(on.on("slow")! - 100, (on.on("fast")! - 100) * 10, 1);
  assertEquals(on.on("elsewhere"), undefined);
  assertEquals(times.of("m").mean("fast"), on.on("fast"));
  assertEquals(times.of("other").of("hanzo.model"), undefined);
});

Deno.test("whole answers say how fast, not when they began; where nobody counts, only how long", () => {
  const times = new ModelTimes();
  times.note("m", "a", { firstMs: null, tokens: 51 }, 1_000, 1);
  assertEquals(times.speed("m", "a"), { firstTokenMs: null, tokensPerSecond: 50 });
  // What is known of the first token is no time of the rest.
  times.note("m", "b", { firstMs: 500, tokens: 51 }, 1_500, 1);
  times.note("m", "b", { firstMs: null, tokens: 51 }, 1_500, 1);
  assertEquals(times.speed("m", "b"), { firstTokenMs: 500, tokensPerSecond: 50 });

  times.note("embed", "a", { firstMs: null, tokens: 0 }, 80, 1);
  assertEquals(times.speed("embed", "a"), { firstTokenMs: null, tokensPerSecond: null });
  assertEquals(times.of("embed").mean("a"), 80);
});

Deno.test("a whole answer that nobody has counted says nothing of the first token", () => {
  const times = new ModelTimes();
  times.note("m", "a", { firstMs: 100, tokens: 11 }, 1_100, 1);
  times.note("m", "a", { firstMs: null, tokens: 0 }, 60_000, 1);
  assertEquals(times.speed("m", "a"), { firstTokenMs: 100, tokensPerSecond: 10 });
  assertEquals(times.of("m").mean("a"), 1_100);
});

Deno.test("an engine that answers in no time is no reason to divide by it", () => {
  const times = new ModelTimes();
  times.note("m", "a", { firstMs: 0, tokens: 10 }, 0, 1);
  assertEquals(times.speed("m", "a"), { firstTokenMs: 0, tokensPerSecond: null });
  assertEquals(times.of("m").of("")!.on("a"), 0);
  assertEquals(times.of("m").of("")!.work, 0);
});

Deno.test("of models and devices without end the last ones are remembered", () => {
  const times = new ModelTimes();
  for (let i = 0; i < 2_000; i++) {
    times.note(`m${i}`, "a", { firstMs: 1, tokens: 2 }, 2, 1);
    times.note("m1999", `n${i}`, { firstMs: 1, tokens: 2 }, 2, 1);
  }
  assertEquals(times.speed("m0", "a"), undefined);
  assertEquals(times.speed("m1999", "n0"), undefined);
  assertEquals(times.speed("m1999", "n1999")?.tokensPerSecond, 1_000);
});
