/** Ollama: two short questions each time, and one for each model that was not there before. */

import {
  capabilitiesOf,
  countOf,
  type EngineModel,
  engineModel,
  guessedCapabilities,
  type OllamaListed,
  ollamaModels,
  type OllamaShown,
  ollamaShown,
  versionOf,
} from "../answers.ts";
import type { EngineClient } from "../engine_client.ts";
import type { ModelCapability } from "../model.ts";
import { type Probe, type Reading, told } from "./probe.ts";

/** So many models are asked after at a look, and so many at a time: an Ollama may have hundreds. */
const SHOWN_AT_A_LOOK = 32;
const SHOWN_AT_A_TIME = 4;

/** See the top of the file. */
export class OllamaProbe implements Probe {
  readonly kind = "ollama";
  #version: string | null = null;
  /** What `/api/show` said, by the digest of what it was said of; empty where it failed. */
  #shown = new Map<string, OllamaShown>();

  async look(client: EngineClient): Promise<Reading | undefined> {
    if (this.#version === null) {
      const version = versionOf((await client.own("/api/version")).value);
      if (version === undefined) return undefined;
      this.#version = version;
    }
    const listed = ollamaModels((await client.own("/api/tags")).value);
    if (listed === undefined) return undefined;
    const running = ollamaModels((await client.own("/api/ps")).value) ?? [];
    const loaded = new Map(running.map((one) => [one.name, one]));
    // These are names for models of a company's: what is said to them leaves the machine, and
    // nobody has asked for that.
    const own = listed.filter((one) => !one.remote_host && !/[:-]cloud$/.test(one.name));
    const digests = new Set(own.map(digestOf));
    for (const digest of this.#shown.keys()) if (!digests.has(digest)) this.#shown.delete(digest);
    const unknown = own.filter((one) => !this.#shown.has(digestOf(one)));
    await this.#show(client, unknown.slice(0, SHOWN_AT_A_LOOK));
    const left = listed.length - own.length;
    return {
      version: this.#version,
      models: told(own.map((one) => this.#model(one, loaded.get(one.name)))),
      isPartial: unknown.length > SHOWN_AT_A_LOOK,
      ...(left > 0 && { note: `${left} of its models run in the cloud and are left out` }),
    };
  }

  async #show(client: EngineClient, models: readonly OllamaListed[]): Promise<void> {
    const waiting = models.values();
    await Promise.all(Array.from({ length: SHOWN_AT_A_TIME }, async () => {
      for (const model of waiting) {
        const { value } = await client.own("/api/show", { model: model.name });
        this.#shown.set(digestOf(model), ollamaShown(value));
      }
    }));
  }

  /** @param running The same as it is in memory, if it is. */
  #model(listed: OllamaListed, running: OllamaListed | undefined): EngineModel | undefined {
    const { name, size, details } = listed;
    const shown = this.#shown.get(digestOf(listed)) ?? {};
    const info = shown.model_info ?? {};
    const family = info["general.architecture"];
    return engineModel({
      id: name,
      engine: "ollama",
      loaded: running !== undefined,
      sizeBytes: size ?? undefined,
      parameters: countIn(info["general.parameter_count"]) ??
        countOf(details?.parameter_size ?? shown.details?.parameter_size),
      // It is loaded with a shorter one than it could have, and what is too long for it is cut off
      // without a word.
      contextLength: running?.context_length ?? countIn(info[`${family}.context_length`]),
      quantization: details?.quantization_level ?? shown.details?.quantization_level ?? undefined,
      capabilities: capabilities(listed, shown),
    });
  }
}

/** A model that is pulled anew has another one; versions before 0.1 had none. */
function digestOf({ name, digest }: OllamaListed): string {
  return digest ? `${digest} ${name}` : name;
}

/** Versions before 0.6 do not say what a model can do; its families do. */
function capabilities(listed: OllamaListed, shown: OllamaShown): ModelCapability[] {
  const said = shown.capabilities ?? listed.capabilities;
  if (said) return capabilitiesOf(said);
  const { family, families } = listed.details ?? {};
  const all = [family ?? "", ...families ?? []];
  if (all.some((one) => one.includes("bert"))) return ["embeddings"];
  const sees = all.some((one) => /clip|mllama/.test(one));
  const guessed = guessedCapabilities(listed.name);
  return sees ? [...guessed, "vision"] : guessed;
}

function countIn(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : undefined;
}
