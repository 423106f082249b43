/** Runs as spans: one trace over all the nodes that had to do with a task, with the reasons. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createAgent } from "../../src/agents/agent.ts";
import type { SpanAttributes, Tracer } from "../../src/tasks/tracing.ts";
import { MemoryFleet } from "../support/memory_fleet.ts";
import { heldAgent } from "../support/task_rig.ts";

interface Recorded {
  readonly name: string;
  readonly parent: string | undefined;
  readonly traceparent: string;
  readonly attributes: SpanAttributes;
  readonly events: { name: string; attributes: SpanAttributes }[];
  outcome?: string;
}

function recorder(): { spans: Recorded[]; tracer: Tracer } {
  const spans: Recorded[] = [];
  const tracer: Tracer = {
    begin(name, attributes, parent) {
      const traceparent = `span ${spans.length}`;
      const span: Recorded = { name, parent, traceparent, attributes, events: [] };
      spans.push(span);
      return {
        traceparent,
        event: (name, attributes) => void span.events.push({ name, attributes }),
        end: (outcome) => span.outcome = outcome,
      };
    },
  };
  return { spans, tracer };
}

Deno.test("a run, the agent that it runs, and what that asks for elsewhere are one trace", async () => {
  await using fleet = new MemoryFleet(951);
  const { spans, tracer } = recorder();
  const platform = { openTracer: () => Promise.resolve(tracer) };
  const held = heldAgent();
  const asker = createAgent({
    name: "asker",
    description: "Asks",
    run: async ({ callAgent }) => (await callAgent("held", "x")).output,
  });
  const { network } = await fleet.start({ nodeId: "a" }, { platform });
  await fleet.start({ nodeId: "b", agents: [asker] }, { platform });
  await fleet.start({ nodeId: "c", agents: [held.agent] }, { platform });
  await fleet.advance(500);
  const running = network.run("x", { initialAgent: "asker" });
  await fleet.advance(50);
  held.runs[0].answer("done");
  await fleet.wait(running);

  assertEquals(spans.map(({ name, parent, outcome }) => [name, parent, outcome]), [
    ["run asker", undefined, "ok"],
    ["agent asker", "span 0", "ok"],
    ["run held", "span 1", "ok"],
    ["agent held", "span 2", "ok"],
  ]);
  assertEquals(spans.map(({ attributes }): unknown => attributes["node.id"]), [
    undefined,
    "b",
    undefined,
    "c",
  ]);
  const [routed, started] = spans[0].events;
  assertEquals([routed.name, routed.attributes["node.id"], started.name], [
    "routed",
    "b",
    "started",
  ]);
  const considered = routed.attributes.considered as string[];
  assertEquals(considered.length, 3);
  assertStringIncludes(considered[0], "1 b: ");
  assertStringIncludes(considered[1], "does not have the agent");
});

Deno.test("a run that fails is recorded with its code, and its caller hears no more than without", async () => {
  await using fleet = new MemoryFleet(952);
  const { spans, tracer } = recorder();
  const held = heldAgent();
  const { network } = await fleet.start({ nodeId: "a", agents: [held.agent] }, {
    platform: { openTracer: () => Promise.resolve(tracer) },
  });
  const events: string[] = [];
  const reading = (async () => {
    for await (const event of network.stream("x", { initialAgent: "held" })) {
      assert(!("considered" in event));
      events.push(event.type);
    }
  })().catch(() => {});
  await fleet.advance(10);
  held.runs[0].fail(new Error("no"));
  await fleet.wait(reading);
  assertEquals(events, ["routed", "started"]);
  assertEquals(spans.map(({ name, outcome }) => [name, outcome]), [
    ["run held", "AGENT_FAILED"],
    ["agent held", "AGENT_FAILED"],
  ]);
});
