/** Whether an engine has a path that others have not: asked when somebody wants to know, once. */

import { assertEquals } from "@std/assert";
import { knownPlace } from "../../src/engines/place.ts";
import { ScriptedEngine, SILENCE, watchRig } from "./rig.ts";

const MODELS = { object: "list", data: [{ id: "m", object: "model", owned_by: "vllm" }] };
const MISSES = () => Response.json({ error: { message: "model is required" } }, { status: 400 });

function engineWith(answers: Record<string, unknown>): ScriptedEngine {
  return new ScriptedEngine({ "/v1/models": MODELS, "/version": { version: "1" }, ...answers });
}

Deno.test("a path is there where something is missing in the question, else it is not", async () => {
  const cases: [unknown, boolean][] = [
    [MISSES, true],
    [() => Response.json({ detail: [] }, { status: 422 }), true],
    [undefined, false],
    [() => Response.json({ detail: "Method Not Allowed" }, { status: 405 }), false],
    // As LM Studio says that it has none.
    [{ error: "Unexpected endpoint or method. (POST /v1/messages)" }, false],
    [() => Response.json({ error: "?" }, { status: 401 }), false],
    [new Error("the connection ended"), false],
  ];
  for (const [answer, isThere] of cases) {
    const engine = engineWith({ "/v1/messages": answer });
    const { watch } = watchRig([knownPlace([8_000, "vllm"])], engine.http);
    await watch.look();
    assertEquals(engine.takeAsked().includes("POST /v1/messages"), false);
    const [found] = watch.find("m");
    assertEquals(await found.hasPath("/messages"), isThere);
    assertEquals(await found.hasPath("/responses"), false);
    await watch.stop();
  }
});

Deno.test("an engine that is full, starts or is locked has not said that it has no such path", async () => {
  for (const status of [401, 403, 408, 429, 503]) {
    const engine = engineWith({ "/v1/messages": () => Response.json({}, { status }) });
    const { watch } = watchRig([knownPlace([8_000, "vllm"])], engine.http);
    await watch.look();
    const [found] = watch.find("m");
    assertEquals(await found.hasPath("/messages"), false);
    engine.answers["/v1/messages"] = MISSES;

    assertEquals(await found.hasPath("/messages"), true, `${status}`);
    await watch.stop();
  }
});

Deno.test("it is asked once, and again after the engine was gone or gave no answer", async () => {
  const engine = engineWith({ "/v1/messages": MISSES, "/v1/responses": SILENCE });
  const { watch, clock } = watchRig([knownPlace([8_000, "vllm"])], engine.http);
  await watch.look();
  engine.takeAsked();
  const [found] = watch.find("m");
  assertEquals(
    await Promise.all([found.hasPath("/messages"), found.hasPath("/messages")]),
    [true, true],
  );
  assertEquals(engine.takeAsked(), ["POST /v1/messages"]);

  const silent = found.hasPath("/responses");
  await clock.advance(2_000);
  assertEquals(await silent, false);
  engine.answers["/v1/responses"] = MISSES;
  assertEquals(await found.hasPath("/responses"), true);

  engine.isGone = true;
  await watch.look();
  engine.isGone = false;
  engine.answers["/v1/messages"] = undefined;
  await watch.look();
  assertEquals(await watch.find("m")[0].hasPath("/messages"), false);
  await watch.stop();
});
