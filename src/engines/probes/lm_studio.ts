/** LM Studio: one question to its own API; to OpenAI's where it is too old for that. */

import {
  capabilitiesOf,
  engineModel,
  guessedCapabilities,
  type LmStudioListed,
  lmStudioModels,
  openAiModels,
} from "../answers.ts";
import type { EngineClient } from "../engine_client.ts";
import { type Probe, type Reading, told } from "./probe.ts";

/** See the top of the file. */
export class LmStudioProbe implements Probe {
  readonly kind = "lm-studio";

  async look(client: EngineClient): Promise<Reading | undefined> {
    const own = lmStudioModels((await client.own("/api/v0/models")).value);
    if (own !== undefined) return { version: null, models: told(own.map(model)) };
    const listed = openAiModels((await client.openAi("/models")).value);
    return listed && {
      version: null,
      models: told(listed.map(({ id }) =>
        engineModel({
          id,
          engine: "lm-studio",
          // What is on the disk is listed, too, and loaded when it is asked.
          loaded: false,
          capabilities: guessedCapabilities(id),
        })
      )),
    };
  }
}

function model({ id, type, state, quantization, capabilities, ...lengths }: LmStudioListed) {
  const loaded = state === "loaded";
  return engineModel({
    id,
    engine: "lm-studio",
    loaded,
    // It is loaded with a shorter one than it could have.
    contextLength: (loaded ? lengths.loaded_context_length : undefined) ??
      lengths.max_context_length ?? undefined,
    quantization: quantization ?? undefined,
    capabilities: type === "embeddings"
      ? ["embeddings"]
      : capabilitiesOf(["chat", type === "vlm" && "vision", ...capabilities ?? []]),
  });
}
