/**
 * Posture attributes of the devices of a tailnet, over Tailscale's API: where nodes write at which
 * port they are, so that it need not be the known one. Existing peers read and write the same ones.
 */

import { z } from "zod";
import { parseBoundedJson } from "../base/bounded_json.ts";
import type { Clock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { isLabel } from "../base/safe_text.ts";
import { parseWith } from "../base/schema.ts";
import { stoppable } from "../base/stoppable.ts";
import type { NodeDescription } from "../membership/node_description.ts";
import { tailnetAddresses } from "./tailscale_status.ts";

/** What a node says of itself in its device's attributes. */
export type Advertiser = Pick<NodeDescription, "nodeId" | "listenPort" | "capabilities">;

/** What a device's attributes say of the node on it. */
export interface Advert {
  /** Its label, where the attribute leaves no doubt about it. */
  readonly nodeId?: string;
  /** Where it accepts links. */
  readonly port?: number;
}

/** What {@linkcode TailscaleAttributes} is made of. */
export interface TailscaleAttributesOptions {
  readonly clock: Clock;
  /** An access token of the API, with the right to read and write devices. A secret. */
  readonly apiKey: string;
  /**
   * The tailnet's name.
   *
   * @default {"-"} the one that the key belongs to
   */
  readonly tailnet?: string;
  /** @default {"https://api.tailscale.com"} */
  readonly baseUrl?: string;
  /** This node, as its attributes are to describe it. */
  readonly self: () => Advertiser;
}

/** Whose attributes are of interest, by addresses in the tailnet. */
export interface AttributesOf {
  /** This device's addresses. */
  readonly own: readonly string[];
  /** The addresses of the devices that can be reached now. */
  readonly peers: readonly string[];
}

/** For each request, in milliseconds. */
const REQUEST_TIMEOUT_MS = 5_000;
/** A device takes about 1 KiB. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** A device is present when it was seen this short ago, in milliseconds. */
const PRESENT_MS = 30_000;
/** The API takes no longer texts, and of all characters only letters, digits, `_` and `.`. */
const MAX_VALUE_LENGTH = 50;

const NODE_ID = "custom:exo_node_id";
const NODE_PORT = "custom:exo_node_port";
const CAPABILITY = "custom:exo_device_capability_";

interface Device {
  readonly id: string;
  readonly addresses: readonly string[];
  /** Whether it belongs to another tailnet, whose attributes are not ours to read. */
  readonly isExternal: boolean;
  readonly isPresent: boolean;
}

/** It becomes part of a path. */
const idSchema = z.string().regex(/^[A-Za-z\d]{1,64}$/);
const deviceSchema = z.object({
  // Either will do for the API; existing peers know the older one only.
  nodeId: idSchema.optional().catch(undefined),
  id: idSchema.optional().catch(undefined),
  addresses: z.array(z.string()),
  isExternal: z.boolean().catch(false),
  connectedToControl: z.boolean().catch(false),
  lastSeen: z.string().catch(""),
});
const devicesSchema = z.object({ devices: z.array(z.unknown()) });
/** A `_` may have been a `-`, and the longest value may have been longer: nothing to insist on. */
const certainLabel = z.string().max(MAX_VALUE_LENGTH - 1).regex(/^[^_]*$/).refine(isLabel);
/** Existing peers write it as a text; whoever wrote it first may have written a number. */
const port = z.union([z.string().regex(/^\d{1,5}$/).transform(Number), z.number()])
  .pipe(z.number().int().min(1).max(65_535));
const attributesSchema = z.object({
  attributes: z.object({
    [NODE_ID]: certainLabel.optional().catch(undefined),
    [NODE_PORT]: port.optional().catch(undefined),
  }),
});

/** Keeps this device's attributes up to date and reads those of its peers. */
export class TailscaleAttributes {
  readonly #clock: Clock;
  readonly #self: () => Advertiser;
  readonly #base: URL;
  readonly #devicesPath: string;
  // Private, as nothing else of an object is left out when it is printed.
  readonly #apiKey: string;
  /** By address. */
  #adverts: ReadonlyMap<string, Advert> = new Map();
  #written = { deviceId: "", values: new Map<string, string>() };

  /** @throws {NetworkError} `INVALID_ARGUMENT` when the key cannot be one. */
  constructor(options: TailscaleAttributesOptions) {
    const { clock, self, apiKey, tailnet = "-", baseUrl = "https://api.tailscale.com" } = options;
    if (!/^[\x21-\x7e]{1,512}$/.test(apiKey)) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        "Cannot use Tailscale's API: the key that was given has spaces or other characters that " +
          "no key has. Copy it anew from https://login.tailscale.com/admin/settings/keys",
      );
    }
    this.#clock = clock;
    this.#self = self;
    this.#apiKey = apiKey;
    this.#base = new URL(baseUrl);
    this.#devicesPath = `tailnet/${encodeURIComponent(tailnet)}/devices`;
  }

  /** What is known of the node on the device that has one of `addresses`. */
  advertOf(addresses: readonly string[]): Advert {
    return addresses.map((address) => this.#adverts.get(address)).find((one) => one) ?? {};
  }

  /**
   * Reads the peers' attributes, then writes what has changed of this device's. What was read is
   * kept when a later request fails: a key that may only read still tells where the peers are.
   *
   * @throws {NetworkError} The first request that failed; with `retryAfterMs` where the API set it.
   */
  async exchange(of: AttributesOf, signal: AbortSignal): Promise<void> {
    const devices = await this.#listDevices(signal);
    const unreadable = await this.#read(devices, new Set(of.peers), signal);
    await this.#write(devices, new Set(of.own), signal);
    if (unreadable !== undefined) throw unreadable;
  }

  async #listDevices(signal: AbortSignal): Promise<Device[]> {
    const body = await this.#request("GET", this.#devicesPath, signal);
    const { devices } = parseWith(devicesSchema, body, "PROTOCOL", NOT_UNDERSTOOD);
    return devices.flatMap((device) => this.#readDevice(device));
  }

  #readDevice(value: unknown): Device[] {
    const parsed = deviceSchema.safeParse(value);
    const id = parsed.data?.nodeId ?? parsed.data?.id;
    if (!parsed.success || id === undefined) return [];
    const { isExternal, connectedToControl, lastSeen } = parsed.data;
    // What is no date gives NaN, which compares as false.
    const wasSeen = this.#clock.wallTime() - Date.parse(lastSeen) <= PRESENT_MS;
    const addresses = tailnetAddresses(parsed.data.addresses);
    return [{ id, addresses, isExternal, isPresent: connectedToControl || wasSeen }];
  }

  /** Says why one of them could not be understood; the others are read all the same. */
  async #read(
    devices: readonly Device[],
    peers: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<NetworkError | undefined> {
    const adverts = new Map<string, Advert>();
    const note = ({ addresses }: Device, advert: Advert) => {
      for (const address of addresses) adverts.set(address, advert);
    };
    // What is not read this time stays as it was, for as long as the device is listed.
    for (const device of devices) note(device, this.advertOf(device.addresses));
    this.#adverts = adverts;
    let unreadable: NetworkError | undefined;
    for (const device of devices) {
      const { id, addresses, isExternal, isPresent } = device;
      if (isExternal || !isPresent || !addresses.some((address) => peers.has(address))) continue;
      try {
        note(device, parseAdvert(await this.#request("GET", `device/${id}/attributes`, signal)));
      } catch (thrown) {
        const failure = NetworkError.from(thrown);
        if (failure.code === "PROTOCOL") unreadable = failure;
        // It was removed from the tailnet a moment ago.
        else if (failure.code !== "NOT_FOUND") throw failure;
      }
    }
    return unreadable;
  }

  async #write(devices: readonly Device[], own: ReadonlySet<string>, signal: AbortSignal) {
    const device = devices.find(({ addresses }) => addresses.some((address) => own.has(address)));
    if (device === undefined) {
      throw new NetworkError(
        "NOT_FOUND",
        "Cannot write this device's attributes: it is not among the devices of the tailnet. " +
          "Is the API key of another tailnet?",
      );
    }
    if (this.#written.deviceId !== device.id) {
      this.#written = { deviceId: device.id, values: new Map() };
    }
    const { values } = this.#written;
    for (const [key, value] of attributesOf(this.#self())) {
      if (values.get(key) === value) continue;
      await this.#request("POST", `device/${device.id}/attributes/${key}`, signal, { value });
      values.set(key, value);
    }
  }

  /** One request; the value of the JSON in its answer. */
  async #request(
    method: "GET" | "POST",
    path: string,
    signal: AbortSignal,
    body?: unknown,
  ): Promise<unknown> {
    await this.#checkPermission();
    const url = new URL(`/api/v2/${path}`, this.#base);
    const late = new AbortController();
    const cancelTimer = this.#clock.after(REQUEST_TIMEOUT_MS, () => late.abort());
    try {
      const either = AbortSignal.any([signal, late.signal]);
      const answer = await fetch(url, {
        method,
        headers: {
          authorization: `Bearer ${this.#apiKey}`,
          ...body === undefined ? {} : { "content-type": "application/json" },
        },
        body: body === undefined ? null : JSON.stringify(body),
        // The key goes to whom it was given for, and to nobody whom he names.
        redirect: "manual",
        signal: either,
      });
      const response = stoppable(answer, either);
      if (!response.ok) {
        await response.body?.cancel();
        throw refusalOf(response);
      }
      const bytes = await readBody(response);
      return method === "GET" ? parseBoundedJson(bytes, { maxBytes: MAX_BODY_BYTES }) : undefined;
    } catch (thrown) {
      throw this.#explain(thrown, signal, late.signal);
    } finally {
      cancelTimer();
    }
  }

  #explain(thrown: unknown, signal: AbortSignal, late: AbortSignal): NetworkError {
    const { origin } = this.#base;
    if (signal.aborted) return new NetworkError("CANCELLED", "Stopped asking Tailscale's API.");
    if (late.aborted) {
      return new NetworkError(
        "DEADLINE_EXCEEDED",
        `Cannot use Tailscale's API: ${origin} did not answer within ${REQUEST_TIMEOUT_MS} ms. ` +
          "It is tried again.",
      );
    }
    if (thrown instanceof NetworkError) {
      if (thrown.code !== "PROTOCOL") return thrown;
      // What was wrong with it may differ from time to time, and is to be told once.
      return new NetworkError("PROTOCOL", `${NOT_UNDERSTOOD}. Is its address right?`, {
        cause: thrown,
      });
    }
    return new NetworkError(
      "UNAVAILABLE",
      `Cannot reach Tailscale's API at ${origin}: ${describeError(thrown)}. It is tried again.`,
      { cause: thrown },
    );
  }

  /** Without this, Deno would ask whoever sits at the terminal. */
  async #checkPermission(): Promise<void> {
    const { hostname, port, protocol } = this.#base;
    const host = `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
    const { state } = await Deno.permissions.query({ name: "net", host });
    if (state === "granted") return;
    throw new NetworkError(
      "PERMISSION_DENIED",
      `Cannot use Tailscale's API: not allowed. Grant it with --allow-net=${host}.`,
    );
  }
}

