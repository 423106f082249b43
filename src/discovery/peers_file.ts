/**
 * The file in which a person lists peers, in JSON or TOML, and what is wrong with it. Both forms
 * are read into one tree whose values know where they stand, so that each fault is told with its
 * line; this tree is then checked once.
 */

import { NetworkError } from "../base/errors.ts";
import { isLabel, safeName } from "../base/safe_text.ts";
import type { DeviceCapabilities } from "../device/capabilities.ts";
import { Field, shown, Source } from "./located.ts";
import { JsonReader } from "./located_json.ts";
import { readToml } from "./located_toml.ts";

/** A peer as the file has it. */
export interface FilePeer {
  readonly nodeId: string;
  /** A host name or an IP address. */
  readonly host: string;
  /** Where it accepts links, 1 to 65,535. */
  readonly port: number;
  /** What the file says of its device, if anything; what it leaves out is `null`. */
  readonly capabilities?: Pick<DeviceCapabilities, "model" | "chip" | "memory" | "flops">;
}

/** The largest file that is read. */
export const MAX_PEERS_FILE_BYTES = 1024 * 1024;
/** Every node has a link to every other: more is a mistake. */
const MAX_PEERS = 4_096;

const HOST = "a host name or an IP address without scheme and port, such as " +
  '"gpu-server" or "10.0.0.4"';
const PORT = "a whole number from 1 to 65535";
const NODE_ID = '1 to 63 letters, digits, ".", "_" or "-", beginning with a letter or digit';
const RATE = "a number of TFLOPS, 0 or more";

/**
 * Reads a peers file.
 *
 * @param file Its name: TOML if it ends in `.toml`, else JSON.
 * @param bytes What it holds.
 *
 * @example The same peer in both forms
 * ```ts
 * import { parsePeersFile } from "./peers_file.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = (text: string) => new TextEncoder().encode(text);
 * const json = '{"peers": {"gpu": {"address": "10.0.0.4", "port": 5681}}}';
 * const toml = '[peers.gpu]\naddress = "10.0.0.4"\nport = 5681';
 *
 * const peers = [{ nodeId: "gpu", host: "10.0.0.4", port: 5681 }];
 * assertEquals(await parsePeersFile("peers.json", bytes(json)), peers);
 * assertEquals(await parsePeersFile("peers.toml", bytes(toml)), peers);
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` with the file, the line, the field, what is there and
 * what was expected.
 */
export async function parsePeersFile(file: string, bytes: Uint8Array): Promise<FilePeer[]> {
  if (bytes.length > MAX_PEERS_FILE_BYTES) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot read the peers file ${file}: it has more than ${MAX_PEERS_FILE_BYTES} bytes. ` +
        `Keep only the peers in it.`,
    );
  }
  const source = new Source(file, new TextDecoder().decode(bytes));
  const root = /\.toml$/i.test(file) ? await readToml(source) : new JsonReader(source).read();
  const peers = new Field(source, [], root).get("peers");
  const entries = peers.members("a map of node ids");
  if (entries.size > MAX_PEERS) {
    throw peers.fault(`has ${entries.size} nodes, expected at most ${MAX_PEERS}`);
  }
  return [...entries].map(([nodeId, { keyAt }]) => {
    if (isLabel(nodeId)) return readPeer(nodeId, peers.get(nodeId));
    throw source.fault(keyAt, `a node id in peers is ${shown(nodeId)}, expected ${NODE_ID}`);
  });
}

function readPeer(nodeId: string, peer: Field): FilePeer {
  const host = peer.get("address").as(isHost, HOST);
  const port = peer.get("port").as(isPort, PORT);
  const device = peer.get("device_capabilities");
  if (!device.isThere) return { nodeId, host, port };
  const flops = device.get("flops");
  const capabilities = {
    model: nameOf(device.get("model")),
    chip: nameOf(device.get("chip")),
    memory: device.get("memory").orNull(isFigure, "a number of MB, 0 or more"),
    flops: {
      fp32: flops.get("fp32").orNull(isFigure, RATE),
      fp16: flops.get("fp16").orNull(isFigure, RATE),
      int8: flops.get("int8").orNull(isFigure, RATE),
    },
  };
  return { nodeId, host, port, capabilities };
}

/** Whether it is an IPv4 or IPv6 address, the latter without brackets. */
export function isIpAddress(text: string): boolean {
  if (!text.includes(":")) {
    const octets = text.split(".");
    return octets.length === 4 &&
      octets.every((octet) => /^(0|[1-9]\d{0,2})$/.test(octet) && Number(octet) <= 255);
  }
  // What begins with `%` is the zone of a link-local address.
  const [, address] = /^([\da-f:.]+)(?:%[\w.-]+)?$/i.exec(text) ?? [];
  return address !== undefined && URL.canParse(`http://[${address}]`);
}

/** Whether it is an IP address or can be a host's name (RFC 1123, and `_`, which is in use). */
export function isHost(value: unknown): value is string {
  if (typeof value !== "string" || value.length > 253) return false;
  if (isIpAddress(value)) return true;
  const labels = value.replace(/\.$/, "").split(".");
  return labels.every((label) => /^\w([\w-]{0,61}\w)?$/.test(label)) &&
    // Such as 10.0.0.256 or 0x7f000001: resolvers take it for a number.
    !/^(\d+|0x[\da-f]*)$/i.test(labels[labels.length - 1]);
}

/** Whether links can be accepted there. */
export function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65_535;
}

function nameOf(field: Field): string | null {
  const name = field.orNull((value) => typeof value === "string", "a text");
  return name && safeName(name);
}

function isFigure(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value < Infinity;
}
