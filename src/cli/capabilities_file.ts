/** Reads a file that says what a device is. */

import { describeError } from "../base/errors.ts";
import { needGranted } from "../base/permissions.ts";
import { type CapabilityOverrides, parseCapabilityOverrides } from "../device/capabilities.ts";
import { UsageError } from "./command.ts";

/**
 * What `--capabilities FILE` says.
 *
 * @throws {UsageError} When there is no such file, or it says what no device can be.
 */
export async function readCapabilities(
  file: string | undefined,
): Promise<CapabilityOverrides | undefined> {
  if (file === undefined) return undefined;
  needGranted(`Cannot read ${file}`, { name: "read", path: file });
  try {
    return parseCapabilityOverrides(JSON.parse(await Deno.readTextFile(file)));
  } catch (thrown) {
    throw new UsageError(`--capabilities ${file}: ${describeError(thrown)}`);
  }
}
