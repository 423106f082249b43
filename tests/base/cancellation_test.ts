/** A request to stop: it is made once, and whoever asks for it late hears of it, too. */

import { assertEquals, assertThrows } from "@std/assert";
import { Cancellation } from "../../src/base/cancellation.ts";

Deno.test("the first reason counts, for listeners and for signals taken before and after", () => {
  const cancellation = new Cancellation();
  const heard: unknown[] = [];
  cancellation.onCancel((reason) => heard.push(reason));
  cancellation.onCancel(() => heard.push("taken back"))();
  const { signal } = cancellation;
  signal.addEventListener("abort", () => heard.push("signal"));
  assertEquals([cancellation.requested, signal.aborted], [false, false]);

  cancellation.cancel("first");
  cancellation.cancel("second");

  assertEquals(heard, ["first", "signal"]);
  assertEquals([cancellation.reason, signal.reason, cancellation.signal], [
    "first",
    "first",
    signal,
  ]);
  const early = new Cancellation();
  early.cancel("early");
  assertEquals(early.signal.reason, "early");
});

Deno.test("it throws its reason as soon as it is requested", () => {
  const cancellation = new Cancellation();
  cancellation.throwIfRequested();
  cancellation.cancel(new RangeError("enough"));
  assertThrows(() => cancellation.throwIfRequested(), RangeError, "enough");
});
