/** Which models of the network a client means by a name. */

import { NetworkError } from "../../base/errors.ts";
import { MAX_MODEL_NAME, type ModelDescription } from "../../engines/model.ts";
import type { OfferedModel } from "../catalog.ts";

/** What a model is to be used for. */
export type ModelUse = "chat" | "embeddings";

/** Other names of models, each for one or several, the best first. */
export type ModelAliases = Readonly<Record<string, readonly string[]>>;

/** Another name of models, and what it means now. */
export interface ModelAlias {
  /** By this name it is asked for. */
  name: string;
  /** The models that there are of those that it stands for, the best first: maybe none. */
  models: string[];
}

/** The name for whatever model of the network does it best. */
export const ANY_MODEL = "default";
/** So many names are tried, each of which may stand for several models. */
export const MAX_NAMES = 8;
/** Of models that one name may stand for, so many are tried. */
const MAX_EACH = 4;

/** What names are looked up in. */
export interface NameSources {
  readonly models: readonly OfferedModel[];
  readonly aliases: ModelAliases;
  /** The memory in which models are fast on a device, in bytes; undefined where it is unknown. */
  readonly memoryOf: (nodeId: string) => number | undefined;
}

/**
 * The models that `asked` may mean, the best first: the one of that very name, those that the
 * configuration calls so, or those of that family that suit best. Several names may be given, as
 * `"llama3.3:70b, llama3.2"`: each is what is asked when those before cannot be.
 *
 * @returns Empty when nobody has any.
 */
export function modelsMeant(asked: string, use: ModelUse, sources: NameSources): string[] {
  const found = new Set<string>();
  // What is longer than any name is none, and nothing that one looks for patterns in.
  const names = asked.split(",", MAX_NAMES).map((name) => name.trim())
    .filter((name) => name.length <= MAX_MODEL_NAME);
  for (const name of names) {
    const aliased = sources.aliases[name];
    // What an alias says is meant as it is, or one may call a model by the name of another.
    for (const one of aliased ?? [name]) {
      for (const model of meant(one, use, sources)) found.add(model);
    }
  }
  return [...found];
}

/** What each alias means now, by name. */
export function aliasesNow(sources: NameSources): ModelAlias[] {
  const names = Object.keys(sources.aliases).sort();
  return names.map((name) => ({ name, models: modelsMeant(name, "chat", sources) }));
}

function meant(
  name: string,
  use: ModelUse,
  { models, memoryOf }: NameSources,
): string[] {
  if (models.some((model) => model.name === name)) return [name];
  const able = (some: readonly OfferedModel[]) =>
    some.filter(({ devices }) => devices.some((device) => serves(device, use)));
  const inOrder = (some: readonly OfferedModel[]) =>
    [...some].sort((a, b) => byFitness(a, b, memoryOf)).slice(0, MAX_EACH)
      .map((model) => model.name);
  // What is somebody else's is never chosen by itself.
  if (name === ANY_MODEL) return inOrder(able(models.filter(isOwn)));
  // Where none is said to be able to do it, their engines say why not.
  const best = (some: readonly OfferedModel[]) => {
    const those = able(some);
    return inOrder(those.length > 0 ? those : some);
  };
  const wanted = plain(name);
  if (wanted === "") return [];
  const same = models.filter((model) => plain(model.name) === wanted);
  if (same.length > 0) return best(same);
  return best(models.filter((model) => isOfFamily(plain(model.name), wanted)));
}

/** Where it is unknown what a model can do it is asked. */
function serves({ capabilities }: ModelDescription, use: ModelUse): boolean {
  return capabilities.length === 0 || capabilities.includes(use);
}

/** In memory first, then what fits into memory somewhere, then the larger one. */
function byFitness(a: OfferedModel, b: OfferedModel, memoryOf: NameSources["memoryOf"]): number {
  return Number(isOwn(b)) - Number(isOwn(a)) || Number(isLoaded(b)) - Number(isLoaded(a)) ||
    Number(fits(b, memoryOf)) - Number(fits(a, memoryOf)) || sizeOf(b) - sizeOf(a) ||
    (a.name < b.name ? -1 : 1);
}

function isOwn({ devices }: OfferedModel): boolean {
  return devices.some(({ lastResort }) => !lastResort);
}

function isLoaded({ devices }: OfferedModel): boolean {
  return devices.some(({ loaded }) => loaded);
}

function fits({ devices }: OfferedModel, memoryOf: NameSources["memoryOf"]): boolean {
  return devices.some(({ nodeId, sizeBytes }) =>
    sizeBytes === null || sizeBytes < (memoryOf(nodeId) ?? Infinity)
  );
}

function sizeOf({ devices: [{ parameters, sizeBytes }] }: OfferedModel): number {
  return parameters ?? sizeBytes ?? 0;
}

/** What stands before a name and says only where it comes from: `openai/`, `hf.co/…/`. */
const ORIGIN = /^.*\//;
/** What stands behind it and says how it was trained last, how it is kept, or that it is usual. */
const SUFFIX =
  /[-_.:](latest|gguf|instruct|it|chat|(iq|q)\d+[a-z0-9_]*|fp?(8|16|32)|bf16|mlx|[48]-?bit)$/;

/**
 * A name without what people leave out or write otherwise: of `Llama-3.2-3B-Instruct-Q4_K_M.gguf`,
 * `meta-llama/Llama-3.2-3B-Instruct` and `llama3.2:3b` it is `llama3.2-3b`.
 */
export function plain(name: string): string {
  let text = name.toLowerCase().replace(ORIGIN, "");
  for (let before = ""; before !== text;) {
    before = text;
    text = text.replace(SUFFIX, "");
  }
  return text.replaceAll(/[_:\s]+/g, "-").replaceAll(/([a-z])-(\d)/g, "$1$2");
}

/** `llama3` has `llama3.2-3b` in it, and not `llama32`; `mistral` has `mistral7b`. */
function isOfFamily(name: string, family: string): boolean {
  if (!name.startsWith(family)) return false;
  const rest = name.slice(family.length);
  return /^[^a-z0-9]/.test(rest) || /[a-z]$/.test(family) && /^\d/.test(rest);
}

/**
 * Aliases as a program gives them.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` naming the one that is none.
 */
export function checkAliases(
  given: Readonly<Record<string, string | readonly string[]>>,
): ModelAliases {
  const aliases: Record<string, readonly string[]> = Object.create(null);
  for (const [alias, models] of Object.entries(given)) {
    const names = [models].flat();
    const isName = (name: unknown) =>
      typeof name === "string" && name.trim() === name && name !== "" &&
      name.length <= MAX_MODEL_NAME && !name.includes(",");
    if (!isName(alias) || names.length === 0 || names.length > MAX_NAMES || !names.every(isName)) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot use the alias ${
          JSON.stringify(alias)
        } of a model: expected a name without commas, ` +
          `and 1 to ${MAX_NAMES} names of models, such as { "fast": "llama3.2:3b" }.`,
      );
    }
    aliases[alias] = Object.freeze(names);
  }
  return Object.freeze(aliases);
}
