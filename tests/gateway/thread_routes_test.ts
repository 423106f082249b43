/** Threads over HTTP: runs in them, what they hold, and their end. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { createAgent } from "../../src/agents/agent.ts";
import type { RunEvent } from "../../src/agents/run_event.ts";
import type { ThreadBody } from "../../src/gateway/thread_routes.ts";
import { jsonLines, TestApi } from "./test_api.ts";

const count = createAgent({
  name: "count",
  description: "",
  run: ({ prompt, state }) => {
    if (prompt === "fail") throw new Error("as it was asked");
    state.data.set("last", prompt);
    return String(state.messages.length);
  },
});

/** What a run ended with: its answer, or the code of its error. */
async function outcome(api: TestApi, body: object): Promise<string> {
  const response = await api.run({ agent: "count", ...body });
  if (!response.ok) return (await response.json()).error.code;
  let last: RunEvent | undefined;
  for await (const line of jsonLines<RunEvent>(response)) last = line;
  return last!.type === "result" ? last!.result.output : (last as never as ErrorLine).error.code;
}

interface ErrorLine {
  error: { code: string };
}

Deno.test("runs in a thread go on from each other, and what it holds is told", async () => {
  await using api = await TestApi.start([count]);
  const get = async (query = "") => await (await api.fetch(`/control/v1/threads${query}`)).json();
  assertEquals(await get(), []);
  assertEquals(await outcome(api, { prompt: "one", thread: "a/b" }), "1");
  assertEquals(await outcome(api, { prompt: "two", thread: "a/b" }), "3");
  assertEquals(await get(), [{ name: "a/b", messages: 4, agentResults: 2 }]);
  const thread: ThreadBody = await get("?name=a%2Fb");
  assertEquals(thread.messages.map(({ content }) => content), ["one", "1", "two", "3"]);
  assertEquals([thread.name, thread.data, thread.unfinished], ["a/b", { last: "two" }, undefined]);
  assertEquals(thread.agentResults.map(({ agent }) => agent), ["count", "count"]);

  assertEquals(await outcome(api, { prompt: "fail", thread: "a/b" }), "AGENT_FAILED");
  const { unfinished } = await get("?name=a%2Fb");
  assertEquals([unfinished.prompt, unfinished.isUnderWay], ["fail", false]);
  assertStringIncludes(unfinished.failure, "as it was asked");
  assertEquals(await outcome(api, { thread: "a/b" }), "AGENT_FAILED");
  assertEquals(
    await outcome(api, { thread: "a/b", prompt: "fail", resume: false }),
    "AGENT_FAILED",
  );
  assertEquals((await get("?name=a%2Fb")).messages.length, 6);

  const deletion = () =>
    api.fetch("/control/v1/threads/delete", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "a/b" }),
    }).then((response) => response.json());
  assertEquals(await deletion(), { deleted: true });
  assertEquals(await deletion(), { deleted: false });
  assertEquals((await get("?name=a%2Fb")).error.code, "NOT_FOUND");
  assertEquals((await get("?name=")).error.code, "INVALID_ARGUMENT");
});

Deno.test("what goes with no thread, or with no prompt, is told by the status", async () => {
  await using api = await TestApi.start([count]);
  const cases: [body: object, code: string][] = [
    [{}, "INVALID_ARGUMENT"],
    [{ thread: "t", all: true }, "INVALID_ARGUMENT"],
    [{ prompt: "x", thread: "t", all: true }, "INVALID_ARGUMENT"],
    [{ prompt: "x", thread: "" }, "INVALID_ARGUMENT"],
    [{ prompt: "x", thread: 7 }, "INVALID_ARGUMENT"],
    [{ prompt: "x", thread: "t", rerun: "yes" }, "INVALID_ARGUMENT"],
    [{ thread: "t" }, "NOT_FOUND"],
  ];
  for (const [body, code] of cases) {
    assertEquals(await outcome(api, body), code, JSON.stringify(body));
  }
});
