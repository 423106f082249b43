/** Engines that die, stall, break off and talk nonsense, as the official clients see it. */

import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import Anthropic from "@anthropic-ai/sdk";
import { streamText } from "ai";
import OpenAI from "openai";
import { ENGINE_LIMITS } from "../../../src/engines/engine_call.ts";
import type { EngineFault, EngineServer, Exchange } from "../../support/engines/engine_server.ts";
import { OllamaEngine } from "../../support/engines/ollama_engine.ts";
import { OpenAiEngine } from "../../support/engines/open_ai_engine.ts";
import { testModel } from "../../support/engines/test_model.ts";
import { eventually } from "../../support/eventually.ts";
import { soon } from "../../support/soon.ts";
import type { EngineSide } from "./conformance/case.ts";
import { ModelsRig, says } from "./models_rig.ts";

const SAID = "one two three four";
const HEARD = `You said: ${SAID}`;
const messages = [{ role: "user" as const, content: SAID }];

/** A client that asks for a stream, and adds what it is told to `heard`. */
type Streaming = (rig: ModelsRig, model: string, heard: string[]) => Promise<void>;

const STREAMS: Record<string, Streaming> = {
  async "openai chat"(rig, model, heard) {
    const { chat } = rig.openai();
    for await (
      const { choices } of await chat.completions.create({ model, messages, stream: true })
    ) {
      heard.push(choices[0]?.delta.content ?? "");
    }
  },
  async "openai completions"(rig, model, heard) {
    const asked = { model, prompt: SAID, stream: true as const };
    for await (const { choices } of await rig.openai().completions.create(asked)) {
      heard.push(choices[0]?.text ?? "");
    }
  },
  async "openai responses"(rig, model, heard) {
    const asked = { model, input: SAID, stream: true as const };
    const events = await rig.openai().responses.create(asked);
    let failed: OpenAI.Responses.Response | undefined;
    try {
      for await (const event of events) {
        if (event.type === "response.output_text.delta") heard.push(event.delta);
        if (event.type === "response.failed") failed = event.response;
      }
    } catch (thrown) {
      // Told twice: as the end of the response, and as an error that the client throws.
      assertStringIncludes((thrown as Error).message, `${failed?.error?.message}`);
      const item = failed?.output.at(-1);
      const part = item?.type === "message" ? item.content[0] : undefined;
      assertEquals(part?.type === "output_text" && part.text, heard.join(""));
      throw thrown;
    }
  },
  async anthropic(rig, model, heard) {
    await rig.anthropic().messages.stream({ model, max_tokens: 99, messages })
      .on("text", (text) => heard.push(text)).finalMessage();
  },
  async "ollama chat"(rig, model, heard) {
    for await (const { message } of await rig.ollama().chat({ model, messages, stream: true })) {
      heard.push(message.content);
    }
  },
  async "ollama generate"(rig, model, heard) {
    const asked = { model, prompt: SAID, stream: true as const };
    for await (const { response } of await rig.ollama().generate(asked)) heard.push(response ?? "");
  },
  async ai(rig, model, heard) {
    let failure: unknown;
    const { textStream } = streamText({
      model: rig.ai()(model),
      prompt: SAID,
      maxRetries: 0,
      onError: ({ error }) => void (failure = error),
    });
    for await (const text of textStream) heard.push(text);
    if (failure !== undefined) throw failure instanceof Error ? failure : new Error(`${failure}`);
  },
};

/** A client that asks for a whole answer. */
const WHOLE: Record<string, (rig: ModelsRig, model: string) => Promise<string | null>> = {
  "openai chat": async (rig, model) =>
    (await rig.openai().chat.completions.create({ model, messages })).choices[0].message.content,
  "openai responses": async (rig, model) =>
    (await rig.openai().responses.create({ model, input: SAID })).output_text,
  anthropic: async (rig, model) => {
    const { content: [block] } = await rig.anthropic().messages.create({
      model,
      max_tokens: 99,
      messages,
    });
    return block.type === "text" ? block.text : block.type;
  },
  "ollama chat": async (rig, model) =>
    (await rig.ollama().chat({ model, messages })).message.content,
};

