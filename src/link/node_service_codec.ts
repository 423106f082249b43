/**
 * Messages of `proto/node_service.proto` to bytes and back: those that this package uses, by hand,
 * because what existing peers send is to be counted and cut while it is read.
 */

import { NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import type { DeviceCapabilities } from "../device/capabilities.ts";

/** What the topology tells of a device. */
export type NodeCapabilities = Pick<DeviceCapabilities, "model" | "chip" | "memory" | "flops">;

/** Asks a node what it knows of the network. */
export interface TopologyQuery {
  /** Ids of nodes that are not to be asked again. */
  readonly visited: readonly string[];
  /** How many nodes further the question may travel. */
  readonly maxDepth: number;
}

/** A node has a connection to another. */
export interface NodeConnection {
  readonly to: string;
  /** For people: over which interface. */
  readonly description: string | null;
}

/** Which nodes there are, and who is connected to whom. */
export interface NodeTopology {
  readonly nodes: ReadonlyMap<string, NodeCapabilities>;
  /** By the id of the node that has them. */
  readonly connections: ReadonlyMap<string, readonly NodeConnection[]>;
}

/** A peer tells what it is doing. */
export interface StatusMessage {
  readonly requestId: string;
  /** JSON, not parsed yet. */
  readonly status: Uint8Array;
}

/** Existing networks have tens of nodes, each with a connection to each. */
export const MAX_NODES = 1_024;
export const MAX_CONNECTIONS = 16_384;
/** The longest message that is walked: room for a thousand nodes with ten connections each. */
export const MAX_MESSAGE_BYTES: number = 1024 * 1024;
const MAX_VISITED = 4_096;
const MAX_ID_LENGTH = 128;
const MAX_INT32 = 2 ** 31 - 1;

/** A message without fields. */
export const EMPTY_MESSAGE: Uint8Array = new Uint8Array(0);

/** The bytes of a `CollectTopologyRequest`. */
export function encodeQuery({ visited, maxDepth }: TopologyQuery): Uint8Array {
  const writer = new Writer();
  for (const id of visited) writer.message(1, encoder.encode(id));
  writer.number(2, maxDepth);
  return writer.bytes();
}

/** Reads a `CollectTopologyRequest`. */
export function decodeQuery(bytes: Uint8Array): TopologyQuery {
  const visited: string[] = [];
  let maxDepth = 0;
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 1) visited.push(shortText(value));
    else if (number === 2) maxDepth = Math.max(0, numberOf(value));
    if (visited.length > MAX_VISITED) throw tooMany("visited nodes", MAX_VISITED);
  }
  return { visited, maxDepth };
}

/** The bytes of a `Topology`. */
export function encodeTopology({ nodes, connections }: NodeTopology): Uint8Array {
  const writer = new Writer();
  for (const [id, capabilities] of nodes) {
    writer.message(1, encodeEntry(id, encodeCapabilities(capabilities)));
  }
  for (const [id, list] of connections) {
    const all = new Writer();
    for (const { to, description } of list) {
      const connection = new Writer();
      connection.text(1, to);
      connection.text(2, description ?? "");
      all.message(1, connection.bytes());
    }
    writer.message(2, encodeEntry(id, all.bytes()));
  }
  return writer.bytes();
}

/** Reads a `Topology`. */
export function decodeTopology(bytes: Uint8Array): NodeTopology {
  const nodes = new Map<string, NodeCapabilities>();
  const connections = new Map<string, readonly NodeConnection[]>();
  let count = 0;
  for (const { number, value } of fieldsOf(bytes)) {
    if (number !== 1 && number !== 2) continue;
    const entry = decodeEntry(bytesOf(value));
    if (entry.key === "") continue;
    if (number === 1) {
      nodes.set(entry.key, decodeCapabilities(entry.value));
    } else {
      const list = decodeConnections(entry.value, MAX_CONNECTIONS - count);
      count += list.length;
      connections.set(entry.key, list);
    }
    if (nodes.size > MAX_NODES || connections.size > MAX_NODES) throw tooMany("nodes", MAX_NODES);
  }
  return { nodes, connections };
}

/** The bytes of a `HealthCheckResponse`. */
export function encodeHealth(isHealthy: boolean): Uint8Array {
  const writer = new Writer();
  writer.number(1, isHealthy ? 1 : 0);
  return writer.bytes();
}

/** Reads a `HealthCheckResponse`. */
export function decodeHealth(bytes: Uint8Array): boolean {
  let isHealthy = false;
  for (const { number, value } of fieldsOf(bytes)) if (number === 1) isHealthy = value !== 0;
  return isHealthy;
}

/** Reads a `SendOpaqueStatusRequest`. */
export function decodeStatus(bytes: Uint8Array): StatusMessage {
  let requestId = "";
  let status = EMPTY_MESSAGE;
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 1) requestId = shortText(value);
    else if (number === 2) status = bytesOf(value);
  }
  return { requestId, status };
}

function encodeCapabilities({ model, chip, memory, flops }: NodeCapabilities): Uint8Array {
  const rates = new Writer();
  rates.double(1, flops.fp32 ?? 0);
  rates.double(2, flops.fp16 ?? 0);
  rates.double(3, flops.int8 ?? 0);
  const writer = new Writer();
  writer.text(1, model ?? "");
  writer.text(2, chip ?? "");
  writer.number(3, Math.min(Math.round(memory ?? 0), MAX_INT32));
  writer.message(4, rates.bytes());
  return writer.bytes();
}

