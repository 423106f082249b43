/** Models behind a real HTTP server that speaks OpenAI's protocol, or does not. */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { createAgent } from "../../../src/agents/agent.ts";
import { createNetwork } from "../../../src/agents/networks/agent_network.ts";
import { createRoutingAgent } from "../../../src/agents/networks/routing_agent.ts";
import type { ModelRequest } from "../../../src/agents/models/model.ts";
import {
  createOpenAiModel,
  openAiModel,
  type OpenAiModelOptions,
} from "../../../src/agents/models/openai_model.ts";
import { type ErrorCode, NetworkError } from "../../../src/base/errors.ts";
import { ManualClock } from "../../../src/base/manual_clock.ts";
import { soon } from "../../support/soon.ts";
import { UnendingServer } from "../../support/unending.ts";

type Handler = (request: Request) => Response | Promise<Response>;

/** A server of the test's own. */
class Server implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(handler: Handler) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/v1`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

const answers = (message: unknown, more = {}) =>
  Response.json({ choices: [{ message, finish_reason: "stop" }], ...more });

const HELLO: ModelRequest = { messages: [{ role: "user", content: "Hello" }] };

async function fails(
  handler: Handler,
  code: ErrorCode,
  says: string[],
  options: Partial<OpenAiModelOptions> = {},
): Promise<NetworkError> {
  await using server = new Server(handler);
  const model = createOpenAiModel({ model: "m", baseUrl: server.baseUrl, ...options });
  const error = await assertRejects(() => model.generate(HELLO), NetworkError);
  assertEquals(error.code, code);
  assertStringIncludes(error.message, 'Cannot ask model "m" at http://127.0.0.1:');
  for (const one of says) assertStringIncludes(error.message, one);
  return error;
}

Deno.test("a model is asked with messages, tools and a key, and its words, calls and usage come back", async () => {
  const asked: unknown[] = [];
  await using server = new Server(async (request) => {
    asked.push([
      request.method,
      new URL(request.url).pathname,
      request.headers.get("authorization"),
    ]);
    asked.push(await request.json());
    return answers({
      role: "assistant",
      content: null,
      tool_calls: [
        { id: "c1", type: "function", function: { name: "add", arguments: '{"a": 1}' } },
        { id: "c2", type: "function", function: { name: "add", arguments: "{broken" } },
      ],
    }, { usage: { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 } });
  });
  const parameters = { type: "object", properties: { a: { type: "number" } } };
  const model = createOpenAiModel({ model: "m", baseUrl: `${server.baseUrl}/`, apiKey: "secret" });
  const answer = await model.generate({
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "1 + 1" },
      {
        role: "assistant",
        content: "",
        toolCalls: [{ id: "c0", name: "add", arguments: { a: 0 } }],
      },
      { role: "tool", toolCallId: "c0", content: "0" },
    ],
    tools: [{ name: "add", description: "Adds", parameters }],
  });
  assertEquals(answer, {
    text: "",
    toolCalls: [
      { id: "c1", name: "add", arguments: { a: 1 } },
      { id: "c2", name: "add", arguments: "{broken" },
    ],
    usage: { inputTokens: 12, outputTokens: 3 },
  });
  assertEquals(asked, [["POST", "/v1/chat/completions", "Bearer secret"], {
    model: "m",
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "1 + 1" },
      {
        role: "assistant",
        content: "",
        tool_calls: [{
          id: "c0",
          type: "function",
          function: { name: "add", arguments: '{"a":0}' },
        }],
      },
      { role: "tool", tool_call_id: "c0", content: "0" },
    ],
    tools: [{ type: "function", function: { name: "add", description: "Adds", parameters } }],
  }]);
});

Deno.test("a plain answer needs neither tools nor usage nor a key", async () => {
  let body: Record<string, unknown> = {};
  let key: string | null = "";
  await using server = new Server(async (request) => {
    body = await request.json();
    key = request.headers.get("authorization");
    return answers({ content: "Hi" });
  });
  const model = createOpenAiModel({ model: "m", baseUrl: server.baseUrl });
  assertEquals(await model.generate(HELLO), { text: "Hi", toolCalls: [] });
  assertEquals([Object.keys(body), key], [["model", "messages"], null]);
});

Deno.test("a routing agent leads a network by a model behind a server", async () => {
  await using server = new Server(async (request) => {
    const { messages, tools } = await request.json();
    const choose = (name: string, args: unknown) =>
      answers({
        content: "",
        tool_calls: [{ id: "1", function: { name, arguments: JSON.stringify(args) } }],
      });
    if (messages[1].content.includes("shout: HELLO")) return choose("finish", {});
    return choose("choose_agent", { agent: tools[0].function.parameters.properties.agent.enum[1] });
  });
  const agentOf = (name: string) =>
    createAgent({ name, description: "", run: ({ prompt }) => prompt.toUpperCase() });
  const model = createOpenAiModel({ model: "m", baseUrl: server.baseUrl });
  const network = createNetwork({
    name: "desk",
    agents: [agentOf("whisper"), agentOf("shout")],
    router: createRoutingAgent({ name: "lead", model }),
  });
  const { output, state } = await network.run("Hello");
  assertEquals([output, state.agentResults.map(({ agent }) => agent)], ["HELLO", ["shout"]]);
});

const refusal = (status: number, body: BodyInit, headers = {}): Handler => () =>
  new Response(body, { status, headers });
const REFUSALS: [string, Handler, ErrorCode, string[]][] = [
  [
    "the key is wrong",
    refusal(401, '{"error":{"message":"Incorrect API key"}}'),
    "PERMISSION_DENIED",
    [
      'status 401, "Incorrect API key". Give the right key as apiKey.',
    ],
  ],
  ["it has no such model", refusal(404, '{"error":"model \\"m\\" not found"}'), "NOT_FOUND", [
    "not found",
    "does baseUrl end with the version",
  ]],
  [
    "it was asked too often",
    refusal(429, "slow down", { "retry-after": "7" }),
    "RESOURCE_EXHAUSTED",
    [
      '"slow down". Try again later',
    ],
  ],
  [
    "the request does not suit it",
    refusal(400, '{"error":{"message":"no tools"}}'),
    "INVALID_ARGUMENT",
    [
      '"no tools". Does this model take tools',
    ],
  ],
  ["it has failed", refusal(503, ""), "UNAVAILABLE", ["status 503. Look into the server's log."]],
  ["it is no such server", refusal(200, "<html>"), "PROTOCOL", ["speaks another protocol"]],
  ["its answer has no choices", () => Response.json({ choices: [] }), "PROTOCOL", ["choices"]],
  ["its answer is too deep", () => new Response("[".repeat(100_000)), "PROTOCOL", [
    "nested deeper",
  ]],
  [
    "its answer does not end",
    () => new Response(new ReadableStream({ pull: (it) => it.enqueue(new Uint8Array(2 ** 20)) })),
    "PROTOCOL",
    [
      "longer than 16777216 bytes",
    ],
  ],
];
for (const [what, handler, code, says] of REFUSALS) {
  Deno.test(`when ${what} the error says so, and what helps`, async () => {
    const error = await fails(handler, code, says);
    assertEquals(error.retryAfterMs, code === "RESOURCE_EXHAUSTED" ? 7_000 : undefined);
  });
}

Deno.test("what a server says reaches no terminal as it is, and the key no message", async () => {
  const handler = refusal(401, '{"error":{"message":"\\u001b[31mno key secret-1\\nhere"}}');
  const { message } = await fails(handler, "PERMISSION_DENIED", ['"[31mno key … here"'], {
    apiKey: "secret-1",
  });
  assertEquals(message.includes("secret"), false);
});

Deno.test("where no server is the error says so", async () => {
  const server = new Server(() => answers({ content: "" }));
  const { baseUrl } = server;
  await server[Symbol.asyncDispose]();
  const error = await assertRejects(
    () => createOpenAiModel({ model: "m", baseUrl }).generate(HELLO),
    NetworkError,
  );
  assertEquals(error.code, "UNAVAILABLE");
  assertStringIncludes(error.message, "no server answers there");
  assertStringIncludes(error.message, "Start it, or correct baseUrl.");
});

Deno.test("a server that is silent is given up after its time, or when the caller gives up", async () => {
  const clock = new ManualClock();
  const signals: AbortSignal[] = [];
  const silent = ((_: URL, { signal }: RequestInit) => {
    signals.push(signal!);
    return new Promise((_, reject) => {
      signal!.addEventListener("abort", () => reject(signal!.reason));
    });
  }) as typeof fetch;
  const options = { model: "m", baseUrl: "http://127.0.0.1:1/v1", timeoutMs: 400 };
  const model = openAiModel(options, { clock, fetch: silent });
  const late = assertRejects(() => model.generate(HELLO), NetworkError);
  await clock.advance(400);
  const { code, message } = await late;
  assertEquals([code, signals[0].aborted], ["DEADLINE_EXCEEDED", true]);
  assertStringIncludes(message, "no answer within 400 ms. Allow more with timeoutMs.");
  const abort = new AbortController();
  const stopped = assertRejects(
    () => model.generate({ ...HELLO, signal: abort.signal }),
    Error,
    "enough",
  );
  abort.abort(new Error("enough"));
  await stopped;
  assertEquals(signals[1].aborted, true);
});

for (
  const [what, options, says] of [
    ["no URL", { baseUrl: "localhost:11434" }, "begins with http://"],
    ["no name", { model: "" }, "expected a name"],
    ["no time", { timeoutMs: 0 }, "timeoutMs is 0, expected 1 to 3600000"],
  ] satisfies [string, Partial<OpenAiModelOptions>, string][]
) {
  Deno.test(`a model with ${what} is refused`, () => {
    const error = assertThrows(
      () => createOpenAiModel({ model: "m", baseUrl: "http://127.0.0.1:1/v1", ...options }),
      NetworkError,
    );
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, says);
  });
}

for (const isStreamed of [true, false]) {
  const how = isStreamed ? "in pieces" : "whole";
  Deno.test(`an answer that comes ${how} is given up, also after a collection of garbage`, async () => {
    const piece = 'data: {"choices":[{"delta":{"content":"one"}}]}\n\n';
    const type = isStreamed ? "text/event-stream" : "application/json";
    await using server = new UnendingServer(isStreamed ? piece : '{"choices": [', type);
    const model = createOpenAiModel({ model: "m", baseUrl: server.url });
    const run = new AbortController();
    const onToken = isStreamed ? () => {} : undefined;
    const messages = [{ role: "user" as const, content: "?" }];
    const ask = () => model.generate({ messages, onToken, signal: run.signal });
    const asked = assertRejects(ask, Error, "enough");
    await server.forgotten();
    run.abort(new Error("enough"));
    await soon(asked, "the end of the answer");
    await server.left();
  });
}