/** Each of these before anything was said. */
const AT_ONCE: Record<string, EngineFault> = {
  "the connection ends": { type: "drop", afterTokens: 0 },
  "it refuses with 500": { type: "fail" },
  "it refuses with 200, as LM Studio does": { type: "fail", status: 200 },
  "it is full (429)": { type: "full", status: 429, retryAfterSeconds: 3 },
  "it is full (503)": { type: "full", status: 503 },
  "it tells an error": { type: "error", afterTokens: 0 },
  "it talks nonsense": { type: "malformed", afterTokens: 0 },
};
/** Each of these in the middle. */
const LATER: Record<string, EngineFault> = {
  "the connection ends": { type: "drop", afterTokens: 3 },
  "it tells an error": { type: "error", afterTokens: 3 },
  "it talks nonsense": { type: "malformed", afterTokens: 3 },
  "it stalls": { type: "stall", afterTokens: 3 },
};

/** Two engines of each kind with the same models, one beside each node. */
class Twins implements AsyncDisposable {
  readonly rig: ModelsRig;
  /** What goes wrong, and where: with whoever is asked first, as the nodes are as good. */
  readonly failing: Failing;
  readonly #names: Record<EngineSide, string[]>;
  readonly #engines: Record<EngineSide, readonly EngineServer[]>;

  private constructor(
    parts: Pick<Twins, "rig" | "failing">,
    names: Record<EngineSide, string[]>,
    engines: Record<EngineSide, readonly EngineServer[]>,
  ) {
    this.rig = parts.rig;
    this.failing = parts.failing;
    this.#names = names;
    this.#engines = engines;
  }

  static async start(count: number): Promise<Twins> {
    const names = {
      openai: Array.from({ length: count }, (_, i) => `vllm-${i}`),
      ollama: Array.from({ length: count }, (_, i) => `ollama-${i}:8b`),
    };
    const failing: Failing = { fault: undefined, engine: undefined };
    const faultOf = (engine: EngineServer) => {
      if (failing.fault !== undefined) failing.engine ??= engine;
      return failing.engine === engine ? failing.fault : undefined;
    };
    const options = { reply: says, faultOf };
    const models = (given: string[]) => given.map((name) => testModel(name));
    const newOpenAi = () => new OpenAiEngine({ ...options, models: models(names.openai) }).start();
    const newOllama = () => new OllamaEngine({ ...options, models: models(names.ollama) }).start();
    const engines = {
      openai: [await newOpenAi(), await newOpenAi()],
      ollama: [await newOllama(), await newOllama()],
    };
    const rig = await ModelsRig.start({
      here: [engines.openai[0], engines.ollama[0]],
      there: [engines.openai[1], engines.ollama[1]],
      models: 4 * count,
    });
    return new Twins({ rig, failing }, names, engines);
  }

  /** A model that nobody has been asked for. The engine that is asked first has this fault. */
  fresh(kind: EngineSide, fault: EngineFault): string {
    Object.assign(this.failing, { fault, engine: undefined });
    return this.#names[kind].pop()!;
  }