const NOT_UNDERSTOOD = "Cannot use Tailscale's API: its answer is none that this program knows";

/**
 * The attributes by which others find a node. All are texts, as all values of one key in a tailnet
 * must have one type, and existing peers write texts. What is not known is left out.
 */
export function attributesOf(
  { nodeId, listenPort, capabilities }: Advertiser,
): Map<string, string> {
  const { chip, model, memory, flops } = capabilities;
  const known: [string, string | number | null][] = [
    [NODE_ID, nodeId],
    [NODE_PORT, listenPort],
    [`${CAPABILITY}chip`, chip],
    [`${CAPABILITY}model`, model],
    [`${CAPABILITY}memory`, memory === null ? null : Math.round(memory)],
    [`${CAPABILITY}flops_fp16`, rounded(flops.fp16)],
    [`${CAPABILITY}flops_fp32`, rounded(flops.fp32)],
    [`${CAPABILITY}flops_int8`, rounded(flops.int8)],
  ];
  return new Map(known.flatMap(([key, value]) => value === null ? [] : [[key, clean(value)]]));
}

/** What the API takes; the `-` of a node id becomes `_`, like everything else it refuses. */
function clean(value: string | number): string {
  return String(value).replaceAll(/[^A-Za-z\d_.]/g, "_").slice(0, MAX_VALUE_LENGTH);
}

