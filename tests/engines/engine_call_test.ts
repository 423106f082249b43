/** Calls of engines: bytes as they come, and every way in which they do not. */

import { assertEquals, assertLess, assertMatch, assertRejects } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { systemClock } from "../../src/base/clock.ts";
import { directHttp } from "../../src/engines/direct_http.ts";
import type { EngineHttp } from "../../src/engines/http.ts";
import { engineHttp } from "../../src/engines/pooled_http.ts";
import {
  askEngine,
  type EngineAnswer,
  type EngineCall,
  type EngineLimits,
} from "../../src/engines/engine_call.ts";
import { parseEngine } from "../../src/engines/place.ts";
import { collectGarbage } from "../support/garbage.ts";
import type { EngineServer } from "../support/engines/engine_server.ts";
import { OllamaEngine } from "../support/engines/ollama_engine.ts";
import { OpenAiEngine } from "../support/engines/open_ai_engine.ts";
import { soon } from "../support/soon.ts";

interface Setting {
  limits?: Partial<EngineLimits>;
  key?: string;
  onGone?: () => void;
}

type Ask = (
  engine: Pick<EngineServer, "url">,
  call: EngineCall,
  setting?: Setting,
) => Promise<EngineAnswer>;

/** What every port to engines promises. */
const PORTS: Readonly<Record<string, () => EngineHttp>> = {
  "Node's client": () => directHttp,
  "the runtime's client": engineHttp,
};

function each(name: string, test: (ask: Ask) => Promise<void>): void {
  for (const [port, make] of Object.entries(PORTS)) {
    const http = make();
    const ask: Ask = (engine, call, { key, ...setting } = {}) => {
      const place = parseEngine(engine.url);
      return askEngine({ place, http, clock: systemClock, key: () => key, ...setting }, call);
    };
    Deno.test(`${name} (${port})`, () => test(ask));
  }
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** A chat that is streamed. */
function chat(text: string, signal?: AbortSignal): EngineCall {
  const messages = [{ role: "user", content: text }];
  const body = json({ model: "test-model", messages, stream: true });
  return { path: "/v1/chat/completions", body, accept: "text/event-stream", signal };
}

async function textOf({ body }: EngineAnswer): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) text += decoder.decode(chunk, { stream: true });
  return text;
}

async function failureOf(promise: Promise<unknown>): Promise<[string, string]> {
  const { code, message } = await assertRejects(() => soon(promise, "a failure"), NetworkError);
  return [code, message];
}

each("a streamed answer comes piece by piece, as the engine says it", async (ask) => {
  await using engine = await new OpenAiEngine({ tokenMs: 20, key: "secret" }).start();
  const answer = await ask(engine, chat("a b c d e f"), { key: "secret" });
  assertEquals([answer.status, answer.headers], [200, {
    "content-type": "text/event-stream; charset=utf-8",
  }]);
  const arrivals: number[] = [];
  let text = "";
  for await (const chunk of answer.body) {
    arrivals.push(performance.now());
    text += new TextDecoder().decode(chunk);
  }
  assertEquals(arrivals.length >= 8, true, "nothing is held back");
  assertEquals(arrivals.at(-1)! - arrivals[0] >= 100, true);
  const said = text.split("\n\n").filter((one) => one !== "").map((one) => one.slice(6));
  assertEquals(said.pop(), "[DONE]");
  const content = said.map((one) => JSON.parse(one).choices[0].delta.content ?? "").join("");
  assertEquals(content, "You said: a b c d e f");
  assertEquals(await engine.requests[0].outcome, "answered");
  const { authorization, host } = engine.requests[0].headers;
  assertEquals([authorization, host], ["Bearer secret", engine.url.slice(7)]);
});

each("paths of OpenAI's protocol and of the engine's own go where each has them", async (ask) => {
  await using engine = await new OllamaEngine().start();
  const body = json({ model: "llama3.2", messages: [{ role: "user", content: "hi" }] });
  const own = await textOf(await ask(engine, { path: "/api/chat", body }));
  const lines = own.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.map(({ message }) => message.content).join(""), "You said: hi");
  assertEquals(lines.at(-1).done_reason, "stop");
  const openAi = await ask({ url: `${engine.url}/v1` }, { path: "/v1/chat/completions", body });
  assertEquals(JSON.parse(await textOf(openAi)).choices[0].message.content, "You said: hi");
  assertEquals(engine.requests.map(({ path }) => path), ["/api/chat", "/v1/chat/completions"]);
});

