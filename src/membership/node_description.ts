/** What a node says of itself when a link opens, and the one place where it is checked. */

import { z } from "zod";
import { MAX_LABELS, requirementsSchema } from "../agents/requirements.ts";
import type { AgentDescription } from "../agents/agent.ts";
import { parseBoundedJson } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { parseWith } from "../base/schema.ts";
import { LABEL_PATTERN, safeName, safeText } from "../base/safe_text.ts";
import { type DeviceCapabilities, deviceCapabilitiesSchema } from "../device/capabilities.ts";
import { AT_EASE, type DeviceCondition } from "../device/condition.ts";
import { MAX_MODELS, type ModelDescription, modelDescriptionSchema } from "../engines/model.ts";

/** The version of what is said on a link; nodes of different ones do not talk. */
export const PROTOCOL_VERSION = 1;

/** What a node says of itself. */
export interface NodeDescription {
  /** {@linkcode PROTOCOL_VERSION} of the speaker. */
  readonly protocol: number;
  /** The network's name; nodes of different ones do not talk. */
  readonly network: string;
  /** The label that its owner chose for it. */
  readonly nodeId: string;
  /** A ULID made at each start: tells a restart from a second node of the same label. */
  readonly bootId: string;
  /** The version of the program. */
  readonly version: string;
  /** The port where it accepts links. */
  readonly listenPort: number;
  readonly capabilities: DeviceCapabilities;
  readonly agents: readonly AgentDescription[];
  /** What its engines have. */
  readonly models: readonly ModelDescription[];
  /** What its owner calls it. */
  readonly labels: readonly string[];
  /** What holds it back now. */
  readonly condition: DeviceCondition;
  /** Whether it finishes what it has and takes no new tasks. */
  readonly draining?: boolean;
  /** What its clock showed when it said this, in milliseconds since 1970. */
  readonly wallTime?: number;
}

/** The longest description that is read. */
export const MAX_DESCRIPTION_BYTES = 256 * 1024;
const MAX_AGENTS = 256;

const label = z.string().regex(LABEL_PATTERN);
const name = (length: number) => z.string().max(4 * length).transform((s) => safeName(s, length));
const agentSchema: z.ZodType<AgentDescription> = z.object({
  name: label,
  description: z.string().max(4096).transform(safeText),
  workload: z.enum(["heavy", "light", "background"]),
  idempotent: z.boolean(),
  tools: z.array(label).max(256),
  requirements: requirementsSchema,
});

const schema: z.ZodType<NodeDescription> = z.object({
  protocol: z.number().int(),
  network: name(128),
  nodeId: label,
  bootId: z.string().max(64).regex(/^[0-9A-Z]+$/),
  version: name(64),
  listenPort: z.number().int().min(1).max(65_535),
  capabilities: deviceCapabilitiesSchema,
  agents: z.array(agentSchema).max(MAX_AGENTS),
  // Of a version that knows no engines there are none.
  models: z.array(modelDescriptionSchema).max(MAX_MODELS).default([]),
  labels: z.array(label).max(MAX_LABELS).default([]),
  condition: z.object({
    onBattery: z.boolean(),
    batteryPercent: z.number().min(0).max(100).nullable(),
    throttled: z.boolean(),
  }).default(AT_EASE),
  draining: z.boolean().optional(),
  wallTime: z.number().optional(),
});

/**
 * Reads what a peer says of itself.
 *
 * @throws {NetworkError} `PROTOCOL` naming the field that does not fit, or the version.
 */
export function parseNodeDescription(bytes: Uint8Array): NodeDescription {
  const value = parseBoundedJson(bytes, { maxBytes: MAX_DESCRIPTION_BYTES });
  const peer = parseWith(schema, value, "PROTOCOL", "Cannot read the peer's description");
  if (peer.protocol !== PROTOCOL_VERSION) {
    throw new NetworkError(
      "PROTOCOL",
      `Cannot talk to "${peer.nodeId}": it speaks protocol ${peer.protocol}, this node speaks ` +
        `${PROTOCOL_VERSION}. Bring both to the same version of hanzo-network.`,
    );
  }
  return peer;
}
