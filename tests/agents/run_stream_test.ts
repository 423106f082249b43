/** A run as an async iterable: order, pace, errors, and leaving early. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { EmitRunEvent, RunEvent, RunResult } from "../../src/agents/run_event.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { streamRun } from "../../src/agents/run_stream.ts";

const RESULT: RunResult = {
  taskId: "t",
  agent: "a",
  nodeId: "n",
  output: "done",
  attempts: 1,
  serviceMs: 1,
  durationMs: 1,
  reason: "",
};

const token = (text: string): RunEvent => ({ type: "token", text });

/** A run that the test moves. */
function heldRun() {
  const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
  const run = {
    emit: (() => {}) as EmitRunEvent,
    signal: new AbortController().signal,
    started: 0,
    end: () => resolve(RESULT),
    fail: reject,
    stream: streamRun((emit, signal) => {
      Object.assign(run, { emit, signal, started: run.started + 1 });
      return promise;
    }),
  };
  return run;
}

/** Lets everything happen that needs no further time. */
function settle(): Promise<void> {
  return new ManualClock().advance(0);
}

Deno.test("events come in order, and the result is the last", async () => {
  const run = heldRun();
  const reading = Array.fromAsync(run.stream);
  await settle();
  for (const text of ["a", "b", "c"]) run.emit(token(text));
  await settle();
  run.emit(token("d"));
  await settle();
  run.end();
  assertEquals(await reading, [
    ...["a", "b", "c", "d"].map(token),
    { type: "result", result: RESULT },
  ]);
});

Deno.test("what a tool returns may be nothing, or no JSON, and ends no run", async () => {
  const run = heldRun();
  const reading = Array.fromAsync(run.stream);
  await settle();
  for (const result of [undefined, 10n, () => 1]) {
    run.emit({ type: "tool-result", callId: "1", tool: "t", result } as unknown as RunEvent);
  }
  run.end();
  assertEquals((await reading).length, 4);
});

Deno.test("a reader that comes late misses nothing", async () => {
  const run = heldRun();
  const first = run.stream.next();
  await settle();
  for (let i = 0; i < 50; i++) run.emit(token(`${i}`));
  run.end();
  await settle();
  assertEquals((await first).value, token("0"));
  const rest = await Array.fromAsync(run.stream);
  assertEquals(rest.length, 50);
});

Deno.test("what the run fails with is thrown after the events that came before", async () => {
  const run = heldRun();
  const seen: RunEvent[] = [];
  const reading = (async () => {
    for await (const event of run.stream) seen.push(event);
  })();
  await settle();
  run.emit(token("a"));
  await settle();
  run.fail(new NetworkError("AGENT_FAILED", "It broke."));
  await assertRejects(() => reading, NetworkError, "It broke.");
  assertEquals(seen, [token("a")]);
});

Deno.test("nothing runs before the first event is asked for", async () => {
  const run = heldRun();
  await settle();
  assertEquals(run.started, 0);
  await run.stream.return();
  assertEquals(run.started, 0);
});

Deno.test("an agent that is ahead by 64 events waits until the reader has caught up", async () => {
  const run = heldRun();
  const first = run.stream.next();
  await settle();
  run.emit(token("first"));
  await first;
  let waits = 0;
  let goesOn = 0;
  for (let i = 0; i < 70; i++) {
    const taken = run.emit(token(`${i}`));
    if (taken !== undefined) {
      waits++;
      taken.then(() => goesOn++);
    }
  }
  assertEquals(waits, 7);
  for (let i = 0; i < 38; i++) await run.stream.next();
  await settle();
  assertEquals(goesOn, 0, "32 are still waiting");
  await run.stream.next();
  await run.stream.next();
  await settle();
  assertEquals(goesOn, 7);
  await run.stream.return();
});

Deno.test("an agent that says much at a time waits for the reader sooner", async () => {
  const run = heldRun();
  const first = run.stream.next();
  await settle();
  run.emit(token("first"));
  await first;
  const events: RunEvent[] = [
    token("x".repeat(200_000)),
    { type: "tool-result", callId: "1", tool: "read", result: { text: "x".repeat(200_000) } },
  ];
  const taken = events.map((event) => run.emit(event));
  assertEquals(taken.map((one) => one instanceof Promise), [false, true]);
  let goesOn = false;
  void (taken[1] as Promise<void>).then(() => goesOn = true);
  await run.stream.next();
  await settle();
  assertEquals(goesOn, false, "half of it waits");
  await run.stream.next();
  // Who has taken the last one comes for the next one.
  const end = run.stream.next();
  await settle();
  assertEquals(goesOn, true);
  run.end();
  assertEquals((await end).value?.type, "result");
});

Deno.test("any number of events that wait for room are let go together", async () => {
  const run = heldRun();
  const first = run.stream.next();
  await settle();
  const waiting = Array.from({ length: 50_000 }, (_, i) => run.emit(token(`${i}`)));
  await first;
  await run.stream.return();
  await Promise.all(waiting);
});

Deno.test("leaving the loop cancels the run, lets the agent go, and hides what it then fails with", async () => {
  const run = heldRun();
  let blocked: Promise<void> | void = undefined;
  const reading = (async () => {
    for await (const event of run.stream) {
      for (let i = 0; i < 100; i++) blocked = run.emit(token(`${i}`));
      if (event.type === "token") break;
    }
  })();
  await settle();
  run.emit(token("x"));
  await reading;
  await blocked;
  assert(run.signal.reason instanceof NetworkError);
  assertEquals(run.signal.reason.code, "CANCELLED");
  run.fail(new Error("nobody is there to hear it"));
  await settle();
});
