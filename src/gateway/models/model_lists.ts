/** Which models there are, as each API lists them. */

import { NetworkError } from "../../base/errors.ts";
import { named } from "../../base/named.ts";
import {
  type ListedModel,
  listedModel,
  modelList,
  ollamaPs,
  ollamaShow,
  ollamaTags,
  ollamaVersion,
} from "../../dialects/listings.ts";
import type { NetworkModel } from "../../network/catalog.ts";
import type { DistributedNetwork } from "../../network/distributed_network.ts";
import type { ModelAlias } from "../../network/models/model_names.ts";
import type { JsonBodies } from "../json_bodies.ts";
import { readModelRequest } from "./model_request.ts";
import type { HttpAnswer, HttpRequest } from "../http/service.ts";
import { dialectFor, noPathIn, refusalIn } from "./model_response.ts";

/** What the lists are made of. */
export interface ListingNeeds {
  readonly network: DistributedNetwork;
  readonly bodies: JsonBodies;
}

/**
 * What clients are told as Ollama's version: one that has all that is answered here. Some ask
 * before they use tools or embeddings.
 */
const OLLAMA_VERSION = "0.13.0";
/** In OpenAI's API a model has a time of its making; engines say none. */
const SINCE = Date.UTC(2024, 0, 1);

/**
 * By this a node that looks for engines knows that this is none, though it answers like one: calls
 * would go round in circles.
 */
const NO_ENGINE = { headers: { server: "hanzo-network" } };

/** Answers what is no call of a model. */
export function listings(
  { network, bodies }: ListingNeeds,
): (request: HttpRequest, method: string) => Promise<HttpAnswer> {
  const options = { at: SINCE };
  const all = () => withAliases(network.models().map(listed), network.modelAliases());
  const find = (name: unknown) => {
    // What is on the list is told as it is there; of other names the model that a call would get.
    const found = all().find((model) => model.name === name);
    if (found !== undefined) return found;
    const [meant] = typeof name === "string" ? network.modelsMeant(name) : [];
    const model = network.models().find((one) => one.name === meant);
    if (model !== undefined) return listed(model);
    const names = named(network.models().map((model) => model.name));
    throw new NetworkError(
      "NOT_FOUND",
      `Cannot show model ${JSON.stringify(name ?? "")}: no device of the network has it. ` +
        (names === "" ? "None has any." : `There are: ${names}.`),
    );
  };
  return async (request, method) => {
    const { pathname } = request.url;
    const dialect = dialectFor(request);
    try {
      switch (`${method} ${pathname}`) {
        case "GET /v1/models":
          return Response.json(modelList(all(), options), NO_ENGINE);
        case "GET /api/tags":
          return Response.json(ollamaTags(all(), options));
        case "GET /api/ps":
          return Response.json(ollamaPs(network.models().map(listed), { now: Date.now() }));
        case "GET /api/version":
          return Response.json(ollamaVersion(OLLAMA_VERSION), NO_ENGINE);
        case "POST /api/show": {
          const { body } = await readModelRequest(bodies, request);
          return Response.json(ollamaShow(find(body.model ?? body.name), options));
        }
      }
      const [, name] = /^\/v1\/models\/(.+)$/.exec(pathname) ?? [];
      if (name !== undefined && method === "GET") {
        return Response.json(listedModel(find(decoded(name)), options));
      }
      return noPathIn(
        dialect,
        `There is no ${method} ${pathname} here.` +
          (pathname.startsWith("/api/")
            ? " Models are fetched, made and deleted at the engine that runs them."
            : ""),
      );
    } catch (thrown) {
      return refusalIn(dialect, NetworkError.from(thrown));
    }
  };
}

/** A part of a path; what is badly encoded is the name of nothing, and stays as it is. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * With the other names that this node has for them: clients let people choose from the list. One
 * that is the name of a model, too, is what is answered by it.
 */
function withAliases(models: ListedModel[], aliases: readonly ModelAlias[]): ListedModel[] {
  const byName = new Map(models.map((model) => [model.name, model]));
  const aliased = aliases.flatMap(({ name, models: [first] }) => {
    const model = byName.get(first);
    return model === undefined ? [] : [{ ...model, name, aliasOf: first }];
  });
  const taken = new Set(aliased.map(({ name }) => name));
  return [...models.filter(({ name }) => !taken.has(name)), ...aliased];
}

/** A model as it is best known of all devices that have it. */
function listed({ name, devices }: NetworkModel): ListedModel {
  const known = <T>(read: (device: NetworkModel["devices"][number]) => T | null): T | null => {
    for (const device of devices) {
      const value = read(device);
      if (value !== null) return value;
    }
    return null;
  };
  const lengths = devices.flatMap(({ contextLength }) => contextLength ?? []);
  return {
    name,
    sizeBytes: known(({ sizeBytes }) => sizeBytes),
    parameters: known(({ parameters }) => parameters),
    // Where it takes most a long conversation goes.
    contextLength: lengths.length === 0 ? null : Math.max(...lengths),
    quantization: known(({ quantization }) => quantization),
    capabilities: [...new Set(devices.flatMap(({ capabilities }) => capabilities))],
    loaded: devices.some(({ loaded }) => loaded),
  };
}