  /** One has failed, and the answer is of the other. */
  checkServedByOther(kind: EngineSide): void {
    const failed = this.#engines[kind].findIndex((engine) => engine === this.failing.engine);
    assertEquals(this.rig.answered?.headers.get("x-hanzo-node"), { 0: "there", 1: "here" }[failed]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rig[Symbol.asyncDispose]();
    for (const engine of Object.values(this.#engines).flat()) await engine.stop();
  }
}

interface Failing {
  fault: EngineFault | undefined;
  engine: EngineServer | undefined;
}

const KINDS: readonly EngineSide[] = ["openai", "ollama"];

Deno.test("of an engine that dies before its first token the client notices nothing", async (t) => {
  for (const kind of KINDS) {
    // No more than may be asked again at once: see RetryBudget.
    await using twins = await Twins.start(20);
    const { rig } = twins;
    for (const [what, fault] of Object.entries(AT_ONCE)) {
      const names = what === "the connection ends"
        ? Object.keys(STREAMS)
        : ["openai chat", "anthropic"];
      for (const name of names) {
        await t.step(`${kind}: ${what}: ${name}, streamed`, async () => {
          const model = twins.fresh(kind, fault);
          const heard: string[] = [];
          await STREAMS[name](rig, model, heard);
          assertEquals(heard.join(""), HEARD);
          twins.checkServedByOther(kind);
        });
      }
    }
  }
});

Deno.test("of an engine that breaks off a whole answer the client notices nothing", async (t) => {
  for (const kind of KINDS) {
    await using twins = await Twins.start(9);
    const { rig } = twins;
    for (const [name, ask] of Object.entries(WHOLE)) {
      // Whatever it had said, nobody was told.
      await t.step(`${kind}: it breaks off: ${name}, whole`, async () => {
        const model = twins.fresh(kind, { type: "drop", afterTokens: 3 });
        assertEquals(await ask(rig, model), HEARD);
        twins.checkServedByOther(kind);
      });
    }
    for (const name of ["openai chat", "anthropic"]) {
      await t.step(`${kind}: it talks nonsense: ${name}, whole`, async () => {
        const model = twins.fresh(kind, { type: "malformed", afterTokens: 0, text: "{}" });
        assertEquals(await WHOLE[name](rig, model), HEARD);
        twins.checkServedByOther(kind);
      });
      await t.step(`${kind}: it refuses with 200: ${name}, whole`, async () => {
        const model = twins.fresh(kind, { type: "fail", status: 200 });
        assertEquals(await WHOLE[name](rig, model), HEARD);
        twins.checkServedByOther(kind);
      });
    }
    await t.step(`${kind}: it says nothing for too long`, async () => {
      const model = twins.fresh(kind, { type: "stall", afterTokens: 0 });
      const heard: string[] = [];
      const asked = STREAMS["openai chat"](rig, model, heard);
      await eventually(() => twins.failing.engine, { what: "the call" });
      await eventually(() => rig.clock.ring(ENGINE_LIMITS.firstByteMs), { what: "the limit" });
      await asked;
      assertEquals(heard.join(""), HEARD);
      twins.checkServedByOther(kind);
    });
  }
});

Deno.test("of an engine that nobody finds any more the client notices nothing", async () => {
  const models = [testModel("m")];
  await using here = await new OpenAiEngine({ models, reply: says }).start();
  await using there = await new OpenAiEngine({ models, reply: says }).start();
  await using rig = await ModelsRig.start({ here: [here], there: [there], models: 2 });
  await here.stop();
  for (let i = 0; i < 4; i++) {
    const heard: string[] = [];
    await STREAMS["openai chat"](rig, "m", heard);
    assertEquals(heard.join(""), HEARD);
    assertEquals(rig.answered?.headers.get("x-hanzo-node"), "there");
  }
});

/** It knows no streams: whatever is asked is answered whole. */
class WholeEngine extends OpenAiEngine {
  protected override async answer(exchange: Exchange): Promise<void> {
    if (exchange.recorded.body !== undefined) exchange.recorded.body.stream = false;
    await super.answer(exchange);
  }
}

Deno.test("an engine that gives a whole answer for a stream is understood all the same", async (t) => {
  await using engine = await new WholeEngine({ models: [testModel("m")], reply: says }).start();
  await using rig = await ModelsRig.start({ there: [engine], models: 1 });
  for (const name of ["openai chat", "openai responses", "anthropic", "ollama chat"]) {
    await t.step(name, async () => {
      const heard: string[] = [];
      await STREAMS[name](rig, "m", heard);
      assertEquals(heard.join(""), HEARD);
    });
  }
});

Deno.test("an engine that was started anew is asked at once, whatever connections were kept", async () => {
  await using engine = await new OpenAiEngine({ models: [testModel("m")], reply: says }).start();
  await using rig = await ModelsRig.start({ here: [engine], models: 1 });
  for (let i = 0; i < 3; i++) {
    assertEquals(await WHOLE["openai chat"](rig, "m"), HEARD);
    await engine.stop();
    await engine.start();
  }
});

Deno.test("an engine that fails in the middle of a stream is told as an error, and nothing hangs", async (t) => {
  const names = Array.from({ length: 60 }, (_, i) => `m-${i}:8b`);
  const models = names.map((name) => testModel(name));
  await using openai = await new OpenAiEngine({ models: models.slice(0, 30), reply: says }).start();
  await using ollama = await new OllamaEngine({ models: models.slice(30), reply: says }).start();
  await using rig = await ModelsRig.start({ there: [openai, ollama], models: 60 });
  for (const [kind, engine, own] of [["openai", openai, 0], ["ollama", ollama, 30]] as const) {
    let next = own;
    for (const [what, fault] of Object.entries(LATER)) {
      for (const [name, ask] of Object.entries(STREAMS)) {
        await t.step(`${kind}: ${what}: ${name}`, async () => {
          const before = engine.requests.length;
          engine.nextFaults.push(fault);
          const heard: string[] = [];
          const asked = ask(rig, names[next++], heard);
          const failure = soon(assertRejects(() => asked, Error), "the client's error");
          if (fault.type === "stall") {
            await eventually(() => heard.join("").endsWith("one"), { what: "what was said" });
            await eventually(() => rig.clock.ring(ENGINE_LIMITS.idleMs), { what: "the limit" });
          }
          const { message } = await failure;
          assertEquals(heard.join(""), "You said: one");
          const told = {
            drop: /broke off|ended in the middle/,
            error: /the model has crashed/,
            malformed: /in the place of a piece/,
            stall: /it has fallen silent/,
          }[fault.type as "drop"];
          assertMatch(message, told);
          assertEquals(
            engine.requests.slice(before).filter(({ isCall }) => isCall).length,
            1,
            "asked once",
          );
          assertEquals(
            message.includes(`${engine.port}`),
            false,
            "where it is, is nobody's business",
          );
        });
      }
    }
  }
});

Deno.test("an engine that refuses is told in the client's own words", async (t) => {
  const names = Array.from({ length: 12 }, (_, i) => `m-${i}`);
  await using engine = await new OpenAiEngine({ models: names.map((name) => testModel(name)) })
    .start();
  await using rig = await ModelsRig.start({ there: [engine], models: 12 });

  await t.step("it is full: when to come again", async () => {
    engine.fault = { type: "full", status: 429, retryAfterSeconds: 7 };
    const error = await assertRejects(
      () => WHOLE["openai chat"](rig, names[0]),
      OpenAI.RateLimitError,
      "Rate limit reached",
    );
    assertEquals(error.headers.get("retry-after"), "7");
    const other = await assertRejects(
      () => WHOLE.anthropic(rig, names[1]),
      Anthropic.InternalServerError,
    );
    assertEquals([other.status, other.headers.get("retry-after")], [529, "7"]);
    assertEquals((other.error as { error: { type: string } }).error.type, "overloaded_error");
    await assertRejects(() => WHOLE["ollama chat"](rig, names[2]), Error, "Rate limit reached");
    assertEquals(rig.answered?.status, 429);
  });

  await t.step("it is broken: what it says", async () => {
    engine.fault = { type: "fail", message: "CUDA error: out of memory" };
    for (const ask of [WHOLE["openai chat"], WHOLE["openai responses"], WHOLE.anthropic]) {
      const error = await assertRejects(() => ask(rig, names[3]), Error, "CUDA error");
      assertEquals((error as Error & { status: number }).status, 503);
    }
    const heard: string[] = [];
    await assertRejects(() => STREAMS["ollama chat"](rig, names[4], heard), Error, "CUDA error");
    assertEquals([rig.answered?.status, heard], [503, []]);
  });

  await t.step(
    "the request is wrong: it is asked once, and its words are the client's",
    async () => {
      const message = "This model's maximum context length is 4096 tokens.";
      engine.fault = { type: "fail", status: 400, message };
      const before = engine.requests.length;
      const error = await assertRejects(
        () => WHOLE["openai chat"](rig, names[5]),
        OpenAI.BadRequestError,
        message,
      );
      // In the engine's own form.
      assertEquals(error.type, "server_error");
      const other = await assertRejects(
        () => WHOLE.anthropic(rig, names[5]),
        Anthropic.BadRequestError,
      );
      assertStringIncludes(other.message, message);
      assertEquals(
        (other.error as { error: { type: string } }).error.type,
        "invalid_request_error",
      );
      await assertRejects(() => STREAMS["ollama chat"](rig, names[5], []), Error, message);
      assertEquals(engine.requests.slice(before).filter(({ isCall }) => isCall).length, 3);
    },
  );

  await t.step("its key is wrong: it is not the client's key that is", async () => {
    engine.fault = { type: "fail", status: 401, message: "Incorrect API key provided" };
    const error = await assertRejects(() => WHOLE["openai chat"](rig, names[6]), OpenAI.APIError);
    assertEquals(error.status, 503);
    // What engines say of keys may have one in it.
    assertEquals(error.message.includes("Incorrect API key"), false);
    await assertRejects(() => WHOLE.anthropic(rig, names[7]), Anthropic.InternalServerError);
    const own = { type: "fail", status: 403, message: "Not in your country" } as const;
    engine.fault = own;
    await assertRejects(() => WHOLE["openai chat"](rig, names[8]), OpenAI.InternalServerError);
  });
});
