/**
 * The official clients, unchanged, at each route, in front of each kind of engine, beside this node
 * and beside another one. What becomes of it is the tables of docs/MODELS.md: `deno task docs:models`
 * writes them anew.
 *
 * @module
 */

import { assert, assertEquals, AssertionError, assertMatch, assertRejects } from "@std/assert";
import type { EngineServer } from "../../support/engines/engine_server.ts";
import { OllamaEngine } from "../../support/engines/ollama_engine.ts";
import { OpenAiEngine } from "../../support/engines/open_ai_engine.ts";
import { embeddingModel, testModel } from "../../support/engines/test_model.ts";
import { ANTHROPIC_ROUTES } from "./conformance/anthropic_cases.ts";
import {
  type Case,
  type CaseContext,
  type EngineSide,
  type Outcome,
  type Route,
  type Row,
  tables,
} from "./conformance/case.ts";
import { ALIAS, ALIASED, LISTING_ROUTES } from "./conformance/listing_cases.ts";
import { OLLAMA_ROUTES } from "./conformance/ollama_cases.ts";
import { OPENAI_ROUTES } from "./conformance/openai_cases.ts";
import { ModelsRig, says } from "./models_rig.ts";

/** Names of nobody before the one that there is. */
const ALIASES = { [ALIAS]: ["gone", ALIASED], nothing: "gone" };
const ROUTES = [...OPENAI_ROUTES, ...ANTHROPIC_ROUTES, ...OLLAMA_ROUTES, ...LISTING_ROUTES];
const PAGE = new URL("../../../docs/MODELS.md", import.meta.url);
const [BEGIN, END] = ["<!-- conformance: begin -->\n", "<!-- conformance: end -->\n"];
const PLACES = ["here", "there"] as const;
const SIDES: EngineSide[] = ["openai", "ollama"];

/** One that each engine alone has, so that it is known who must answer. */
function modelsOf(name: string) {
  return [
    testModel(name, { capabilities: ["completion", "tools", "vision", "thinking"] }),
    embeddingModel(`${name}-embed`),
  ];
}

Deno.test("each route does for the official clients what the tables of docs/MODELS.md say", async (t) => {
  const engines: Record<string, EngineServer> = {};
  await using stack = new AsyncDisposableStack();
  for (const place of PLACES) {
    const options = { reply: says };
    const openai = new OpenAiEngine({ ...options, models: modelsOf(`openai-${place}`) });
    const ollama = new OllamaEngine({ ...options, models: modelsOf(`ollama-${place}:8b`) });
    engines[`openai ${place}`] = stack.use(await openai.start());
    engines[`ollama ${place}`] = stack.use(await ollama.start());
  }
  await using rig = await ModelsRig.start({
    here: SIDES.map((side) => engines[`${side} here`]),
    there: SIDES.map((side) => engines[`${side} there`]),
    models: 8,
    aliases: ALIASES,
  });
  const found: { route: Route; rows: Row[] }[] = [];
  for (const route of ROUTES) {
    const rows: Row[] = [];
    for (const one of route.cases) {
      await t.step(`${route.method} ${route.path}: ${one.feature} (${one.client})`, async () => {
        const outcomes = { openai: "", ollama: "" };
        for (const side of SIDES) {
          const [here, there] = [
            await outcomeAt(rig, route, one, side, "here", engines),
            await outcomeAt(rig, route, one, side, "there", engines),
          ];
          assertEquals(there, here, "the same, wherever the engine is");
          const note = one.note?.[side];
          outcomes[side] = note === undefined ? here : `${here}; ${note}`;
        }
        rows.push({ feature: one.feature, client: one.client, outcomes });
      });
    }
    found.push({ route, rows });
  }
  await t.step("the tables are those of docs/MODELS.md", async () => {
    const page = await Deno.readTextFile(PAGE);
    const [before, rest] = page.split(BEGIN);
    const [committed, after] = (rest ?? "").split(END);
    assert(after !== undefined, "the page has a place for them");
    const made = `\n${tables(found)}\n\n`;
    if (Deno.args.includes("--write")) {
      await Deno.writeTextFile(PAGE, `${before}${BEGIN}${made}${END}${after}`);
    } else assertEquals(committed, made, "run: deno task docs:models");
  });
});

/** Runs a case, and sees what became of it. */
async function outcomeAt(
  rig: ModelsRig,
  route: Route,
  one: Case,
  side: EngineSide,
  place: typeof PLACES[number],
  engines: Record<string, EngineServer>,
): Promise<Outcome> {
  const engine = engines[`${side} ${place}`];
  const name = side === "ollama" ? `ollama-${place}:8b` : `openai-${place}`;
  const before = engine.requests.length;
  const asked = () =>
    engine.requests.slice(before).findLast(({ isCall }) => isCall) ?? fail("no engine was asked");
  const context: CaseContext = {
    rig,
    side,
    model: name,
    embedder: `${name}-embed`,
    engine,
    asked,
  };
  const refused = one.refused?.[side];
  if (refused !== undefined) {
    const [told, why] = refused;
    const error = await assertRejects(() => one.run(context), Error);
    assertMatch(error.message, told);
    assertEquals(rig.answered?.status, 400);
    assertEquals(
      engine.requests.slice(before).filter(({ isCall }) => isCall),
      [],
      "no engine was asked",
    );
    return `– ${why}`;
  }
  await one.run(context);
  const last = engine.requests.slice(before).findLast(({ isCall }) => isCall);
  if (last === undefined) return "✓";
  const { headers } = rig.answered!;
  assertEquals(headers.get("x-hanzo-node"), place);
  assertEquals(headers.get("x-hanzo-model"), rig.sent.includes("-embed") ? context.embedder : name);
  assertMatch(headers.get("x-hanzo-task") ?? "", /^[0-9A-HJKMNP-TV-Z]{26}$/);
  if (last.path !== route.path) return "✓ translated";
  assertEquals(new TextDecoder().decode(last.bytes), rig.sent, "not a byte is changed");
  return "✓ untouched";
}

function fail(message: string): never {
  throw new AssertionError(message);
}
