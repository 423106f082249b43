/**
 * Beacons: what a node shouts so that others find it. One UTF-8 JSON object per datagram; the field
 * names are those that existing implementations read, so that later versions can add the rest of
 * what these expect.
 */

import { z } from "zod";
import { parseBoundedJson } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { LABEL_PATTERN } from "../base/safe_text.ts";
import type { ForeignFields } from "./foreign_beacon.ts";

/** What a beacon says. */
export interface Beacon {
  readonly nodeId: string;
  /** The node's current start. */
  readonly bootId: string;
  /** The name of its network. */
  readonly network: string;
  /** Where it accepts links, at the address that the beacon came from. */
  readonly listenPort: number;
  /** Whether it only answers somebody else's beacon: nobody answers an answer. */
  readonly isAnswer: boolean;
}

/** Fits into one Ethernet frame with room to spare. */
export const MAX_BEACON_BYTES = 1_200;

const schema = z.object({
  type: z.literal("discovery"),
  node_id: z.string().regex(LABEL_PATTERN),
  boot_id: z.string().max(64).regex(/^[0-9A-Z]+$/),
  network: z.string().max(512),
  grpc_port: z.number().int().min(1).max(65_535),
  answer: z.boolean(),
});

const encoder = new TextEncoder();

/**
 * The bytes of a beacon.
 *
 * @param more What peers of other programs want to read besides.
 */
export function encodeBeacon(beacon: Beacon, more?: ForeignFields): Uint8Array {
  return encoder.encode(JSON.stringify({
    ...more,
    type: "discovery",
    node_id: beacon.nodeId,
    boot_id: beacon.bootId,
    network: beacon.network,
    grpc_port: beacon.listenPort,
    answer: beacon.isAnswer,
  }));
}

/**
 * Reads a beacon.
 *
 * @throws {NetworkError} `PROTOCOL` when it is not one.
 */
export function decodeBeacon(bytes: Uint8Array): Beacon {
  const value = parseBoundedJson(bytes, { maxBytes: MAX_BEACON_BYTES, maxDepth: 4 });
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    throw new NetworkError("PROTOCOL", "Cannot read beacon: not one of this protocol.");
  }
  const { node_id, boot_id, network, grpc_port, answer } = parsed.data;
  return { nodeId: node_id, bootId: boot_id, network, listenPort: grpc_port, isAnswer: answer };
}
