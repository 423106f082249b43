/** The shared state over HTTP. */

import { assertEquals } from "@std/assert";
import { soon } from "../support/soon.ts";
import { jsonLines, TestApi } from "./test_api.ts";

async function post(api: TestApi, route: string, body: unknown): Promise<[number, unknown]> {
  const response = await api.fetch(`/control/v1/state/${route}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return [response.status, await response.json()];
}

async function get(api: TestApi, query: string): Promise<[number, unknown]> {
  const response = await api.fetch(`/control/v1/state?${query}`);
  return [response.status, await response.json()];
}

Deno.test("what is set, added and appended is what is got and listed", async () => {
  await using api = await TestApi.start([]);
  const key = "a key/with ünï&code?";
  assertEquals(await post(api, "set", { key, value: { n: null } }), [200, {
    key,
    value: { n: null },
  }]);
  assertEquals(await post(api, "add", { key: "n" }), [200, { key: "n", value: 1 }]);
  assertEquals(await post(api, "add", { key: "n", by: 2.5 }), [200, { key: "n", value: 3.5 }]);
  assertEquals(await post(api, "append", { key: "l", items: [1, "b"] }), [
    200,
    { key: "l", value: [1, "b"] },
  ]);
  assertEquals(await get(api, new URLSearchParams({ key }).toString()), [
    200,
    { key, value: { n: null } },
  ]);
  assertEquals(await get(api, "prefix=l"), [200, [{ key: "l", value: [1, "b"] }]]);
  assertEquals(((await get(api, ""))[1] as unknown[]).length, 3);
  assertEquals(await post(api, "delete", { key }), [200, { deleted: true }]);
  assertEquals(await post(api, "delete", { key }), [200, { deleted: false }]);
  assertEquals((await get(api, new URLSearchParams({ key }).toString()))[0], 404);
});

Deno.test("what cannot be written is told by the status", async () => {
  await using api = await TestApi.start([]);
  await post(api, "set", { key: "text", value: "x" });
  const cases: [route: string, body: unknown, status: number][] = [
    ["set", { key: "k" }, 400],
    ["set", { value: 1 }, 400],
    ["set", { key: "k".repeat(513), value: 1 }, 429],
    ["add", { key: "text" }, 409],
    ["append", { key: "text", items: [1] }, 409],
    ["append", { key: "l", items: [] }, 400],
    ["delete", {}, 400],
  ];
  for (const [route, body, status] of cases) {
    assertEquals((await post(api, route, body))[0], status, `${route} ${JSON.stringify(body)}`);
  }
  assertEquals(await get(api, "prefix="), [200, [{ key: "text", value: "x" }]]);
});

Deno.test("who watches is told of changes, and of nothing before", async () => {
  await using api = await TestApi.start([]);
  await post(api, "set", { key: "w/1", value: 1 });
  const response = await api.fetch("/control/v1/state/watch?prefix=w/");
  const lines = jsonLines(response);
  await post(api, "set", { key: "other", value: 1 });
  await post(api, "set", { key: "w/1", value: 2 });
  await post(api, "delete", { key: "w/1" });
  const nodeId = api.node.network.nodeId;
  const change = { key: "w/1", nodeId, isConcurrent: false };
  assertEquals(await soon(lines.next(), "a change"), {
    done: false,
    value: { ...change, value: 2, previous: 1 },
  });
  assertEquals(await soon(lines.next(), "a change"), {
    done: false,
    value: { ...change, previous: 2 },
  });
  await lines.return?.(undefined);
});

Deno.test("what is exported is a document, and imported adds to what is there unless it is to replace it", async () => {
  await using api = await TestApi.start([]);
  await post(api, "set", { key: "__proto__", value: { n: [null] } });
  await post(api, "set", { key: "b", value: 1 });
  const answer = await api.fetch("/control/v1/state/export");
  assertEquals(answer.headers.get("content-type"), "application/json");
  const document = await answer.text();
  const { format, version, network, nodeId, entries } = JSON.parse(document);
  assertEquals([format, version, nodeId], ["hanzo-network-state", 1, "a"]);
  assertEquals(network, api.node.network.getNetworkStatus().name);
  assertEquals(entries.length, 2);
  await post(api, "set", { key: "b", value: 2 });
  await post(api, "set", { key: "mine", value: 1 });
  const imported = async (query: string, body: string) => {
    const response = await api.fetch(`/control/v1/state/import${query}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    return [response.status, await response.json()];
  };
  const outcome = { before: null, set: 1, same: 1, deleted: 0 };
  assertEquals(await imported("?dry-run=", document), [200, outcome]);
  assertEquals(await get(api, "key=b"), [200, { key: "b", value: 2 }]);
  assertEquals(await imported("", document), [200, outcome]);
  assertEquals(await imported("?replace=", document), [200, {
    ...outcome,
    set: 0,
    same: 2,
    deleted: 1,
  }]);
  assertEquals((await imported("", document.slice(0, -10)))[0], 400);
  assertEquals((await imported("", document.replace('"version":1', '"version":2')))[0], 409);
  assertEquals(((await get(api, ""))[1] as unknown[]).length, 2);
});