each("an engine's own errors are answers", async (ask) => {
  await using engine = await new OpenAiEngine().start();
  engine.nextFaults.push(
    { type: "full", status: 429, retryAfterSeconds: 7 },
    { type: "full", status: 503 },
    { type: "fail", message: "out of memory" },
  );
  const full = await ask(engine, chat("a"));
  assertEquals([full.status, full.headers["retry-after"]], [429, "7"]);
  assertEquals(JSON.parse(await textOf(full)).error.code, "rate_limit_exceeded");
  assertEquals((await readOut(ask(engine, chat("a")))).status, 503);
  const failed = await ask(engine, chat("a"));
  assertEquals([failed.status, JSON.parse(await textOf(failed)).error.message], [
    500,
    "out of memory",
  ]);
  const unknown = await ask(engine, { path: "/v1/chat/completions", body: json({ model: "x" }) });
  assertEquals([unknown.status, JSON.parse(await textOf(unknown)).error.code], [
    404,
    "model_not_found",
  ]);
});

async function readOut(asking: Promise<EngineAnswer>): Promise<EngineAnswer> {
  const answer = await asking;
  await textOf(answer);
  return answer;
}

each(
  "whoever takes a call back has the engine's connection closed, before and amid its answer",
  async (ask) => {
    await using engine = await new OpenAiEngine({ tokenMs: 5 }).start();
    for (const afterTokens of [0, 3]) {
      engine.nextFaults.push({ type: "stall", afterTokens });
      const controller = new AbortController();
      const asking = ask(engine, chat("a b c d", controller.signal)).then(textOf);
      const failure = failureOf(asking);
      while (engine.requests.at(-1)?.tokens !== afterTokens) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const cancelled = performance.now();
      controller.abort(new Error("changed my mind"));
      assertEquals((await failure)[0], "CANCELLED");
      assertEquals(await soon(engine.requests.at(-1)!.outcome, "the end"), "cancelled");
      assertLess(performance.now() - cancelled, 1_000);
      engine.requests.length = 0;
    }
    const aborted = AbortSignal.abort(new Error("before"));
    assertEquals((await failureOf(ask(engine, chat("a", aborted))))[0], "CANCELLED");
    assertEquals(engine.requests, []);
  },
);

each("leaving the body closes the connection", async (ask) => {
  await using engine = await new OpenAiEngine({ tokenMs: 5 }).start();
  engine.fault = { type: "stall", afterTokens: 2 };
  const { body } = await ask(engine, chat("a b c d"));
  for await (const _ of body) break;
  assertEquals(await soon(engine.requests[0].outcome, "the end"), "cancelled");
});

each(
  "an engine that falls silent is given up: before its first byte, and amid its answer",
  async (ask) => {
    await using engine = await new OpenAiEngine().start();
    const limits = { firstByteMs: 80, idleMs: 40 };
    engine.nextFaults.push({ type: "stall", afterTokens: 0 }, { type: "stall", afterTokens: 2 });
    const [early, says] = await failureOf(ask(engine, chat("a b c"), { limits }));
    assertEquals(early, "DEADLINE_EXCEEDED");
    assertMatch(says, /^Cannot ask the engine at 127\.0\.0\.1:\d+: no answer came for 0\.1 s\.$/);
    const answer = await ask(engine, chat("a b c"), { limits });
    const [late, why] = await failureOf(textOf(answer));
    assertEquals(late, "DEADLINE_EXCEEDED");
    assertMatch(why, /its answer stood still/);
    for (const { outcome } of engine.requests) assertEquals(await outcome, "cancelled");
  },
);

each("who reads slowly is not taken for an engine that is silent", async (ask) => {
  await using engine = await new OpenAiEngine().start();
  const { body } = await ask(engine, chat("a b c"), { limits: { idleMs: 30 } });
  let chunks = 0;
  for await (const _ of body) {
    if (++chunks === 1) await new Promise((resolve) => setTimeout(resolve, 60));
  }
  assertEquals(await engine.requests[0].outcome, "answered");
});

each(
  "an engine that breaks off may have done something: that is said, and it is not gone",
  async (ask) => {
    await using engine = await new OpenAiEngine().start();
    let gone = 0;
    engine.nextFaults.push({ type: "drop", afterTokens: 2 }, { type: "drop", afterTokens: 0 });
    const answer = await ask(engine, chat("a b c"), { onGone: () => gone++ });
    assertEquals((await failureOf(textOf(answer)))[0], "UNKNOWN_OUTCOME");
    const body = json({ model: "test-model", messages: [{ role: "user", content: "a" }] });
    const call = { path: "/v1/chat/completions", body };
    assertEquals(
      (await failureOf(ask(engine, call, { onGone: () => gone++ })))[0],
      "UNKNOWN_OUTCOME",
    );
    assertEquals(gone, 0);
  },
);

