/** The agent `calculator`: its prompts, its errors, and the life of its thread. */

import { assertEquals, assertGreater, assertRejects, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { createCalculatorAgent } from "../../src/agents/builtin/calculator.ts";
import { Cancellation } from "../../src/base/cancellation.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { ask } from "./calls.ts";
import { CountedWorkers } from "./counted_workers.ts";
import { anyText } from "../support/any_text.ts";

// Takes 24 s.
const ENDLESS = "combinations(1e9, 5e8)";

function calculator(options: Parameters<typeof createCalculatorAgent>[0] = {}) {
  const { agent, dispose } = createCalculatorAgent(options);
  return { agent, dispose, [Symbol.dispose]: dispose };
}

Deno.test("the calculator is a light agent that may be rerun anywhere", () => {
  const { agent } = calculator();

  assertEquals(
    [agent.name, agent.workload, agent.idempotent, agent.tools],
    ["calculator", "light", true, []],
  );
});

Deno.test("the answer is text, with the expression, the exact value and the unit as data", async () => {
  using subject = calculator();

  assertEquals(await ask(subject.agent, "3 inch to cm"), {
    output: "7.62 cm",
    data: { expression: "3 inch to cm", result: 7.619999999999999, unit: "cm" },
  });
});

Deno.test("a sentence around the arithmetic is left out", async () => {
  using subject = calculator();
  const prompts = ["2+2", "What is 2+2?", "what's 2+2 ?", "Calculate: 2+2 =", "compute 2+2=?"];

  for (const prompt of prompts) {
    const { output, data } = await ask(subject.agent, prompt);
    assertEquals([output, data], ["4", { expression: "2+2", result: 4 }], prompt);
  }
});

Deno.test("an error shows the expression, where it is wrong, and right ones", async () => {
  using subject = calculator();

  const error = await assertRejects(() => ask(subject.agent, "what is 6 apples?"), NetworkError);

  assertEquals(error.code, "INVALID_ARGUMENT");
  assertEquals(
    error.message,
    'Cannot calculate "6 apples": "apples" at character 3 is no unit or constant that is known. ' +
      "Try: 2^10 + sqrt(2), 3 inch to cm, or mean(1, 2, 4).",
  );
});

for (
  const [what, prompt, reason] of [
    ["nothing", "", "there is no expression"],
    ["a question without arithmetic", "What is?", "there is no expression"],
    ["more than 1,000 characters", "1+".repeat(500) + "1", "it has more than 1000 characters"],
    ["megabytes", "1".repeat(5_000_000), "it has more than 1000 characters"],
  ]
) {
  Deno.test(`${what} is refused without a thread`, async () => {
    using workers = new CountedWorkers();
    using subject = calculator();

    const error = await assertRejects(() => ask(subject.agent, prompt), NetworkError, reason);

    assertEquals([error.code, workers.started], ["INVALID_ARGUMENT", 0]);
    assertEquals(error.message.length < 200, true);
  });
}

Deno.test("calls at the same time share one thread and are answered in order", async () => {
  using workers = new CountedWorkers();
  using subject = calculator();
  const order: string[] = [];

  await Promise.all(
    ["1+1", "nonsense", "2+2", "3+3"].map(async (prompt) =>
      order.push((await ask(subject.agent, prompt).catch(() => ({ output: "wrong" }))).output)
    ),
  );

  assertEquals(order, ["2", "wrong", "4", "6"]);
  assertEquals(workers.started, 1);
});

Deno.test("an expression that runs on is ended after 2 s, and the next one gets a new thread", async () => {
  using workers = new CountedWorkers();
  const clock = new ManualClock();
  using subject = calculator({ clock });
  await ask(subject.agent, "1+1");
  let ended = false;
  const endless = assertRejects(() => ask(subject.agent, ENDLESS), NetworkError)
    .finally(() => ended = true);
  const next = ask(subject.agent, "2+2");

  await clock.advance(1999);
  assertEquals(ended, false);
  await clock.advance(1);
  const error = await endless;

  assertEquals(error.code, "INVALID_ARGUMENT");
  assertStringIncludes(error.message, "it takes longer than 2 s");
  assertEquals((await next).output, "4");
  assertEquals([workers.started, workers.running], [2, 1]);
});

Deno.test("an expression that runs on does not hold up the event loop", async () => {
  using subject = calculator({ timeoutMs: 300 });
  await ask(subject.agent, "1+1");
  let turns = 0;
  const timer = setInterval(() => turns++, 5);

  await assertRejects(() => ask(subject.agent, ENDLESS), NetworkError, "longer than 0.3 s");
  clearInterval(timer);

  assertGreater(turns, 10);
});

Deno.test("an abort ends the expression that runs on, at once", async () => {
  using workers = new CountedWorkers();
  using subject = calculator();
  await ask(subject.agent, "1+1");
  const cancellation = new Cancellation();
  const endless = ask(subject.agent, ENDLESS, cancellation);

  cancellation.cancel(new NetworkError("CANCELLED", "Given up."));

  await assertRejects(() => endless, NetworkError, "Given up.");
  assertEquals(workers.running, 0);
  assertEquals((await ask(subject.agent, "2+2")).output, "4");
});

Deno.test("an abort of a call that waits leaves the others alone", async () => {
  using workers = new CountedWorkers();
  using subject = calculator();
  const cancellation = new Cancellation();
  const first = ask(subject.agent, "1+1");
  const second = ask(subject.agent, "2+2", cancellation);
  const third = ask(subject.agent, "3+3");

  cancellation.cancel(new NetworkError("CANCELLED", "Given up."));

  await assertRejects(() => second, NetworkError, "Given up.");
  assertEquals([(await first).output, (await third).output], ["2", "6"]);
  assertEquals(workers.started, 1);
});

Deno.test("a call that is aborted while the thread loads leaves the thread to the next", async () => {
  using workers = new CountedWorkers();
  using subject = calculator();
  const cancellation = new Cancellation();
  const only = ask(subject.agent, "1+1", cancellation);

  cancellation.cancel(new NetworkError("CANCELLED", "Given up."));

  await assertRejects(() => only, NetworkError, "Given up.");
  assertEquals((await ask(subject.agent, "2+2")).output, "4");
  assertEquals(workers.started, 1);
});

Deno.test("the thread ends after a minute without work, and starts again when it is needed", async () => {
  using workers = new CountedWorkers();
  const clock = new ManualClock();
  using subject = calculator({ clock });
  await ask(subject.agent, "1+1");

  await clock.advance(59_999);
  await ask(subject.agent, "1+1");
  await clock.advance(59_999);
  assertEquals([workers.started, workers.running], [1, 1]);
  await clock.advance(1);
  assertEquals(workers.running, 0);

  assertEquals((await ask(subject.agent, "2+2")).output, "4");
  assertEquals(workers.started, 2);
});

Deno.test("disposing fails what is under way, ends the thread, and may be repeated", async () => {
  using workers = new CountedWorkers();
  const { agent, dispose } = calculator();
  await ask(agent, "1+1");
  const calls = [ENDLESS, "2+2"].map((prompt) => ask(agent, prompt));

  dispose();
  dispose();

  for (const call of calls) {
    assertEquals((await assertRejects(() => call, NetworkError)).code, "CANCELLED");
  }
  assertEquals(workers.running, 0);
});

Deno.test("a thread that does not load is an error that says what is missing", async () => {
  using subject = calculator();
  const original = globalThis.Worker;
  globalThis.Worker = class extends original {
    constructor(_: string | URL, options?: WorkerOptions) {
      super("data:text/javascript,throw new Error('no mathjs here')", options);
    }
  };
  try {
    const error = await assertRejects(() => ask(subject.agent, "1+1"), NetworkError);

    assertEquals(error.code, "UNAVAILABLE");
    assertStringIncludes(error.message, "Cannot start the calculator: ");
    assertStringIncludes(error.message, "no mathjs here");
  } finally {
    globalThis.Worker = original;
  }
  assertEquals((await ask(subject.agent, "1+1")).output, "2");
});

Deno.test("whatever is asked, the calculator answers or refuses, and goes on", async () => {
  using subject = calculator({ timeoutMs: 500 });

  await fc.assert(
    fc.asyncProperty(anyText({ maxLength: 1200 }), async (prompt) => {
      try {
        await ask(subject.agent, prompt);
      } catch (thrown) {
        assertEquals(thrown instanceof NetworkError && thrown.code, "INVALID_ARGUMENT");
      }
    }),
    { numRuns: 200 },
  );
  assertEquals((await ask(subject.agent, "1+1")).output, "2");
});
