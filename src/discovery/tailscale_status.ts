/**
 * What `tailscale status --json` prints, read without trusting it: which devices of the tailnet are
 * worth a dial, and at which addresses.
 */

import { z } from "zod";
import { parseBoundedJson } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import { parseWith } from "../base/schema.ts";

/** A device of the tailnet, as Tailscale on this machine knows it. */
export interface TailscaleDevice {
  /** Its name in the tailnet's DNS without the last dot; where it has none, its first address. */
  readonly name: string;
  /** Within the tailnet's ranges only: IPv4 first, then IPv6; at least one. */
  readonly addresses: readonly string[];
  /** As Tailscale calls it: `linux`, `macOS`, `windows`, `iOS`, `android`, … */
  readonly os: string;
  /** Whether it is connected to Tailscale's control plane. */
  readonly online: boolean;
  /** Whether its key has expired: nobody can talk to it until it logs in again. */
  readonly expired: boolean;
  /** Whether it is here because something was shared with its owner: it may call, we cannot. */
  readonly sharee: boolean;
  readonly tags: readonly string[];
}

/** What Tailscale says of itself and of the tailnet. */
export interface TailscaleStatus {
  /** `Running`, or what it is instead: `NeedsLogin`, `Stopped`, `Starting`, … */
  readonly state: string;
  /** This device's addresses in the tailnet; none while it is not in one. */
  readonly addresses: readonly string[];
  /** All other devices that have an address, in the order of their names. */
  readonly devices: readonly TailscaleDevice[];
}

/** A tailnet of a thousand devices takes about 1 MiB. */
export const MAX_STATUS_BYTES = 8 * 1024 * 1024;

/** Programs do not run there, or not for long. */
const PHONES = new Set(["ios", "android", "tvos"]);
/** Hundreds of VPN servers, which are in the list of everybody who has booked them. */
const VPN_SERVER = "tag:mullvad-exit-node";
/** Its last part begins with a letter: four numbers would be an address. */
const DNS_NAME = /^(?=.{1,253}$)([a-z\d-]+\.)*[a-z][a-z\d-]*$/i;

/** A field that is missing, `null` or of another type is as good as none. */
const text = z.string().catch("");
const flag = z.boolean().catch(false);
const texts = z.array(z.unknown()).catch([]).transform((list) =>
  list.filter((one) => typeof one === "string")
);

const deviceSchema = z.object({
  DNSName: text,
  TailscaleIPs: texts,
  OS: text,
  Online: flag,
  Expired: flag,
  ShareeNode: flag,
  Tags: texts,
});

const statusSchema = z.object({
  BackendState: z.string(),
  Self: z.object({ TailscaleIPs: texts }).catch({ TailscaleIPs: [] }),
  Peer: z.record(z.string(), z.unknown()).catch({}),
});

const encoder = new TextEncoder();

/**
 * Reads what `tailscale status --json` printed. Fields that it does not know are left alone, and a
 * device of which nothing can be made is left out.
 *
 * @throws {NetworkError} `PROTOCOL` when it is no status at all.
 */
export function parseTailscaleStatus(stdout: string): TailscaleStatus {
  const { BackendState, Self, Peer } = parseWith(
    statusSchema,
    parseJson(stdout),
    "PROTOCOL",
    "Cannot find peers by Tailscale: its status is none that this program knows",
  );
  return {
    state: safeName(BackendState, 32),
    addresses: tailnetAddresses(Self.TailscaleIPs),
    devices: Object.values(Peer).flatMap(readDevice).sort((a, b) => compare(a.name, b.name)),
  };
}

/** The devices that may run a node and can be reached now. */
export function reachableDevices({ state, devices }: TailscaleStatus): TailscaleDevice[] {
  if (state !== "Running") return [];
  return devices.filter(({ online, expired, sharee, os, tags }) =>
    online && !expired && !sharee && !PHONES.has(os.toLowerCase()) && !tags.includes(VPN_SERVER)
  );
}

/** Why there are no peers, and what to do about it; undefined while Tailscale runs. */
export function problemOf({ state }: TailscaleStatus): string | undefined {
  if (state === "Running") return undefined;
  return `Cannot find peers by Tailscale: ${REASONS.get(state) ?? unknownState(state)}`;
}

const REASONS = new Map([
  ["NoState", "its service has not started yet. Start Tailscale, or wait a moment."],
  ["NeedsLogin", "this device is not logged in. Try: tailscale up"],
  [
    "NeedsMachineAuth",
    "this device waits to be approved. An administrator of the tailnet does that at " +
    "https://login.tailscale.com/admin/machines",
  ],
  ["InUseOtherUser", "another user of this machine is logged in. Log out there first."],
  ["Stopped", "it is stopped. Try: tailscale up"],
  ["Starting", "it is still starting. If that lasts, see: tailscale status"],
]);

function unknownState(state: string): string {
  return `it is in the state "${state}" and not running. See: tailscale status`;
}

/**
 * The addresses of `all` that are a tailnet's, IPv4 before IPv6: 100.64.0.0/10 and
 * fd7a:115c:a1e0::/48 (https://tailscale.com/kb/1033/ip-and-dns-addresses). Whoever can forge a
 * status cannot make this node dial anywhere else.
 */
export function tailnetAddresses(all: readonly string[]): string[] {
  const found = new Set([...all.flatMap(tailnetIpv4), ...all.flatMap(tailnetIpv6)]);
  return [...found].slice(0, MAX_ADDRESSES);
}

/** One of each family is usual. */
const MAX_ADDRESSES = 4;

function tailnetIpv4(text: string): string[] {
  const isPlain = /^100(\.(0|[1-9]\d{0,2})){3}$/.test(text);
  const [, second, third, fourth] = text.split(".").map(Number);
  const isWithin = second >= 64 && second <= 127 && third <= 255 && fourth <= 255;
  return isPlain && isWithin ? [text] : [];
}

function tailnetIpv6(text: string): string[] {
  if (!/^[\da-f:]{2,39}$/i.test(text)) return [];
  // The URL parser knows every way to write an address, and writes each in one (RFC 5952).
  const host = URL.parse(`http://[${text}]/`)?.hostname.slice(1, -1) ?? "";
  return host.startsWith("fd7a:115c:a1e0:") ? [host] : [];
}

function parseJson(stdout: string): unknown {
  try {
    return parseBoundedJson(encoder.encode(stdout), { maxBytes: MAX_STATUS_BYTES });
  } catch (cause) {
    // What it printed instead stays out of the message, which would else differ from time to time.
    throw new NetworkError(
      "PROTOCOL",
      "Cannot find peers by Tailscale: its command printed no status. Try: tailscale status --json",
      { cause },
    );
  }
}

function readDevice(value: unknown): TailscaleDevice[] {
  const parsed = deviceSchema.safeParse(value);
  if (!parsed.success) return [];
  const { DNSName, TailscaleIPs, OS, Online, Expired, ShareeNode, Tags } = parsed.data;
  const addresses = tailnetAddresses(TailscaleIPs);
  if (addresses.length === 0) return [];
  const name = DNSName.replace(/\.$/, "");
  return [{
    name: DNS_NAME.test(name) ? name : addresses[0],
    addresses,
    os: safeName(OS, 32),
    online: Online,
    expired: Expired,
    sharee: ShareeNode,
    tags: Tags,
  }];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
