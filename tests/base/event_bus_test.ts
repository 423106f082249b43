/** Events to many readers, none of which holds up the source. */

import { assertEquals } from "@std/assert";
import { EventBus } from "../../src/base/event_bus.ts";

const DONE = { done: true, value: undefined } as const;
const event = <T>(value: T) => ({ done: false, value } as const);

Deno.test("every reader sees every event from its subscription on, in order", async () => {
  const bus = new EventBus<number>();
  bus.emit(0);
  const early = bus.subscribe();
  bus.emit(1);
  const late = bus.subscribe();
  bus.emit(2);
  bus.close();
  assertEquals(await Array.fromAsync(early), [1, 2]);
  assertEquals(await Array.fromAsync(late), [2]);
});

Deno.test("a reader that falls behind loses the oldest events, never the newest, and no other's", async () => {
  const bus = new EventBus<number>();
  const slow = bus.subscribe({ capacity: 3 });
  const quick = bus.subscribe();
  for (let i = 1; i <= 10; i++) bus.emit(i);
  assertEquals(await slow.next(), event(8));
  bus.emit(11);
  bus.close();
  assertEquals(await Array.fromAsync(slow), [9, 10, 11]);
  assertEquals(await Array.fromAsync(quick), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

Deno.test("without a capacity of its own a reader may be 1,024 events behind", async () => {
  const bus = new EventBus<number>();
  const reader = bus.subscribe();
  for (let i = 1; i <= 1_025; i++) bus.emit(i);
  bus.close();
  const read = await Array.fromAsync(reader);
  assertEquals([read.length, read[0], read.at(-1)], [1_024, 2, 1_025]);
});

Deno.test("a reader that waits is given the next event", async () => {
  const bus = new EventBus<string>();
  const reader = bus.subscribe();
  const waiting = reader.next();
  bus.emit("at last");
  bus.emit("and more");
  assertEquals(await waiting, event("at last"));
  assertEquals(await reader.next(), event("and more"));
  bus.close();
});

Deno.test("several next() at once each get an event of their own, in the order of asking", async () => {
  const bus = new EventBus<number>();
  const reader = bus.subscribe();
  const asked = [reader.next(), reader.next(), reader.next()];
  bus.emit(1);
  bus.emit(2);
  bus.close();
  assertEquals(await Promise.all(asked), [event(1), event(2), DONE]);
});

Deno.test("leaving the loop ends the subscription: nothing is kept for who is gone", async () => {
  const bus = new EventBus<number>();
  const reader = bus.subscribe();
  bus.emit(1);
  bus.emit(2);
  for await (const value of reader) {
    assertEquals(value, 1);
    break;
  }
  bus.emit(3);
  assertEquals(await reader.next(), DONE);
});

Deno.test("return() wakes a next() that waits", async () => {
  const bus = new EventBus<number>();
  const reader = bus.subscribe();
  const waiting = reader.next();
  assertEquals(await reader.return!(), DONE);
  assertEquals(await waiting, DONE);
});

Deno.test("an abort ends the iteration at once and without an error, even for who is behind", async () => {
  const bus = new EventBus<number>();
  const controller = new AbortController();
  const { signal } = controller;
  const waiting = bus.subscribe({ signal });
  const behind = bus.subscribe({ signal });
  const other = bus.subscribe();
  const next = waiting.next();
  bus.emit(1);
  assertEquals(await next, event(1));
  const last = waiting.next();
  controller.abort(new Error("enough"));
  bus.emit(2);
  assertEquals(await last, DONE);
  assertEquals(await behind.next(), DONE);
  assertEquals(await bus.subscribe({ signal }).next(), DONE);
  bus.close();
  assertEquals(await Array.fromAsync(other), [1, 2]);
});

Deno.test("closing lets readers finish what waits for them, and later ones find nothing", async () => {
  const bus = new EventBus<number>();
  const behind = bus.subscribe();
  const waiting = bus.subscribe();
  bus.emit(1);
  bus.emit(2);
  await waiting.next();
  await waiting.next();
  const last = waiting.next();
  bus.close();
  bus.close();
  bus.emit(3);
  assertEquals(await last, DONE);
  assertEquals(await Array.fromAsync(behind), [1, 2]);
  assertEquals(await Array.fromAsync(bus.subscribe()), []);
});

Deno.test("a signal that outlives its readers keeps none of them", async () => {
  const bus = new EventBus<number>();
  const listeners = new Set<unknown>();
  const signal = new AbortController().signal;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    listeners.add(args[1]);
    Reflect.apply(addEventListener, signal, args);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    listeners.delete(args[1]);
    Reflect.apply(removeEventListener, signal, args);
  };
  const left = bus.subscribe({ signal });
  bus.subscribe({ signal });
  assertEquals(listeners.size, 2);
  await left.return!();
  bus.close();
  bus.subscribe({ signal });
  assertEquals(listeners.size, 0);
});
