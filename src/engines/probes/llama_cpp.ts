/** llama.cpp's server: one question each time, and one more when it has another model. */

import {
  capabilitiesOf,
  engineModel,
  guessedCapabilities,
  guessedQuantization,
  isLoading,
  type LlamaProps,
  llamaProps,
  type OpenAiListed,
  openAiModels,
} from "../answers.ts";
import { NetworkError } from "../../base/errors.ts";
import type { EngineClient } from "../engine_client.ts";
import { type Probe, type Reading, told } from "./probe.ts";

/** See the top of the file. */
export class LlamaCppProbe implements Probe {
  readonly kind = "llama.cpp";
  #props: { of: string; said: LlamaProps } | undefined;

  async look(client: EngineClient): Promise<Reading | undefined> {
    const { value } = await client.openAi("/models");
    if (isLoading(value)) {
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `The engine at ${client.place.url} is not ready: it loads its model.`,
      );
    }
    const listed = openAiModels(value);
    if (listed === undefined) return undefined;
    // One that serves several says of each whether it is loaded, and has properties of none.
    const [only] = listed.length === 1 && !listed[0].status ? listed : [];
    if (only === undefined) this.#props = undefined;
    else if (this.#props?.of !== only.id) {
      const said = llamaProps((await client.own("/props")).value);
      this.#props = said && { of: only.id, said };
    }
    const props = this.#props?.said;
    return {
      version: props?.build_info?.slice(0, 64) ?? null,
      models: told(listed.map((one) => model(one, one === only ? props : undefined))),
    };
  }
}

function model({ id, meta, status, architecture }: OpenAiListed, props: LlamaProps | undefined) {
  // By default it calls its model by the path of its file, which is nobody's business.
  const name = /\.gguf$/i.test(id) ? id.replace(/^.*[/\\]/, "") : id;
  const modalities = architecture?.input_modalities ?? [];
  return engineModel({
    id,
    name,
    engine: "llama.cpp",
    loaded: status ? status.value === "loaded" : true,
    sizeBytes: meta?.size ?? undefined,
    parameters: meta?.n_params ?? undefined,
    // What it was started with, which may be less than what the model was made for.
    contextLength: props?.default_generation_settings?.n_ctx ?? meta?.n_ctx_train ?? undefined,
    quantization: guessedQuantization(name.replace(/\.gguf$/i, "")),
    capabilities: capabilitiesOf([
      ...guessedCapabilities(name),
      props?.modalities?.vision ? "vision" : undefined,
      modalities.includes("image") ? "vision" : undefined,
      props?.chat_template_caps?.supports_tools ? "tools" : undefined,
    ]),
  });
}
