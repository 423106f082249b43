/** Engines that speak Anthropic's Messages and OpenAI's Responses themselves are asked in these. */

import Anthropic from "@anthropic-ai/sdk";
import { assertEquals, assertRejects } from "@std/assert";
import OpenAI from "openai";
import { OpenAiEngine } from "../../support/engines/open_ai_engine.ts";
import { testModel } from "../../support/engines/test_model.ts";
import { YoungerEngine } from "../../support/engines/younger_engine.ts";
import { ModelsRig } from "./models_rig.ts";

const asked = {
  model: "younger",
  max_tokens: 9,
  messages: [{ role: "user" as const, content: "hi" }],
};
const SAID = "its own words";

Deno.test("what a client says passes untouched where the engine has its path, on whichever device", async () => {
  for (const place of ["here", "there"] as const) {
    await using engine = await new YoungerEngine({ models: [testModel("younger")] }).start();
    await using rig = await ModelsRig.start({ [place]: [engine], models: 1 });
    const anthropic = rig.anthropic();
    const openai = rig.openai();

    const message = await anthropic.messages.create(asked);
    assertEquals([message.id, message.content[0]], ["msg_own", { type: "text", text: SAID }]);
    assertEquals(rig.answered?.headers.get("x-hanzo-node"), place);
    const stream = anthropic.messages.stream(asked);
    assertEquals(await stream.finalText(), SAID);
    const response = await openai.responses.create({ model: "younger", input: "hi" });
    assertEquals([response.id, response.output_text], ["resp_own", SAID]);
    let text = "";
    const pieces = await openai.responses.create({ model: "younger", input: "hi", stream: true });
    for await (const event of pieces) {
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    assertEquals(text, SAID);

    const sent = rig.sent;
    const last = engine.requests.at(-1)!;
    assertEquals([last.path, new TextDecoder().decode(last.bytes)], ["/v1/responses", sent]);
    // Each path was looked for once.
    assertEquals(engine.asked("/v1/messages").length, 3);
    assertEquals(engine.asked("/v1/responses").length, 3);
    assertEquals(engine.asked("/v1/chat/completions"), []);
  }
});

Deno.test("an engine that dies there before its first word is another one's turn; later it is an error", async () => {
  await using younger = await new YoungerEngine({ models: [testModel("younger")] }).start();
  await using older = await new OpenAiEngine({ models: [testModel("younger")] }).start();
  await using rig = await ModelsRig.start({ here: [younger], there: [older], models: 2 });
  for (const type of ["drop", "error"] as const) {
    younger.nextFaults.push({ type, afterTokens: 0 });
    older.nextFaults.length = 0;
    const first = await rig.anthropic().messages.stream(asked).finalText();
    assertEquals([SAID, "You said: hi"].includes(first), true, first);
  }
  older.nextFaults.length = younger.nextFaults.length = 0;
  await older.stop();
  for (const type of ["drop", "error"] as const) {
    younger.nextFaults.push({ type, afterTokens: 2 });
    await assertRejects(
      () => rig.anthropic().messages.stream(asked).finalText(),
      Anthropic.APIError,
    );
    younger.nextFaults.push({ type, afterTokens: 2 });
    await assertRejects(async () => {
      const pieces = await rig.openai().responses.create({
        model: "younger",
        input: "hi",
        stream: true,
      });
      for await (const event of pieces) if (event.type === "error") throw new Error(event.message);
    }, Error);
  }
});

Deno.test("what an engine is to remember is refused: the next request may go elsewhere", async () => {
  await using engine = await new YoungerEngine({ models: [testModel("younger")] }).start();
  await using rig = await ModelsRig.start({ here: [engine], models: 1 });
  await assertRejects(
    () =>
      rig.openai().responses.create({
        model: "younger",
        input: "and then?",
        previous_response_id: "resp_own",
      }),
    OpenAI.BadRequestError,
    "Send the whole conversation as input",
  );
});
