/** The engines of this device: found, watched, and asked; what they have is told when it changes. */

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { safeLine } from "../base/safe_text.ts";
import type { EngineModel } from "./answers.ts";
import { askEngine, type EngineAnswer, type EngineCall, type EngineLimits } from "./engine_call.ts";
import { EngineClient } from "./engine_client.ts";
import type { EngineHttp } from "./http.ts";
import { type EngineKind, MAX_MODELS, type ModelDescription } from "./model.ts";
import type { EnginePlace } from "./place.ts";
import { type PlaceState, WatchedPlace } from "./watched_place.ts";
import type { YoungerPath } from "./younger_paths.ts";

/** An engine of this device, or a place where one was looked for: plain data. */
export interface EngineStatus {
  /** Where it is: `"http://127.0.0.1:11434"`. Peers are not told. */
  readonly url: string;
  /** What it is; null where that is unknown. */
  readonly kind: EngineKind | null;
  /**
   * - `found`: an engine that is used.
   * - `absent`: nobody answers there.
   * - `failing`: it is to be an engine, and cannot be used now.
   * - `locked`: it wants a key, or another one.
   * - `foreign`: something else answers there.
   * - `unknown`: it was not looked at yet.
   */
  readonly state: "found" | "absent" | "failing" | "locked" | "foreign" | "unknown";
  /** Its version, where it says so. */
  readonly version: string | null;
  /** How many models it has. */
  readonly models: number;
  /** Whether somebody has named it; otherwise a known port of the loopback was looked at. */
  readonly configured: boolean;
  /** Why it cannot be used, or what is worth knowing of it. */
  readonly note: string | null;
}

/** A model of an engine of this device, to be asked. */
export interface FoundModel {
  /** What the engine calls it. */
  readonly id: string;
  readonly description: ModelDescription;
  /** Whether its engine has a path that not all have. */
  hasPath(path: YoungerPath): Promise<boolean>;
  /** Asks its engine, as {@linkcode askEngine} does. */
  ask(call: EngineCall, limits?: Partial<EngineLimits>): Promise<EngineAnswer>;
}

/** What an {@linkcode EngineWatch} needs. */
export interface EngineWatchNeeds {
  readonly places: readonly EnginePlace[];
  readonly http: EngineHttp;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A variable of the environment; undefined where there is none, or it may not be read. */
  readonly environment: (name: string) => string | undefined;
  /** Is told what all engines have, whenever that has changed. */
  readonly changed: (models: readonly ModelDescription[]) => void;
}

/**
 * See the top of the file.
 *
 * @example A port of the loopback on which nobody listens
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ManualClock } from "../base/manual_clock.ts";
 * import { NetworkError } from "../base/errors.ts";
 * import { silentLogger } from "../base/log.ts";
 * import { EngineWatch } from "./engine_watch.ts";
 * import { parseEngine } from "./place.ts";
 *
 * const watch = new EngineWatch({
 *   places: [parseEngine("http://127.0.0.1:9000")],
 *   http: () => Promise.reject(new NetworkError("UNAVAILABLE", "Nobody is there.")),
 *   clock: new ManualClock(),
 *   logger: silentLogger,
 *   environment: () => undefined,
 *   changed: () => {},
 * });
 * await watch.look();
 * assertEquals(watch.engines()[0].state, "absent");
 * await watch.stop();
 * ```
 */
export class EngineWatch {
  readonly #needs: EngineWatchNeeds;
  readonly #places: WatchedPlace[];
  readonly #stopping = new AbortController();
  /** What all engines have, in order; each call looks there. */
  #all: readonly { watched: WatchedPlace; model: EngineModel }[] | undefined;
  /** What was told last, to be compared. */
  #told = "[]";
  /** What was last said in the log of each place. */
  readonly #said = new Map<EnginePlace, string>();

  constructor(needs: EngineWatchNeeds) {
    this.#needs = needs;
    const { http, clock } = needs;
    this.#places = needs.places.map((place): WatchedPlace => {
      const key = () => this.#key(place);
      const client = new EngineClient({ place, http, clock, key, signal: this.#stopping.signal });
      const watched: WatchedPlace = new WatchedPlace({
        place,
        clock,
        client,
        changed: () => this.#changed(watched),
      });
      return watched;
    });
  }