/** More digits than these would look like a measurement. */
function rounded(tflops: number | null): number | null {
  return tflops === null ? null : Math.round(tflops * 100) / 100;
}

/**
 * Reads the attributes of a device.
 *
 * @throws {NetworkError} `PROTOCOL` when it is no list of attributes.
 */
export function parseAdvert(body: unknown): Advert {
  const { attributes } = parseWith(attributesSchema, body, "PROTOCOL", NOT_UNDERSTOOD);
  const { [NODE_ID]: nodeId, [NODE_PORT]: port } = attributes;
  return {
    ...nodeId === undefined ? {} : { nodeId },
    ...port === undefined ? {} : { port },
  };
}

async function readBody(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    // Leaving the loop cancels the rest.
    if (length > MAX_BODY_BYTES) {
      throw new NetworkError("PROTOCOL", `More than ${MAX_BODY_BYTES} bytes.`);
    }
    chunks.push(chunk);
  }
  const body = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.length;
  }
  return body;
}

/** What its status says; the text that comes with it may say anything, and is not repeated. */
function refusalOf({ status, headers }: Response): NetworkError {
  const refuse = (code: NetworkError["code"], reason: string, retryAfterMs?: number) =>
    new NetworkError(code, `Cannot use Tailscale's API: ${reason}`, {
      ...retryAfterMs === undefined ? {} : { retryAfterMs },
    });
  switch (status) {
    case 401:
      return refuse(
        "PERMISSION_DENIED",
        "it does not know the key (401), which may have expired. Make a new one at " +
          "https://login.tailscale.com/admin/settings/keys",
      );
    case 403:
      return refuse(
        "PERMISSION_DENIED",
        "the key may not do this (403). It needs the right to read and write devices, and the " +
          "tailnet a plan with custom posture attributes.",
      );
    case 404:
      return refuse("NOT_FOUND", "there is no such tailnet or device (404). Is its name right?");
    case 429:
      return refuse(
        "RESOURCE_EXHAUSTED",
        "it was asked too often (429). It is asked again when it allows that.",
        retryAfterOf(headers),
      );
    default:
      return status >= 500
        ? refuse(
          "UNAVAILABLE",
          `it is out of order (${status}). It is tried again.`,
          retryAfterOf(headers),
        )
        : refuse("UNAVAILABLE", `it answered ${status}. Is its address right?`);
  }
}

/** Seconds; the other form, a date, is not used by those who limit rates. */
function retryAfterOf(headers: Headers): number | undefined {
  const seconds = Number(headers.get("retry-after") ?? NaN);
  return seconds >= 0 ? seconds * 1_000 : undefined;
}