each("an engine that is not there is gone", async (ask) => {
  const engine = await new OpenAiEngine().start();
  await engine.stop();
  let gone = 0;
  const [code, message] = await failureOf(ask(engine, chat("a"), { onGone: () => gone++ }));
  assertEquals([code, gone], ["UNAVAILABLE", 1]);
  assertMatch(message, /nobody answers there( \(ECONNREFUSED\))?\. Is it running\?$/);
});

each("what is malformed comes as it is: to judge it is the reader's part", async (ask) => {
  await using engine = await new OpenAiEngine().start();
  engine.fault = { type: "malformed", afterTokens: 1, text: '{"half' };
  assertMatch(await textOf(await ask(engine, chat("a b"))), /data: \{"half\n\n/);
});

each("no path leads to another host, and no redirection is followed", async (ask) => {
  await using other = await new OpenAiEngine().start();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response(null, { status: 307, headers: { location: `${other.url}/v1/models` } }),
  );
  const engine = { url: `http://127.0.0.1:${server.addr.port}` };
  const [code, message] = await failureOf(ask(engine, { path: "/v1/models" }));
  assertEquals(code, "PROTOCOL");
  assertMatch(message, /it answers 307, which sends elsewhere/);
  const [, port] = other.url.split("127.0.0.1:");
  for (
    const path of [
      `@127.0.0.1:${port}/v1/models`,
      `.evil.test/`,
      "v1/models",
      "",
      "/v1/models#x",
      `0/v1/models`,
    ]
  ) {
    assertEquals((await failureOf(ask(engine, { path })))[0], "INVALID_ARGUMENT", path);
  }
  const within = { url: `${engine.url}/deep` };
  for (const path of ["/../v1/models", "/%2e%2e/models", "/v1/../../models"]) {
    assertEquals((await failureOf(ask(within, { path })))[0], "INVALID_ARGUMENT", path);
  }
  assertEquals(other.requests, []);
  await server.shutdown();
});

each("an answer is stopped by its signal, also after a collection of garbage", async (ask) => {
  await using engine = await new OpenAiEngine().start();
  engine.fault = { type: "stall", afterTokens: 1 };
  const stop = new AbortController();
  const { body } = await ask(engine, chat("a b c", stop.signal));
  const hasSpoken = Promise.withResolvers<void>();
  const end = (async () => {
    for await (const _ of body) hasSpoken.resolve();
    return "ended";
  })().catch(({ code }) => code);
  await soon(hasSpoken.promise, "the first word");
  // The first collection is after the turn in which the head came.
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    collectGarbage();
  }
  stop.abort(new Error("enough"));
  assertEquals(await soon(end, "the end of the answer"), "CANCELLED");
  assertEquals(await soon(engine.requests[0].outcome, "the engine's word"), "cancelled");
});

Deno.test("a proxy of the environment is not asked", async () => {
  await using proxy = await new OpenAiEngine().start();
  await using engine = await new OpenAiEngine().start();
  const code = `
    import { systemClock as clock } from "${new URL("../../src/base/clock.ts", import.meta.url)}";
    import { engineHttp } from "${new URL("../../src/engines/pooled_http.ts", import.meta.url)}";
    const http = engineHttp();
    import { askEngine } from "${new URL("../../src/engines/engine_call.ts", import.meta.url)}";
    import { parseEngine } from "${new URL("../../src/engines/place.ts", import.meta.url)}";
    const needs = { place: parseEngine("${engine.url}"), http, clock, key: () => undefined };
    const { status, body } = await askEngine(needs, { path: "/v1/models" });
    for await (const _ of body);
    console.log(status);`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", code],
    cwd: new URL("../../", import.meta.url),
    env: { HTTP_PROXY: proxy.url, http_proxy: proxy.url, ALL_PROXY: proxy.url, NO_COLOR: "1" },
  }).output();
  const said = new TextDecoder().decode(stdout);
  assertEquals(said, "200\n", new TextDecoder().decode(stderr));
  assertEquals([proxy.requests.length, engine.requests.length], [0, 1]);
});
