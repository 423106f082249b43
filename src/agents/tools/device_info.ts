/** The tool `device_info`: what the device is on which an agent happens to run, and what it does. */

import { z } from "zod";
import type { JsonValue } from "../../base/bounded_json.ts";
import { createTool, type Tool } from "../tool.ts";

/**
 * Makes the tool.
 *
 * @param read Reads the device.
 */
export function createDeviceInfoTool(read: () => Promise<JsonValue>): Tool {
  return createTool({
    name: "device_info",
    description: "Says what the device is on which you run (chip, memory, GPUs) and what it is " +
      "doing now (CPU, memory, disk, network, tasks). Memory and disk are in MB.",
    parameters: z.object({}),
    handler: read,
  });
}
