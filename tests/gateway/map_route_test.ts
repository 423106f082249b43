/** `POST /control/v1/map` over HTTP. */

import { assert, assertEquals } from "@std/assert";
import { createAgent } from "../../src/agents/agent.ts";
import type { ErrorBody, MapLine } from "../../src/gateway/control_api.ts";
import { eventually } from "../support/eventually.ts";
import { heldAgent } from "../support/task_rig.ts";
import { jsonLines, TestApi } from "./test_api.ts";

const picky = createAgent({
  name: "picky",
  description: "Does not like everything",
  run: ({ prompt }) => {
    if (prompt === "bad") throw new Error("I do not like it.");
    return prompt.toUpperCase();
  },
});

function map(api: TestApi, body: unknown, init: RequestInit = {}): Promise<Response> {
  return api.fetch("/control/v1/map", {
    ...init,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

Deno.test("a map is told item by item, one JSON value a line, and how far it has come", async () => {
  await using api = await TestApi.start([picky]);
  const response = await map(api, { agent: "picky", prompts: ["a", "bad", "c"] });
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("content-type"), "application/x-ndjson");
  const lines = await Array.fromAsync(jsonLines<MapLine>(response));
  const items = lines.filter((line) => line.type === "item");
  assertEquals(
    items.map((item) => [item.index, "result" in item ? item.result.output : item.error.code]),
    [[0, "A"], [1, "AGENT_FAILED"], [2, "C"]],
  );
  const progress = lines.filter((line) => line.type === "progress");
  assertEquals(progress.at(-1), { type: "progress", done: 3, failed: 1, total: 3 });
});

Deno.test("progress is told while an earlier prompt holds the items back", async () => {
  const held = heldAgent();
  await using api = await TestApi.start([held.agent], { slots: 2 });
  const body = { agent: "held", prompts: ["a", "b"], concurrency: 2 };
  const lines = jsonLines<MapLine>(await map(api, body));
  (await held.run(1)).answer("B");
  const next = async () => (await lines.next()).value;
  let line = await next();
  while (line?.type === "progress" && line.done === 0) line = await next();
  assertEquals(line, { type: "progress", done: 1, failed: 0, total: 2 });
  held.runs[0].answer("A");
  const rest = await Array.fromAsync(lines);
  assertEquals(rest.flatMap((one) => one.type === "item" ? [one.index] : []), [0, 1]);
});

Deno.test("a client of a map that goes away stops it", async () => {
  const held = heldAgent();
  await using api = await TestApi.start([held.agent]);
  const gone = new AbortController();
  const response = await map(api, { agent: "held", prompts: ["a"] }, { signal: gone.signal });
  const { context } = await held.run(0);
  gone.abort();
  await eventually(() => context.signal.aborted, { what: "the end of the run" });
  await response.body?.cancel().catch(() => {});
});

Deno.test("what is wrong with a map is told by the status", async () => {
  await using api = await TestApi.start([picky]);
  const cases: [unknown, number][] = [
    [{ agent: "picky" }, 400],
    [{ prompts: ["a"] }, 400],
    [{ agent: "picky", prompts: [1] }, 400],
    [{ agent: "picky", prompts: [], order: "any" }, 400],
    [{ agent: "picky", prompts: [], concurrency: 257 }, 400],
    [{ agent: "nobody", prompts: ["a"] }, 404],
  ];
  for (const [body, status] of cases) {
    const response = await map(api, body);
    const { error }: ErrorBody = await response.json();
    assertEquals([response.status, error.message !== ""], [status, true], JSON.stringify(body));
  }
  const none = await map(api, { agent: "picky", prompts: [] });
  const lines = await Array.fromAsync(jsonLines<MapLine>(none));
  assert(lines.every((line) => line.type === "progress"));
});
