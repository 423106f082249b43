/**
 * exo from version 1: what it can be asked are the models of which it has an instance. It lists many
 * more, which it would have to be told to place first.
 */

import {
  capabilitiesOf,
  engineModel,
  exoInstances,
  guessedCapabilities,
  openAiModels,
} from "../answers.ts";
import type { EngineClient } from "../engine_client.ts";
import { type Probe, type Reading, told } from "./probe.ts";

/** See the top of the file. */
export class ExoProbe implements Probe {
  readonly kind = "exo";

  async look(client: EngineClient): Promise<Reading | undefined> {
    const instances = exoInstances((await client.own("/state")).value);
    const listed = openAiModels((await client.openAi("/models")).value);
    if (listed === undefined) return undefined;
    if (instances === undefined) {
      const note = "it is of a version before 1.0, which does not say what it has";
      return { version: null, models: [], note };
    }
    const placed = listed.filter(({ id }) => instances.has(id));
    return {
      version: null,
      models: told(placed.map(({ id, ...said }) =>
        engineModel({
          id,
          engine: "exo",
          loaded: true,
          sizeBytes: said.storage_size_megabytes
            ? said.storage_size_megabytes * 1024 * 1024
            : undefined,
          contextLength: said.context_length ?? undefined,
          quantization: said.quantization ?? undefined,
          capabilities: capabilitiesOf([...guessedCapabilities(id), ...said.capabilities ?? []]),
        })
      )),
    };
  }
}
