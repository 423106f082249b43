/** A gateway looks like an engine, and is none: calls would go round in circles. */

import { assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { directHttp } from "../../../src/engines/direct_http.ts";
import { EngineClient } from "../../../src/engines/engine_client.ts";
import { identify } from "../../../src/engines/identify.ts";
import type { EngineKind } from "../../../src/engines/model.ts";
import { knownPlace, parseEngine } from "../../../src/engines/place.ts";
import { OpenAiEngine } from "../../support/engines/open_ai_engine.ts";
import { testModel } from "../../support/engines/test_model.ts";
import { ModelsRig } from "./models_rig.ts";

Deno.test("a node's own API is taken for no engine, on whatever port it listens", async () => {
  await using engine = await new OpenAiEngine({ models: [testModel("qwen3:8b")] }).start();
  await using rig = await ModelsRig.start({ here: [engine], models: 1 });
  const port = Number(new URL(rig.url).port);
  const usual: EngineKind[] = ["ollama", "lm-studio", "llama.cpp", "vllm", "exo", "jan"];
  const places = [parseEngine(rig.url), ...usual.map((kind) => knownPlace([port, kind]))];
  for (const place of places) {
    const client = new EngineClient({
      place,
      http: directHttp,
      clock: systemClock,
      key: () => undefined,
      signal: new AbortController().signal,
    });
    const found = await identify(client);
    assertEquals(found, { type: "foreign", reason: "it is a node of a network" }, place.usual);
  }
});

Deno.test("Ollama's own command finds somebody here, before it asks anything", async () => {
  await using rig = await ModelsRig.start({ models: 0 });
  const answer = await rig.fetch(`${rig.url}/`, { method: "HEAD" });
  assertEquals([answer.status, await answer.text()], [200, ""]);
  const foreign = await rig.fetch(`${rig.url}/`, {
    method: "HEAD",
    headers: { origin: "https://evil.example" },
  });
  assertEquals(foreign.status, 403);
  await foreign.body?.cancel();
});