function decodeCapabilities(bytes: Uint8Array): NodeCapabilities {
  let model: string | null = null;
  let chip: string | null = null;
  let memory: number | null = null;
  let flops: NodeCapabilities["flops"] = { fp32: null, fp16: null, int8: null };
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 1) model = shortText(value) || null;
    else if (number === 2) chip = shortText(value) || null;
    else if (number === 3) memory = figure(numberOf(value));
    else if (number === 4) flops = decodeFlops(bytesOf(value));
  }
  return { model, chip, memory, flops };
}

function decodeFlops(bytes: Uint8Array): NodeCapabilities["flops"] {
  const rates: (number | null)[] = [null, null, null];
  for (const { number, value } of fieldsOf(bytes)) {
    if (number >= 1 && number <= 3) rates[number - 1] = figure(doubleOf(value));
  }
  const [fp32, fp16, int8] = rates;
  return { fp32, fp16, int8 };
}

function decodeConnections(bytes: Uint8Array, room: number): NodeConnection[] {
  const connections: NodeConnection[] = [];
  for (const { number, value } of fieldsOf(bytes)) {
    if (number !== 1) continue;
    if (connections.length >= room) throw tooMany("connections", MAX_CONNECTIONS);
    let to = "";
    let description: string | null = null;
    for (const field of fieldsOf(bytesOf(value))) {
      if (field.number === 1) to = shortText(field.value);
      else if (field.number === 2) description = shortText(field.value) || null;
    }
    if (to !== "") connections.push({ to, description });
  }
  return connections;
}

/** One entry of a map from texts to messages. */
function encodeEntry(key: string, value: Uint8Array): Uint8Array {
  const writer = new Writer();
  writer.text(1, key);
  writer.message(2, value);
  return writer.bytes();
}

function decodeEntry(bytes: Uint8Array): { key: string; value: Uint8Array } {
  let key = "";
  let message = EMPTY_MESSAGE;
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 1) key = shortText(value);
    else if (number === 2) message = bytesOf(value);
  }
  return { key, value: message };
}

/** Existing peers write 0 for what they do not know. */
function figure(value: number): number | null {
  return Number.isFinite(value) && value > 0 ? value : null;
}

// The wire format itself: https://protobuf.dev/programming-guides/encoding/

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes fields; what has its default is left out. */
class Writer {
  readonly #bytes: number[] = [];

  /** A bool, or an int32 that is not negative. */
  number(field: number, value: number): void {
    if (value === 0) return;
    this.#varint(field << 3 | VARINT);
    this.#varint(value);
  }

  double(field: number, value: number): void {
    if (value === 0) return;
    this.#varint(field << 3 | FIXED64);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.#append(bytes);
  }

  text(field: number, value: string): void {
    if (value !== "") this.message(field, encoder.encode(value));
  }

  message(field: number, value: Uint8Array): void {
    this.#varint(field << 3 | BYTES);
    this.#varint(value.length);
    this.#append(value);
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  #varint(value: number): void {
    for (; value > 0x7f; value >>>= 7) this.#bytes.push(value & 0x7f | 0x80);
    this.#bytes.push(value);
  }

  #append(bytes: Uint8Array): void {
    for (const byte of bytes) this.#bytes.push(byte);
  }
}

interface Field {
  readonly number: number;
  /** The low 32 bits of a varint, signed; the bytes of anything else, not copied. */
  readonly value: number | Uint8Array;
}

/**
 * The fields of a message, unknown ones included.
 *
 * @throws {NetworkError} `PROTOCOL` when it is too long or no message.
 */
function* fieldsOf(bytes: Uint8Array): Generator<Field, void, void> {
  if (bytes.length > MAX_MESSAGE_BYTES) {
    throw unreadable(`it has ${bytes.length} bytes, at most ${MAX_MESSAGE_BYTES} are taken`);
  }
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; shift < 70 && at < bytes.length; shift += 7) {
      const byte = bytes[at++];
      // A shift by 32 would be one by 0.
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw unreadable(
      at < bytes.length ? "a number has more than 64 bits" : "it ends in the middle",
    );
  };
  const take = (length: number) => {
    if (length > bytes.length - at) throw unreadable("it ends in the middle");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint() >>> 0;
    const number = tag >>> 3;
    switch (tag & 7) {
      case VARINT:
        yield { number, value: varint() };
        break;
      case FIXED64:
        yield { number, value: take(8) };
        break;
      case BYTES:
        yield { number, value: take(varint() >>> 0) };
        break;
      case FIXED32:
        yield { number, value: take(4) };
        break;
      default:
        throw unreadable(`wire type ${tag & 7} is unknown`);
    }
  }
}

function bytesOf(value: number | Uint8Array): Uint8Array {
  if (typeof value === "number") throw unreadable("a number is where bytes belong");
  return value;
}

function numberOf(value: number | Uint8Array): number {
  if (typeof value !== "number") throw unreadable("bytes are where a number belongs");
  return value;
}

function doubleOf(value: number | Uint8Array): number {
  const bytes = bytesOf(value);
  if (bytes.length !== 8) throw unreadable("a double does not have 8 bytes");
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true);
}

function shortText(value: number | Uint8Array): string {
  return safeName(decoder.decode(bytesOf(value)), MAX_ID_LENGTH);
}

function tooMany(what: string, limit: number): NetworkError {
  return unreadable(`it has more than ${limit} ${what}`);
}

function unreadable(reason: string): NetworkError {
  return new NetworkError("PROTOCOL", `Cannot read the message of an existing peer: ${reason}.`);
}
