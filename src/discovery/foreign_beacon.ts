/**
 * Beacons of existing peers, exo before 1.0 and the Python hanzo-network: what ours must say beside
 * its own for both to take it, and what is read of theirs. Both ignore fields that they do not know,
 * so that one datagram serves all three.
 */

import { z } from "zod";
import { parseBoundedJson } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import { parseWith } from "../base/schema.ts";
import type { DeviceCapabilities } from "../device/capabilities.ts";

/** What existing peers tell of a device. */
export type ForeignCapabilities = Pick<DeviceCapabilities, "model" | "chip" | "memory" | "flops">;

/** This node, as existing peers are told of it on one interface. */
export interface ForeignSelf {
  /** The UDP port that all nodes share; hanzo-network expects it to be the peer's own. */
  readonly broadcastPort: number;
  readonly capabilities: ForeignCapabilities;
  /** The interface that the beacon leaves by. */
  readonly interfaceName: string;
  /** Milliseconds since 1970. */
  readonly wallTime: number;
}

/** What {@linkcode foreignFields} adds to a beacon, as it is on the wire. */
export interface ForeignFields {
  readonly listen_port: number;
  readonly device_capabilities: {
    readonly model: string;
    readonly chip: string;
    /** MB, a whole number; these peers know no unknown: 0. */
    readonly memory: number;
    /** TFLOPS; 0 when unknown. */
    readonly flops: { readonly fp32: number; readonly fp16: number; readonly int8: number };
  };
  readonly priority: number;
  readonly interface_name: string;
  readonly interface_type: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
}

/** Which program an existing peer is. */
export type ForeignKind = "exo" | "hanzo-network";

/** What the beacon of an existing peer says. */
export interface ForeignBeacon {
  readonly kind: ForeignKind;
  /** A label made of its id: two ids that differ in other characters only count as one. */
  readonly nodeId: string;
  /** Where it answers calls, at the address that the beacon came from; null: nowhere. */
  readonly port: number | null;
  readonly capabilities: ForeignCapabilities | null;
  /** What it says of the interface that the beacon left by. */
  readonly priority: number | null;
  readonly interfaceName: string | null;
}

/** Theirs has 300 to 500 bytes; there is room for long names and fields of later versions. */
export const MAX_FOREIGN_BEACON_BYTES = 2_048;

/** Bytes of JSON, quotes included: all fields then have 500 at most, and a whole beacon 1,200. */
const MAX_NAME_BYTES = 100;
const MAX_INTERFACE_NAME_BYTES = 48;
/** More, in TFLOPS, is a mistake, and takes room. */
const MAX_FLOPS = 999_999;
/** What existing peers take for a number of MB. */
const MAX_INT32 = 2 ** 31 - 1;

/** The numbers that existing peers rank each other's addresses by. */
const INTERFACE_KINDS: readonly [names: RegExp, priority: number, type: string][] = [
  [/^(docker|br-|veth|cni|flannel|calico|weave)|bridge/, 7, "Container Virtual"],
  [/^(lo|Loopback)/, 6, "Loopback"],
  [/^(tb|nx|ten)/, 5, "Thunderbolt"],
  [/^(wlan|wi-?fi|wl|en[01]$)/i, 3, "WiFi"],
  [/^(eth|en)/i, 4, "Ethernet"],
  [/^(tun|tap|utun|gif|awdl|llw)/, 1, "External Virtual"],
  [/^/, 2, "Other"],
];

/** The fields that existing peers expect beside those of our own beacon, 500 bytes at most. */
export function foreignFields(self: ForeignSelf): ForeignFields {
  const { broadcastPort, capabilities: { model, chip, memory, flops }, interfaceName } = self;
  const [, priority, type] = INTERFACE_KINDS.find(([names]) => names.test(interfaceName))!;
  return {
    listen_port: broadcastPort,
    device_capabilities: {
      model: fit(model ?? "", MAX_NAME_BYTES),
      chip: fit(chip ?? "", MAX_NAME_BYTES),
      memory: Math.min(Math.round(memory ?? 0), MAX_INT32),
      flops: {
        fp32: rate(flops.fp32),
        fp16: rate(flops.fp16),
        int8: rate(flops.int8),
      },
    },
    priority,
    interface_name: fit(interfaceName, MAX_INTERFACE_NAME_BYTES),
    interface_type: type,
    timestamp: Math.round(self.wallTime) / 1_000,
  };
}

/** Two decimals: more is noise, and takes room. */
function rate(tflops: number | null): number {
  return Math.min(Math.round((tflops ?? 0) * 100) / 100, MAX_FLOPS);
}

const encoder = new TextEncoder();

/** As much of the text as takes that many bytes of JSON. */
function fit(text: string, maxBytes: number): string {
  let fitting = "";
  let bytes = 2;
  for (const character of safeName(text)) {
    bytes += encoder.encode(JSON.stringify(character)).length - 2;
    if (bytes > maxBytes) break;
    fitting += character;
  }
  return fitting;
}

const port = z.number().int().min(1).max(65_535);
const name = z.string().transform((text) => safeName(text) || null);
/** They write 0 for what they do not know. */
const figure = z.number().nonnegative().transform((value) => value || null);

const capabilities: z.ZodType<ForeignCapabilities> = z.object({
  model: name,
  chip: name,
  memory: figure,
  flops: z.object({ fp32: figure, fp16: figure, int8: figure }),
});

const schema = z.object({
  type: z.literal("discovery"),
  node_id: z.string().max(128).transform(toLabel).refine((id) => id !== "", "has no letter"),
  // Our own beacons have one: what is wrong with those must not pass for a stranger's.
  boot_id: z.never("is in our own beacons only").optional(),
  grpc_port: port.optional(),
  listen_port: port.optional(),
  device_capabilities: capabilities.nullish(),
  priority: z.number().int().nonnegative().optional(),
  interface_name: name.optional(),
});

/**
 * Reads the beacon of an existing peer.
 *
 * @throws {NetworkError} `PROTOCOL` when it is none.
 */
export function decodeForeignBeacon(bytes: Uint8Array): ForeignBeacon {
  const value = parseBoundedJson(bytes, { maxBytes: MAX_FOREIGN_BEACON_BYTES, maxDepth: 8 });
  const beacon = parseWith(schema, value, "PROTOCOL", "Cannot read the beacon of another program");
  const { node_id, grpc_port, listen_port, device_capabilities, interface_name } = beacon;
  if (grpc_port === undefined && listen_port === undefined) {
    throw new NetworkError(
      "PROTOCOL",
      "Cannot read the beacon of another program: it has neither a grpc_port, like exo's, nor a " +
        "listen_port, like hanzo-network's.",
    );
  }
  return {
    kind: grpc_port === undefined ? "hanzo-network" : "exo",
    nodeId: node_id,
    port: grpc_port ?? null,
    capabilities: device_capabilities ?? null,
    priority: beacon.priority ?? null,
    interfaceName: interface_name ?? null,
  };
}

/** A label like the text, or nothing if there is none. */
function toLabel(text: string): string {
  return safeName(text).replaceAll(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 63);
}
