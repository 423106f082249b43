/** vLLM, Jan, and every other server that speaks OpenAI's protocol. */

import {
  capabilitiesOf,
  engineModel,
  guessedCapabilities,
  type OpenAiListed,
  openAiModels,
  versionOf,
} from "../answers.ts";
import type { EngineClient } from "../engine_client.ts";
import type { EngineKind } from "../model.ts";
import { type Probe, type Reading, told } from "./probe.ts";

/** See the top of the file. */
export class OpenAiProbe implements Probe {
  readonly kind: EngineKind;
  #version: string | null | undefined;

  constructor(kind: "vllm" | "jan" | "openai") {
    this.kind = kind;
  }

  async look(client: EngineClient): Promise<Reading | undefined> {
    const listed = openAiModels((await client.openAi("/models")).value);
    if (listed === undefined) return undefined;
    if (this.#version === undefined) {
      // Nobody else has this path; one question more is not to keep its models from being known.
      this.#version = this.kind === "vllm"
        ? versionOf((await client.own("/version")).value) ?? null
        : null;
    }
    return {
      version: this.#version,
      models: told(listed.map((one) => this.#model(one))),
    };
  }

  #model({ id, architecture, supported_parameters, ...said }: OpenAiListed) {
    return engineModel({
      id,
      engine: this.kind,
      // Jan lists what is on the disk, and loads what it is asked. Others serve what they list.
      loaded: this.kind !== "jan",
      contextLength: said.max_model_len ?? said.context_length ?? said.context_window ??
        said.max_input_tokens ?? undefined,
      capabilities: capabilitiesOf([
        ...guessedCapabilities(id),
        architecture?.input_modalities?.includes("image") ? "vision" : undefined,
        supported_parameters?.includes("tools") ? "tools" : undefined,
      ]),
    });
  }
}