  /** Looks at all places from now on; resolves when all were looked at once. */
  async look(): Promise<void> {
    await Promise.all(this.#places.map((one) => one.look()));
  }

  /** Looks no more, and closes what is open; idempotent. Calls go on. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error("The node stops."));
    await Promise.all(this.#places.map((one) => one.stop()));
  }

  /** What all engines have: what is in memory first, then by name. */
  models(): ModelDescription[] {
    return this.#found().map(({ model: { id: _, ...description } }) => description)
      .slice(0, MAX_MODELS);
  }

  /** The engines, and the places that were looked at. */
  engines(): EngineStatus[] {
    return this.#places.map(statusOf);
  }

  /**
   * The engines that have a model, the best first: one that has it in memory, and the last resort
   * last.
   */
  find(name: string): FoundModel[] {
    return this.#found().filter(({ model }) => model.name === name).map(({ watched, model }) => {
      const { id, ...description } = model;
      const ask = (call: EngineCall, limits?: Partial<EngineLimits>) =>
        askEngine({
          ...this.#needs,
          place: watched.place,
          key: () => this.#key(watched.place),
          limits,
          onGone: () => watched.gone(),
        }, call);
      return { id, description, ask, hasPath: (path) => watched.hasPath(path) };
    });
  }

  #found(): readonly { watched: WatchedPlace; model: EngineModel }[] {
    return this.#all ??= this.#places.flatMap((watched) =>
      watched.models.map((model) => ({
        watched,
        model: { ...model, lastResort: watched.place.lastResort },
      }))
    ).sort((a, b) => order(a.model, b.model));
  }

  #changed(watched: WatchedPlace): void {
    this.#all = undefined;
    this.#say(watched);
    const models = this.models();
    const told = JSON.stringify(models);
    if (told === this.#told) return;
    this.#told = told;
    this.#needs.changed(models);
  }

  #key({ keyEnv }: EnginePlace): string | undefined {
    // A line's end at its end is not part of it, and would be no header.
    return keyEnv === undefined ? undefined : this.#needs.environment(keyEnv)?.trim() || undefined;
  }

  /** What its owner wants to know is said once. */
  #say({ place, state }: WatchedPlace): void {
    const { kind, version, note } = statusOf({ place, state });
    const before = this.#said.get(place);
    const say = (level: "info" | "warn", text: string) => {
      if (text === before) return;
      this.#said.set(place, text);
      this.#needs.logger[level]("{text}", { text: safeLine(text) });
    };
    if (state.type === "engine") {
      const what = `${ENGINE_NAMES[kind!]}${version === null ? "" : ` ${version}`}`;
      say("info", `${what} at ${place.url} is used${note === null ? "" : `; ${note}`}`);
    } else if (before?.endsWith(GONE) && state.type === "absent") {
      return;
    } else if (place.isConfigured) {
      say("warn", `The engine at ${place.url} is not used: ${note}`);
    } else if (before !== undefined) {
      say("info", `The engine at ${place.url}${GONE}`);
    }
  }
}

const GONE = " is gone";

/** What people call them. */
export const ENGINE_NAMES: Readonly<Record<EngineKind, string>> = {
  "ollama": "Ollama",
  "lm-studio": "LM Studio",
  "llama.cpp": "llama.cpp",
  "vllm": "vLLM",
  "exo": "exo",
  "jan": "Jan",
  "openai": "A server of OpenAI's protocol",
};

function statusOf({ place, state }: Pick<WatchedPlace, "place" | "state">): EngineStatus {
  const base = { url: place.url, configured: place.isConfigured };
  if (state.type !== "engine") {
    const kind = state.type === "failing" ? state.kind : null;
    return {
      ...base,
      state: state.type,
      kind,
      version: null,
      models: 0,
      note: noteOn(place, state),
    };
  }
  const { kind, reading: { version, models, note = null } } = state;
  return { ...base, state: "found", kind, version, models: models.length, note };
}

function noteOn(
  { keyEnv, url }: EnginePlace,
  state: Exclude<PlaceState, { type: "engine" }>,
): string | null {
  switch (state.type) {
    case "unknown":
      return null;
    case "absent":
      return "nobody answers there";
    case "locked":
      return keyEnv === undefined
        ? `it wants a key. Name the variable that holds it: --engine ${url}#key-env=NAME`
        : `it does not take the key of ${keyEnv}. Is that variable set, and may it be read ` +
          `(--allow-env=${keyEnv})?`;
    default:
      return state.reason;
  }
}

/** The last resort last, what is in memory first, then by name. */
function order(a: EngineModel, b: EngineModel): number {
  return Number(a.lastResort) - Number(b.lastResort) || Number(b.loaded) - Number(a.loaded) ||
    (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}
