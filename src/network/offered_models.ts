/** How many of its models a node tells: as many as peers take with all else that it says of itself. */

import { MAX_MODELS, type ModelDescription } from "../engines/model.ts";
import { MAX_DESCRIPTION_BYTES, type NodeDescription } from "../membership/node_description.ts";

/** For what is still to change: load, a clock's time, another network's name. */
const RESERVE_BYTES = 4 * 1024;

/**
 * The first of `models` that find room in a description.
 *
 * @param rest What the node says of itself otherwise; models in it do not count.
 */
export function offeredModels(
  models: readonly ModelDescription[],
  rest: NodeDescription,
): readonly ModelDescription[] {
  let room = MAX_DESCRIPTION_BYTES - RESERVE_BYTES - bytesOf({ ...rest, models: [] });
  const fitting = models.slice(0, MAX_MODELS).findIndex((model) =>
    (room -= bytesOf(model) + 1) < 0
  );
  return Object.freeze(models.slice(0, fitting === -1 ? MAX_MODELS : fitting));
}

const encoder = new TextEncoder();

function bytesOf(value: unknown): number {
  return encoder.encode(JSON.stringify(value)).length;
}
