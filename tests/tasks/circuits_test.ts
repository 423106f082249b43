/** Devices that failed lately. */

import { assertEquals } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { Circuits } from "../../src/tasks/circuits.ts";

Deno.test("three failures in a row open a circuit for a second, each further one for twice as long", async () => {
  const clock = new ManualClock();
  const circuits = new Circuits(clock);
  const fail = (times: number) => {
    for (let i = 0; i < times; i++) circuits.failed("a");
  };
  fail(2);
  assertEquals(circuits.isDoubtful("a"), false);
  for (const openMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
    fail(1);
    await clock.advance(openMs - 1);
    assertEquals(circuits.isDoubtful("a"), true, `${openMs} ms`);
    await clock.advance(1);
    assertEquals(circuits.isDoubtful("a"), false, `${openMs} ms`);
  }
  assertEquals(circuits.isDoubtful("b"), false);
});

Deno.test("an answer closes the circuit, and only failures in a row count", () => {
  const circuits = new Circuits(new ManualClock());
  for (let i = 0; i < 10; i++) {
    circuits.failed("a");
    circuits.failed("a");
    circuits.answered("a");
  }
  assertEquals(circuits.isDoubtful("a"), false);
  for (let i = 0; i < 3; i++) circuits.failed("a");
  assertEquals(circuits.isDoubtful("a"), true);
  circuits.answered("a");
  assertEquals(circuits.isDoubtful("a"), false);
});

Deno.test("after a while one task tries, and the others wait for what comes of it", async () => {
  const clock = new ManualClock();
  const circuits = new Circuits(clock);
  for (let i = 0; i < 3; i++) circuits.failed("a");
  await clock.advance(1_000);
  assertEquals(circuits.isDoubtful("a"), false);
  circuits.chosen("a");
  assertEquals(circuits.isDoubtful("a"), true, "somebody is trying");
  circuits.answered("a");
  assertEquals(circuits.isDoubtful("a"), false);
});
