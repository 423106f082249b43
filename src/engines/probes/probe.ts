/** Asking an engine of a certain kind what it has, again and again. */

import type { EngineClient } from "../engine_client.ts";
import type { EngineModel } from "../answers.ts";
import type { EngineKind } from "../model.ts";

/** What an engine has now. */
export interface Reading {
  readonly version: string | null;
  readonly models: readonly EngineModel[];
  /** Whether more will be known as soon as it is asked again. */
  readonly isPartial?: boolean;
  /** What is worth telling its owner. */
  readonly note?: string;
}

/** One engine, with what was learnt of it so far. */
export interface Probe {
  readonly kind: EngineKind;
  /**
   * Asks what it has.
   *
   * @returns Undefined where it is no engine of this kind any more.
   * @throws {NetworkError} As {@linkcode EngineClient} does; `FAILED_PRECONDITION` while it is
   * not ready.
   */
  look(client: EngineClient): Promise<Reading | undefined>;
}

/** Those that may be told. */
export function told(models: readonly (EngineModel | undefined)[]): EngineModel[] {
  return models.filter((model) => model !== undefined);
}
