/** Devices that failed lately. */

import { assertEquals } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { Circuits } from "../../src/tasks/circuits.ts";

Deno.test("three failures in a row open a circuit for a second, each further one for twice as long", async () => {
  const clock = new ManualClock();
  const circuits = new Circuits(clock);
  const fail = (times: number) => {
    for (let i = 0; i < times; i++) circuits.failed("a", clock.now());
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
  const clock = new ManualClock();
  const circuits = new Circuits(clock);
  for (let i = 0; i < 10; i++) {
    circuits.failed("a", clock.now());
    circuits.failed("a", clock.now());
    circuits.answered("a");
  }
  assertEquals(circuits.isDoubtful("a"), false);
  for (let i = 0; i < 3; i++) circuits.failed("a", clock.now());
  assertEquals(circuits.isDoubtful("a"), true);
  circuits.answered("a");
  assertEquals(circuits.isDoubtful("a"), false);
});

Deno.test("after a while one task tries, and the others wait for what comes of it", async () => {
  const clock = new ManualClock();
  const circuits = new Circuits(clock);
  for (let i = 0; i < 3; i++) circuits.failed("a", clock.now());
  await clock.advance(1_000);
  assertEquals(circuits.isDoubtful("a"), false);
  circuits.chosen("a");
  assertEquals(circuits.isDoubtful("a"), true, "somebody is trying");
  circuits.answered("a");
  assertEquals(circuits.isDoubtful("a"), false);
});

Deno.test("tasks that were lost together are one failure, however many they were", async () => {
  const clock = new ManualClock();
  const circuits = new Circuits(clock);
  const loseTogether = async () => {
    const sentAt = clock.now();
    await clock.advance(5);
    for (let i = 0; i < 100; i++) circuits.failed("a", sentAt);
  };
  for (const isDoubtful of [false, false, true]) {
    await loseTogether();
    assertEquals(circuits.isDoubtful("a"), isDoubtful);
  }
  await clock.advance(999);
  assertEquals(circuits.isDoubtful("a"), true);
  await clock.advance(1);
  assertEquals(circuits.isDoubtful("a"), false, "a second has passed, not thirty");
});

Deno.test("what was on a silent node counts no more when its link is lost at last", async () => {
  const clock = new ManualClock();
  const circuits = new Circuits(clock);
  const sentAt = clock.now();
  await clock.advance(1_000);
  circuits.silent("a");
  await clock.advance(500);
  for (let i = 0; i < 100; i++) circuits.failed("a", sentAt);
  await clock.advance(500);
  assertEquals(circuits.isDoubtful("a"), false);
});
