/** How engines come, change and go, and what is left alone. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { MAX_REPLY_BYTES } from "../../src/engines/engine_client.ts";
import { knownPlace, parseEngine } from "../../src/engines/place.ts";
import { OllamaEngine } from "../support/engines/ollama_engine.ts";
import { OpenAiEngine } from "../support/engines/open_ai_engine.ts";
import { testModel } from "../support/engines/test_model.ts";
import { ScriptedEngine, SILENCE, watchRig } from "./rig.ts";

const NAMED = parseEngine("http://127.0.0.1:9000");
const AT_8080 = knownPlace([8_080, "llama.cpp"]);
const list = (...ids: string[]) => ({ object: "list", data: ids.map((id) => ({ id })) });
const VLLM = { "/v1/models": { object: "list", data: [{ id: "a", owned_by: "vllm" }] } };

Deno.test("an engine that comes later is found, told, and gone when it is refused", async () => {
  const engine = new ScriptedEngine({ "/v1/models": list("a") });
  engine.isGone = true;
  const { watch, told, log, pass } = watchRig([AT_8080], engine.http);
  await watch.look();
  assertEquals([told, watch.engines()[0].state], [[], "absent"]);
  engine.isGone = false;
  await pass(15_000);
  assertEquals(told.map((models) => models.map(({ name }) => name)), [["a"]]);

  engine.answers["/v1/models"] = list("a", "b");
  await pass(5_000);
  assertEquals(told.at(-1)?.map(({ name }) => name), ["a", "b"]);
  await pass(20_000);
  assertEquals(told.length, 2, "what has not changed is not told again");

  engine.isGone = true;
  await pass(5_000);
  assertEquals([told.length, told.at(-1)], [3, []]);
  engine.isGone = false;
  await pass(15_000);
  assertEquals(told.at(-1)?.map(({ name }) => name), ["a", "b"]);
  await watch.stop();
  assertEquals(log.lines("info"), [
    "A server of OpenAI's protocol at http://127.0.0.1:8080 is used",
    "The engine at http://127.0.0.1:8080 is gone",
    "A server of OpenAI's protocol at http://127.0.0.1:8080 is used",
  ]);
  assertEquals(log.lines("warn"), [], "nobody has promised one there");
});

Deno.test("an engine that was named and is not there is told of once", async () => {
  const engine = new ScriptedEngine();
  engine.isGone = true;
  const { watch, log, pass } = watchRig([NAMED], engine.http);
  await watch.look();
  await pass(20_000);
  assertEquals(engine.asked.length, 5);
  assertEquals(log.lines("warn"), [
    "The engine at http://127.0.0.1:9000 is not used: nobody answers there",
  ]);
  await watch.stop();
});

Deno.test("what is loaded or not is told within a look", async () => {
  await using engine = await new OllamaEngine().start();
  const { watch, told } = watchRig([knownPlace([engine.port, "ollama"])]);
  await watch.look();
  engine.models[0].loaded = false;
  await watch.look();
  assertEquals(told.map(([model]) => model.loaded), [true, false]);
  await watch.stop();
});

Deno.test("200 models cost 200 questions once, and two at every look from then on", async () => {
  await using engine = await new OllamaEngine({
    models: Array.from(
      { length: 200 },
      (_, i) => testModel(`model-${i}:latest`, { loaded: i < 2 }),
    ),
  }).start();
  const { watch, told } = watchRig([knownPlace([engine.port, "ollama"])]);
  for (let looks = 0; looks < 8; looks++) await watch.look();
  assertEquals(engine.asked("/api/show").length, 200);
  assertEquals(told.length, 2, "what is half known is told once, and then the whole");
  assertEquals(told[0].length, 200);
  assert(told[1].every((one) => one.contextLength === (one.loaded ? 4_096 : 131_072)));

  // One is pulled anew, one is there for the first time, one is gone.
  engine.models[7] = testModel("model-7:latest", { sizeBytes: 1, contextLength: 4_096 });
  engine.models.push(testModel("new:latest"));
  engine.models.shift();
  engine.requests.length = 0;
  await watch.look();
  await watch.look();
  assertEquals(engine.asked("/api/show").map(({ body }) => body.model).sort(), [
    "model-7:latest",
    "new:latest",
  ]);
  assertEquals(engine.requests.length, 2 + 2 * 2);
  assertEquals(told.at(-1)?.find(({ name }) => name === "model-7:latest")?.contextLength, 4_096);
  await watch.stop();
});

Deno.test("a web server on a known port is asked one thing, and then less and less", async () => {
  const pages = [
    new Response("<h1>Hello</h1>", { headers: { "content-type": "text/html" } }),
    new Response("", { status: 302, headers: { location: "http://10.0.0.1/" } }),
    Response.json({ data: [{ name: "no model" }] }),
    Response.json({ data: "none" }),
    Response.json({ message: "Loading model" }, { status: 503 }),
    new NetworkError("PROTOCOL", "it speaks no HTTP"),
  ];
  for (const page of pages) {
    const server = new ScriptedEngine({
      "/v1/models": () => page instanceof Response ? page.clone() : page,
    });
    const { watch, told, log, pass } = watchRig([AT_8080], server.http);
    await watch.look();
    const [{ state, models }] = watch.engines();
    assertEquals([state, models, told.length], ["foreign", 0, 0]);
    assertEquals(server.takeAsked(), ["GET /v1/models"]);
    await pass(59_999);
    assertEquals(server.takeAsked(), []);
    await pass(3_600_000);
    assert(server.takeAsked().length <= 8);
    assertEquals([log.lines("info"), log.lines("warn")], [[], []], "its owner knows of it");
    await watch.stop();
  }
});

Deno.test("a node of this program is not taken for an engine", async () => {
  const answer = () => Response.json(list("a"), { headers: { server: "hanzo-network/1.0" } });
  const node = new ScriptedEngine({ "/v1/models": answer });
  const { watch } = watchRig([AT_8080], node.http);
  await watch.look();
  assertEquals([watch.engines()[0].state, watch.models()], ["foreign", []]);
  await watch.stop();
});

Deno.test("llama.cpp that loads its model is asked again soon", async () => {
  const refusal = { error: { message: "Loading model", type: "unavailable_error", code: 503 } };
  const engine = new ScriptedEngine({
    "/v1/models": () => Response.json(refusal, { status: 503 }),
  });
  const { watch, told, pass } = watchRig([AT_8080], engine.http);
  await watch.look();
  assertEquals(watch.engines()[0].state, "failing");
  engine.answers["/v1/models"] = { object: "list", data: [{ id: "m", owned_by: "llamacpp" }] };
  await pass(5_000);
  assertEquals(told.at(-1)?.map(({ name }) => name), ["m"]);
  // It was started anew with another model, and loads that.
  engine.answers["/v1/models"] = () => Response.json(refusal, { status: 503 });
  await pass(5_000);
  assertEquals([told.at(-1), watch.engines()[0].state], [[], "failing"]);
  await watch.stop();
});

Deno.test("one that is late once is kept, one that is late twice is not", async () => {
  const engine = new ScriptedEngine({ ...VLLM });
  const { watch, told, pass } = watchRig([NAMED], engine.http);
  await watch.look();
  engine.answers["/v1/models"] = SILENCE;
  await pass(5_000 + 2_000);
  assertEquals([told.length, watch.models().length], [1, 1]);
  engine.answers["/v1/models"] = VLLM["/v1/models"];
  await pass(1_000);
  assertEquals([told.length, watch.models().length], [1, 1]);
  engine.answers["/v1/models"] = SILENCE;
  await pass(5_000 + 2_000 + 1_000 + 2_000);
  assertEquals([told.at(-1), watch.engines()[0].state], [[], "failing"]);
  await watch.stop();
});

Deno.test("looks at one place do not overlap, and none waits for another", async () => {
  const slow = new ScriptedEngine({ "/v1/models": SILENCE });
  const fast = new ScriptedEngine({ ...VLLM });
  const http = (request: Parameters<typeof slow.http>[0]) =>
    (request.url.port === "9000" ? slow : fast).http(request);
  const { watch, names, pass } = watchRig([NAMED, AT_8080], http);
  const looking = watch.look();
  await pass(0);
  assertEquals(names(), ["a"]);
  void watch.look();
  void watch.look();
  await pass(1_999);
  assertEquals(slow.asked.length, 1);
  await pass(1);
  await looking;
  await watch.stop();
});

Deno.test("another engine in the place of one is seen for what it is", async () => {
  const engine = new ScriptedEngine({ ...VLLM });
  const { watch, pass } = watchRig([NAMED], engine.http);
  await watch.look();
  assertEquals(watch.engines()[0].kind, "vllm");
  engine.answers = { "/api/version": { version: "1" }, "/api/tags": { models: [] } };
  await pass(5_000);
  // An Ollama of which only this is known has no list of OpenAI's.
  assertEquals(watch.engines()[0].state, "foreign");
  engine.answers["/v1/models"] = { object: "list", data: null };
  await pass(60_000);
  assertEquals(watch.engines()[0].kind, "ollama");
  await watch.stop();
});

Deno.test("what an engine says is bounded and made safe", async () => {
  const engine = new ScriptedEngine();
  const { watch, pass } = watchRig([NAMED], engine.http);
  await watch.look();
  const models = (...data: unknown[]) => ({ object: "list", data });
  engine.answers["/v1/models"] = models(
    { id: "good" },
    { id: "\u001b[31mred\u202e" },
    { id: "\u0007" },
    { id: 7 },
    { id: "x".repeat(2_000) },
    { id: "long".repeat(100) },
    { id: "odd", max_model_len: -1, owned_by: { a: 1 }, architecture: "none" },
    { id: "huge", max_model_len: 1e300 },
    null,
  );
  await pass(60_000);
  assertEquals(watch.models().map(({ name }) => name), [
    "[31mred",
    "good",
    "huge",
    "long".repeat(64),
    "odd",
  ]);
  assert(watch.models().every(({ contextLength }) => contextLength === null));
  engine.answers["/v1/models"] = models(
    ...Array.from({ length: 5_000 }, (_, i) => ({ id: `m${i}` })),
  );
  await pass(5_000);
  assertEquals(watch.models().length, 512);

  const json = (text: string) =>
    new Response(text, { headers: { "content-type": "application/json" } });
  const bad: [string, RegExp][] = [
    [`${"[".repeat(100_000)}${"]".repeat(100_000)}`, /nested deeper/],
    [`"${"x".repeat(MAX_REPLY_BYTES)}"`, /longer than 4194304 bytes/],
    ["{", /Cannot read JSON/],
  ];
  for (const [text, says] of bad) {
    engine.answers["/v1/models"] = models({ id: "good" });
    await pass(60_000);
    assertEquals(watch.models().length, 1);
    engine.answers["/v1/models"] = () => json(text);
    await pass(5_000);
    assertEquals(watch.models(), []);
    assertMatch(watch.engines()[0].note!, says);
  }
  await watch.stop();
});

Deno.test("a body that never ends is read no longer than it may be", async () => {
  let read = 0;
  const endless = () =>
    new Response(
      ReadableStream.from((async function* () {
        for (;;) {
          read += 65_536;
          yield new Uint8Array(65_536);
        }
      })()),
      { headers: { "content-type": "application/json" } },
    );
  const engine = new ScriptedEngine({ "/v1/models": endless });
  const { watch } = watchRig([NAMED], engine.http);
  await watch.look();
  assertEquals(watch.engines()[0].state, "foreign");
  assert(read < 2 * MAX_REPLY_BYTES);
  await watch.stop();
});

Deno.test("a key goes to its engine, and its absence is told by the variable's name", async () => {
  await using engine = await new OpenAiEngine({ key: "hunter2" }).start();
  const place = parseEngine(`${engine.url}#key-env=MY_KEY`);
  const without = watchRig([place]);
  await without.watch.look();
  await without.watch.stop();
  assertEquals(without.log.lines("warn"), [
    `The engine at ${engine.url} is not used: it does not take the key of MY_KEY. Is that variable ` +
    "set, and may it be read (--allow-env=MY_KEY)?",
  ]);
  const other = await new OpenAiEngine().start();
  const rig = watchRig([place, parseEngine(other.url)], undefined, { MY_KEY: "hunter2" });
  await rig.watch.look();
  await rig.watch.stop();
  await other.stop();
  assertEquals(rig.watch.models().length, 2);
  assert(other.requests.every(({ headers }) => headers.authorization === undefined));
  assert(
    !JSON.stringify([rig.watch.engines(), rig.told, rig.log.lines("info")]).includes("hunter2"),
  );
});

Deno.test("of two engines with a model, the one that has it in memory is asked first", async () => {
  const cold = new OllamaEngine({ models: [testModel("m:1", { loaded: false })] });
  await using here = await cold.start();
  await using warm = await new OpenAiEngine({ models: [testModel("m:1")] }).start();
  await using far = await new OpenAiEngine({ models: [testModel("m:1")] }).start();
  const { watch } = watchRig([
    parseEngine(`${far.url}#last-resort=true`),
    parseEngine(here.url),
    parseEngine(warm.url),
  ]);
  await watch.look();
  assertEquals(
    watch.find("m:1").map(({ description: { engine, loaded, lastResort } }) => [
      engine,
      loaded,
      lastResort,
    ]),
    [["vllm", true, false], ["ollama", false, false], ["vllm", true, true]],
  );
  assertEquals(watch.find("nothing"), []);
  await watch.stop();
});

Deno.test("an engine that refuses a call is gone at once, and back when it answers", async () => {
  await using engine = await new OpenAiEngine().start();
  const { watch, names, pass } = watchRig([parseEngine(engine.url)]);
  await watch.look();
  const [model] = watch.find("test-model");
  await engine.stop();
  const error = await model.ask({ path: "/v1/models" }).catch((thrown) => thrown);
  assertEquals(error.code, "UNAVAILABLE");
  assertEquals(names(), []);
  await watch.look();
  await engine.start();
  await pass(0);
  await watch.look();
  assertEquals(names(), ["test-model"]);
  await watch.stop();
});

Deno.test("stopping ends what is under way, and nothing is looked at again", async () => {
  const engine = new ScriptedEngine({ "/v1/models": SILENCE });
  const { watch, pass, told } = watchRig([NAMED], engine.http);
  const looking = watch.look();
  await pass(0);
  await watch.stop();
  await looking;
  await watch.look();
  await pass(60_000);
  assertEquals([engine.asked.length, told.length], [1, 0]);
  assert(engine.requests[0].signal.aborted);
});
