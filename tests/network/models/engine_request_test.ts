/** What engines are asked: the client's own words, or a translation of them. */

import { assert, assertEquals, assertThrows } from "@std/assert";
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
  { stream = false, given = body, id = "own" } = {},
) {
  const task = { dialect, model: "m", asked: "alias", stream };
  return engineRequest(task, given, scripted({ engine, id }), needs);
}

Deno.test("where the engine speaks the client's dialect not a byte is changed but the model's name", () => {
  const { path, body: sent, accept, wording } = requestTo("openai-chat", "vllm");
  assertEquals(sent, body.replace('"alias"', '"own"'));
  assertEquals([path, accept, wording.type], ["/v1/chat/completions", "application/json", "same"]);
  assertEquals(requestTo("openai-chat", "exo", { id: "alias" }).body, body);
  const streamed = requestTo("ollama-chat", "ollama", { stream: true });
  assertEquals(streamed.path, "/api/chat");
  assertEquals([streamed.accept, streamed.wording.type], ["application/x-ndjson", "same"]);
});

function fieldOf(dialect: DialectName): string {
  return /embed$|embeddings|responses/.test(dialect) && dialect !== "ollama-embeddings"
    ? "input"
    : "prompt";
}

Deno.test("every dialect is asked of every engine, in words that it has", () => {
  const chat = { messages: [{ role: "user", content: "hi" }], max_tokens: 10 };
  const given = (dialect: DialectName) =>
    JSON.stringify({
      model: "alias",
      ...(/messages|chat/.test(dialect) ? chat : { [fieldOf(dialect)]: "hi" }),
    });
  const own: DialectName[] = ["openai-chat", "openai-completions", "openai-embeddings"];
  for (const engine of ENGINE_KINDS) {
    for (const dialect of DIALECT_NAMES) {
      const { path, body: sent, wording } = requestTo(dialect, engine, { given: given(dialect) });
      assertEquals(JSON.parse(sent).model, "own");
      const isSame = own.includes(dialect) || engine === "ollama" && dialect.startsWith("ollama-");
      assertEquals(wording.type === "same", isSame, `${dialect} of ${engine}`);
      assert(isSame || ["/v1/chat/completions", "/v1/embeddings"].includes(path));
    }
  }
});

Deno.test("a translation streams as the client wants it, and embeddings never", () => {
  const chat = requestTo("anthropic-messages", "vllm", {
    stream: true,
    given: JSON.stringify({ ...JSON.parse(body), max_tokens: 5, stream: true }),
  });
  assertEquals([chat.accept, chat.stream], ["text/event-stream", true]);
  assertEquals(JSON.parse(chat.body).stream, true);
  const given = '{"model":"alias","input":"hi"}';
  const embeddings = requestTo("ollama-embed", "vllm", { stream: true, given });
  assertEquals([embeddings.stream, embeddings.wording.type], [false, "embeddings"]);
});

Deno.test("a body of a peer that is no JSON, or deeper than any, is refused", () => {
  const deep = `{"model":"alias","messages":${"[".repeat(200)}${"]".repeat(200)}}`;
  for (const given of ["", "{", deep, '{"model":"alias","messages":1}']) {
    const { code } = assertThrows(
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
