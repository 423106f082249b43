/** The models that routers ask. */

import { assertEquals, assertRejects } from "@std/assert";
import type { ModelRequest } from "../../../src/agents/models/model.ts";
import { RouterModels } from "../../../src/agents/networks/router_models.ts";
import { ScriptedModel } from "../models/scripted_model.ts";

const messages: ModelRequest["messages"] = [{ role: "user", content: "Who?" }];

Deno.test("what a router's models take is added up, whether their servers tell it or not", async () => {
  const told = { text: "a", usage: { inputTokens: 7, outputTokens: 2 } };
  const scripted = new ScriptedModel(told, "b", told);
  const names: unknown[] = [];
  const models = new RouterModels((name) => {
    names.push(name);
    return scripted;
  });
  assertEquals(models.usage, undefined);
  const find = models.within(new AbortController().signal);
  assertEquals(find("llama3.2").name, "scripted");
  for (let i = 0; i < 3; i++) await find().generate({ messages });
  assertEquals(names, ["llama3.2", undefined, undefined, undefined]);
  assertEquals(models.usage, { inputTokens: 14, outputTokens: 4, modelCalls: 3 });
});

Deno.test("a model that a router has asked is stopped when the choice is over, or the router says so", async () => {
  for (const who of ["choice", "router"]) {
    const [choice, router] = [new AbortController(), new AbortController()];
    const scripted = new ScriptedModel(({ signal }) =>
      new Promise((_, reject) => signal!.addEventListener("abort", () => reject(signal!.reason)))
    );
    const model = new RouterModels(() => scripted).within(choice.signal)();
    const asked = assertRejects(
      () => model.generate({ messages, signal: router.signal }),
      Error,
      "enough",
    );
    (who === "choice" ? choice : router).abort(new Error("enough"));
    await asked;
  }
});
