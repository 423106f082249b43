/** What it is that answers at a place: an engine of some kind, or something else. */

import { isLoading, lmStudioModels, openAiModels, versionOf } from "./answers.ts";
import type { EngineClient, EngineReply } from "./engine_client.ts";
import type { EngineKind } from "./model.ts";
import { ExoProbe } from "./probes/exo.ts";
import { LlamaCppProbe } from "./probes/llama_cpp.ts";
import { LmStudioProbe } from "./probes/lm_studio.ts";
import { OllamaProbe } from "./probes/ollama.ts";
import { OpenAiProbe } from "./probes/open_ai.ts";
import type { Probe } from "./probes/probe.ts";

/** What answers. */
export type Identified =
  | { readonly type: "engine"; readonly probe: Probe }
  /** It may be one, and says nothing without a key, or not with this one. */
  | { readonly type: "locked" }
  /** It loads its model. */
  | { readonly type: "loading" }
  /** It is something else; `reason` says what it answered. */
  | { readonly type: "foreign"; readonly reason: string };

/** By what servers call the owner of their models. */
const BY_OWNER: Readonly<Record<string, EngineKind>> = {
  "llamacpp": "llama.cpp",
  "vllm": "vllm",
  "exo": "exo",
  "library": "ollama",
  "organization_owner": "lm-studio",
};
/** A node of this program is not asked by another one: that would go round in circles. */
const OWN_SERVER = /^hanzo-network\b/i;
const OWN: Identified = { type: "foreign", reason: "it is a node of a network" };

/**
 * Asks what it is: first as what usually is there, then as OpenAI's protocol has it, which all
 * engines speak. Something else is asked twice at most.
 */
export async function identify(client: EngineClient): Promise<Identified> {
  const { usual } = client.place;
  if (usual === "ollama") {
    const { server, value } = await client.own("/api/version");
    if (OWN_SERVER.test(server)) return OWN;
    if (versionOf(value) !== undefined) return engine("ollama");
  }
  // It answers 200 to a path that it does not have.
  if (usual === "lm-studio" && lmStudioModels((await client.own("/api/v0/models")).value)) {
    return engine("lm-studio");
  }
  const reply = await client.openAi("/models");
  const listed = openAiModels(reply.value);
  if (listed === undefined) return notListed(reply);
  if (OWN_SERVER.test(reply.server)) return OWN;
  const owner = listed.find(({ owned_by }) => owned_by)?.owned_by ?? "";
  const kind = Object.hasOwn(BY_OWNER, owner) ? BY_OWNER[owner] : undefined;
  if (kind !== undefined) return engine(kind);
  // An Ollama without models, or with those of somebody else, names no owner that is known.
  if (!client.place.lastResort && usual !== "ollama" && await isOllama(client)) {
    return engine("ollama");
  }
  return engine(usual === "jan" ? "jan" : "openai");
}

async function isOllama(client: EngineClient): Promise<boolean> {
  return versionOf((await client.own("/api/version")).value) !== undefined;
}

function notListed({ status, value }: EngineReply): Identified {
  if (status === 401 || status === 403) return { type: "locked" };
  if (isLoading(value)) return { type: "loading" };
  return { type: "foreign", reason: `it answered ${status} to the question for its models` };
}

function engine(kind: EngineKind): Identified {
  return { type: "engine", probe: probeOf(kind) };
}

function probeOf(kind: EngineKind): Probe {
  switch (kind) {
    case "ollama":
      return new OllamaProbe();
    case "lm-studio":
      return new LmStudioProbe();
    case "llama.cpp":
      return new LlamaCppProbe();
    case "exo":
      return new ExoProbe();
    default:
      return new OpenAiProbe(kind);
  }
}
