/** What engines are asked: the client's own words, or a translation of them. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { NetworkError } from "../../../src/base/errors.ts";
import { DIALECT_NAMES, type DialectName } from "../../../src/dialects/dialect.ts";
import { ENGINE_KINDS } from "../../../src/engines/model.ts";
import { engineRequest } from "../../../src/network/models/engine_request.ts";
import { scripted } from "./rig.ts";

const needs = { model: "alias", now: () => 0, newId: () => "1" };
const body = '{ "model" : "alias", "messages":[{"role":"user","content":"hi"}], "seed": 1e3 }';

function requestTo(
  dialect: DialectName,
  engine: Parameters<typeof scripted>[0]["engine"],
  { stream = false, given = body, id = "own", paths = [] as string[] } = {},
) {
  const task = { dialect, model: "m", asked: "alias", stream };
  return engineRequest(task, given, scripted({ engine, id, paths }), needs);
}

Deno.test("where the engine speaks the client's dialect not a byte is changed but the model's name", async () => {
  const { path, body: sent, accept, wording } = await requestTo("openai-chat", "vllm");
  assertEquals(sent, body.replace('"alias"', '"own"'));
  assertEquals([path, accept, wording.type], ["/v1/chat/completions", "application/json", "same"]);
  assertEquals((await requestTo("openai-chat", "exo", { id: "alias" })).body, body);
  const streamed = await requestTo("ollama-chat", "ollama", { stream: true });
  assertEquals(streamed.path, "/api/chat");
  assertEquals([streamed.accept, streamed.wording.type], ["application/x-ndjson", "same"]);
});

Deno.test("a peer that says one model and writes another gets the one that it was let in for", async () => {
  const given = body.replace('"alias"', '"dear"');
  const { body: sent } = await requestTo("openai-chat", "vllm", { given, id: "alias" });
  assertEquals(sent, body);
});

Deno.test("an engine that has the younger paths is asked there, in the client's own words", async () => {
  const messages =
    '{"max_tokens":9,"model":"alias","thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"hi"}]}';
  const anthropic = await requestTo("anthropic-messages", "ollama", {
    given: messages,
    paths: ["/messages"],
    stream: true,
  });
  assertEquals(anthropic.body, messages.replace('"alias"', '"own"'));
  assertEquals([anthropic.path, anthropic.accept], ["/v1/messages", "text/event-stream"]);
  assertEquals(anthropic.wording.type, "same");
  const older = await requestTo("anthropic-messages", "ollama", {
    given: messages,
    paths: ["/responses"],
  });
  assertEquals([older.path, older.wording.type], ["/v1/chat/completions", "chat"]);

  const paths = ["/responses"];
  const given = '{"model":"alias","input":"hi","previous_response_id":null}';
  const response = await requestTo("openai-responses", "vllm", { given, paths });
  assertEquals([response.path, response.wording.type], ["/v1/responses", "same"]);
  // What it refers to may be on another device.
  for (
    const kept of ['"previous_response_id":"resp_1"', '"background":true', '"prompt":{"id":"p"}']
  ) {
    const given = `{"model":"alias","input":"hi",${kept}}`;
    const { code } = await assertRejects(
      () => requestTo("openai-responses", "vllm", { given, paths }),
      NetworkError,
    );
    assertEquals(code, "INVALID_ARGUMENT");
  }
});

function fieldOf(dialect: DialectName): string {
  return /embed$|embeddings|responses/.test(dialect) && dialect !== "ollama-embeddings"
    ? "input"
    : "prompt";
}

Deno.test("every dialect is asked of every engine, in words that it has", async () => {
  const chat = { messages: [{ role: "user", content: "hi" }], max_tokens: 10 };
  const given = (dialect: DialectName) =>
    JSON.stringify({
      model: "alias",
      ...(/messages|chat/.test(dialect) ? chat : { [fieldOf(dialect)]: "hi" }),
    });
  const own: DialectName[] = ["openai-chat", "openai-completions", "openai-embeddings"];
  for (const engine of ENGINE_KINDS) {
    for (const dialect of DIALECT_NAMES) {
      const { path, body: sent, wording } = await requestTo(dialect, engine, {
        given: given(dialect),
      });
      assertEquals(JSON.parse(sent).model, "own");
      const isSame = own.includes(dialect) || engine === "ollama" && dialect.startsWith("ollama-");
      assertEquals(wording.type === "same", isSame, `${dialect} of ${engine}`);
      assert(isSame || ["/v1/chat/completions", "/v1/embeddings"].includes(path));
    }
  }
});

Deno.test("a translation streams as the client wants it, and embeddings never", async () => {
  const chat = await requestTo("anthropic-messages", "vllm", {
    stream: true,
    given: JSON.stringify({ ...JSON.parse(body), max_tokens: 5, stream: true }),
  });
  assertEquals([chat.accept, chat.stream], ["text/event-stream", true]);
  assertEquals(JSON.parse(chat.body).stream, true);
  const given = '{"model":"alias","input":"hi"}';
  const embeddings = await requestTo("ollama-embed", "vllm", { stream: true, given });
  assertEquals([embeddings.stream, embeddings.wording.type], [false, "embeddings"]);
});

Deno.test("a body of a peer that is no JSON, or deeper than any, is refused", async () => {
  const deep = `{"model":"alias","messages":${"[".repeat(200)}${"]".repeat(200)}}`;
  for (const given of ["", "{", deep, '{"model":"alias","messages":1}']) {
    const { code } = await assertRejects(
      () => requestTo("anthropic-messages", "vllm", { given }),
      NetworkError,
    );
    assert(code === "PROTOCOL" || code === "INVALID_ARGUMENT");
  }
});

Deno.test("what Anthropic's clients have to say is left out where no answer can be as long", async () => {
  const sent = async (max_tokens: number, contextLength: number | null, content = "hi") => {
    const model = scripted({ engine: "vllm", id: "own" });
    const found = { ...model, description: { ...model.description, contextLength } };
    const given = JSON.stringify({
      model: "alias",
      max_tokens,
      messages: [{ role: "user", content }],
    });
    const task = {
      dialect: "anthropic-messages",
      model: "m",
      asked: "alias",
      stream: false,
    } as const;
    return JSON.parse((await engineRequest(task, given, found, needs)).body).max_tokens;
  };
  assertEquals(await sent(32_000, 4_096), undefined);
  assertEquals(await sent(1_000, 4_096), 1_000);
  assertEquals(await sent(1_000, 4_096, "word ".repeat(3_000)), undefined);
  assertEquals(await sent(32_000, null), 32_000);
  assertEquals(await sent(32_000, 131_072), 32_000);
});
