/** One place where an engine may be, looked at again and again. */

import type { CancelTimer, Clock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { EngineModel } from "./answers.ts";
import type { EngineClient } from "./engine_client.ts";
import type { EngineKind } from "./model.ts";
import type { EnginePlace } from "./place.ts";
import type { Probe, Reading } from "./probes/probe.ts";
import { type YoungerPath, YoungerPaths } from "./younger_paths.ts";

/** What is known of a place. */
export type PlaceState =
  /** It was not looked at yet. */
  | { readonly type: "unknown" }
  /** Nobody accepts a connection. */
  | { readonly type: "absent" }
  /** An engine. */
  | { readonly type: "engine"; readonly kind: EngineKind; readonly reading: Reading }
  /** It may be an engine, and cannot be used now. */
  | { readonly type: "failing"; readonly kind: EngineKind | null; readonly reason: string }
  /** It may be an engine, and wants a key, or another one. */
  | { readonly type: "locked" }
  /** It is something else. */
  | { readonly type: "foreign"; readonly reason: string };

/** What {@linkcode WatchedPlace} needs. */
export interface WatchedPlaceNeeds {
  readonly place: EnginePlace;
  readonly clock: Clock;
  readonly client: EngineClient;
  /** Is called when its state has changed, or may have. */
  readonly changed: () => void;
}

/** Between two looks, in milliseconds. */
const PRESENT_MS = 5_000;
/** The same of what is not on this machine: its list of models hardly changes. */
const DISTANT_MS = 300_000;
/** Something that was told to be there comes soon; what may be anywhere else need not. */
const MISSED_MS = 5_000;
const ABSENT_MS = 15_000;
/** A web server that is no engine is asked less and less, for its owner reads its log. */
const FOREIGN_MS = 60_000;
const MAX_FOREIGN_MS = 900_000;
/** There is more to be known at once. */
const PARTIAL_MS = 50;
/** An engine that has begun to fall silent is asked again soon. */
const SILENT_MS = 1_000;
/** After so many looks without an answer it is gone: one that works hard may answer late. */
const MAX_SILENT = 2;

/** See the top of the file. */
export class WatchedPlace {
  readonly #needs: WatchedPlaceNeeds;
  readonly #younger: YoungerPaths;
  #state: PlaceState = { type: "unknown" };
  #probe: Probe | undefined;
  #cancelLook: CancelTimer = () => {};
  #looking: Promise<void> | undefined;
  #isStopped = false;
  /** Looks in a row that found something else. */
  #foreign = 0;
  /** Looks in a row at an engine that gave no answer. */
  #silent = 0;

  constructor(needs: WatchedPlaceNeeds) {
    this.#needs = needs;
    this.#younger = new YoungerPaths(needs.client);
  }

  get place(): EnginePlace {
    return this.#needs.place;
  }

  get state(): PlaceState {
    return this.#state;
  }

  get models(): readonly EngineModel[] {
    return this.#state.type === "engine" ? this.#state.reading.models : [];
  }

  /** Whether the engine there has a path that not all have. */
  hasPath(path: YoungerPath): Promise<boolean> {
    return this.#younger.has(path);
  }

  /** Looks now; a look that is under way is as good. */
  look(): Promise<void> {
    this.#cancelLook();
    if (this.#isStopped) return Promise.resolve();
    return this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
      if (this.#isStopped) return;
      this.#cancelLook = this.#needs.clock.after(this.#pauseMs(), () => void this.look());
    });
  }

  /** Somebody was refused there. */
  gone(): void {
    if (this.#isStopped || this.#state.type !== "engine") return;
    this.#become({ type: "absent" });
    void this.look();
  }

  /** Looks no more; resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelLook();
    await this.#looking;
  }

  async #look(): Promise<void> {
    let state: PlaceState;
    try {
      state = await this.#ask();
      this.#silent = 0;
    } catch (thrown) {
      const kept = this.#failed(NetworkError.from(thrown));
      if (kept === undefined) return;
      state = kept;
    }
    if (!this.#isStopped) this.#become(state);
  }

  async #ask(): Promise<PlaceState> {
    const { client } = this.#needs;
    const reading = await this.#probe?.look(client);
    if (reading !== undefined) return this.#engine(this.#probe!, reading);
    // Something else has taken its place, or nothing was known.
    this.#probe = undefined;
    this.#younger.forget();
    const { identify } = await import("./identify.ts");
    const found = await identify(client);
    switch (found.type) {
      case "engine": {
        const reading = await found.probe.look(client);
        if (reading === undefined) return { type: "foreign", reason: "it lists no models" };
        this.#probe = found.probe;
        return this.#engine(found.probe, reading);
      }
      case "loading":
        return { type: "failing", kind: null, reason: "it loads its model" };
      default:
        return found;
    }
  }

  /** While only a part is known the rest stays as it was. */
  #engine({ kind }: Probe, reading: Reading): PlaceState {
    const isKnown = this.#state.type === "engine" && this.#state.reading.models.length > 0;
    if (reading.isPartial && isKnown) return this.#withMore(reading);
    return { type: "engine", kind, reading };
  }

  #withMore(reading: Reading): PlaceState {
    const { kind, reading: before } = this.#state as PlaceState & { type: "engine" };
    return { type: "engine", kind, reading: { ...reading, models: before.models } };
  }

  /** Undefined: it is given one more look. */
  #failed(error: NetworkError): PlaceState | undefined {
    const kind = this.#probe?.kind ?? null;
    if (error.code === "UNAVAILABLE") {
      this.#probe = undefined;
      return { type: "absent" };
    }
    if (error.code === "DEADLINE_EXCEEDED" && kind !== null && ++this.#silent < MAX_SILENT) {
      return undefined;
    }
    if (error.code === "PROTOCOL" && kind === null) {
      return { type: "foreign", reason: "it answered what no engine answers" };
    }
    return { type: "failing", kind, reason: describeError(error) };
  }

  #become(state: PlaceState): void {
    if (state.type === "absent") this.#probe = undefined;
    this.#foreign = state.type === "foreign" || state.type === "locked" ? this.#foreign + 1 : 0;
    this.#state = state;
    this.#needs.changed();
  }

  #pauseMs(): number {
    const { isConfigured, isLoopback } = this.place;
    switch (this.#state.type) {
      case "engine":
        if (this.#silent > 0) return SILENT_MS;
        if (this.#state.reading.isPartial) return PARTIAL_MS;
        return isLoopback ? PRESENT_MS : DISTANT_MS;
      case "foreign":
      case "locked":
        return Math.min(MAX_FOREIGN_MS, FOREIGN_MS * 2 ** Math.min(8, this.#foreign - 1));
      case "failing":
        return isLoopback ? MISSED_MS : FOREIGN_MS;
      default:
        return !isConfigured ? ABSENT_MS : isLoopback ? MISSED_MS : FOREIGN_MS;
    }
  }
}
