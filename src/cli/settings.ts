/** The names that `hanzo-network.toml` may hold: the settings of all commands. */

import { NODE_OPTIONS } from "./command.ts";
import { UP_OPTIONS } from "./commands/up_options.ts";

/** Sorted, each once. */
export const SETTING_NAMES: readonly string[] = [
  ...new Set([...UP_OPTIONS, ...NODE_OPTIONS].filter((one) => one.setting).map((one) => one.name)),
].sort();
