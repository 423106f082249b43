/** Which hosts a tool may reach: the list of the node's owner, and what addresses they may have. */

import { NetworkError } from "../../base/errors.ts";

/** Where an address leads. */
export type AddressKind = "public" | "private" | "loopback";

/** One entry of the list. */
interface Entry {
  /** As a URL has it, or what comes behind the `*`. */
  readonly host: string;
  readonly isWildcard: boolean;
  /** Undefined: the scheme's own. */
  readonly port: number | undefined;
}

/** `api.example.com`, `*.example.com`, `[::1]:8080`, `192.168.1.5:8123`. */
const ENTRY = /^(\*\.)?(\[[0-9a-f:.]+\]|[^\s:/?#@[\]*]+)(?::(\d{1,5}))?$/i;
const MAX_ENTRIES = 1_000;

/** See the top of the file. */
export class AllowedHosts {
  readonly #entries: readonly Entry[];
  /** As people have written them. */
  readonly names: readonly string[];

  /**
   * @param action What cannot be done otherwise: `Cannot create tool "http_request"`.
   * @throws {NetworkError} `INVALID_ARGUMENT` naming what is no host.
   */
  constructor(hosts: readonly string[], action: string) {
    if (!Array.isArray(hosts) || hosts.length > MAX_ENTRIES) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `${action}: allowHosts is no list of at most ${MAX_ENTRIES} hosts.`,
      );
    }
    this.#entries = hosts.map((host) => entryOf(host, action));
    this.names = Object.freeze([...hosts]);
  }

  /** Whether a URL may be asked for at all. */
  allows(url: URL): boolean {
    return this.#entriesFor(url).length > 0;
  }

  /**
   * Whether the host of a URL may have an address of this kind: a name that is meant for the world
   * must not lead into the house. Names of the house are listed as they are; what leads to this
   * device itself, or to what a provider keeps beside it, is listed by its address.
   */
  allowsAddress(url: URL, kind: AddressKind): boolean {
    if (kind === "public") return true;
    const exact = this.#entriesFor(url).filter(({ isWildcard }) => !isWildcard);
    if (kind === "private") return exact.length > 0;
    return exact.some(({ host }) => host === "localhost" || addressIn(host) !== undefined);
  }

  #entriesFor({ protocol, hostname, port }: URL): Entry[] {
    if (protocol !== "http:" && protocol !== "https:") return [];
    const asked = port === "" ? undefined : Number(port);
    const name = hostname.replace(/\.$/, "");
    const usual = protocol === "https:" ? 443 : 80;
    return this.#entries.filter((entry) =>
      (entry.port ?? usual) === (asked ?? usual) &&
      (entry.isWildcard ? name.endsWith(`.${entry.host}`) : name === entry.host)
    );
  }
}

function entryOf(text: unknown, action: string): Entry {
  const [, star, host, port] = ENTRY.exec(String(text)) ?? [];
  // As a URL writes it: lower case, punycode, addresses in full.
  const written = host === undefined ? undefined : URL.parse(`http://${host}`)?.hostname;
  const isRight = written !== undefined && written !== "" && typeof text === "string" &&
    (port === undefined || (Number(port) >= 1 && Number(port) <= 65_535)) &&
    (star === undefined || addressIn(written) === undefined);
  if (!isRight) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `${action}: ${JSON.stringify(text)} is no host. Write api.example.com, *.example.com or ` +
        "192.168.1.5:8123, without a scheme.",
    );
  }
  return {
    host: written.replace(/\.$/, ""),
    isWildcard: star !== undefined,
    port: port === undefined ? undefined : Number(port),
  };
}

/** The address that a host is, instead of a name. */
export function addressIn(host: string): string | undefined {
  if (host.startsWith("[")) return host.slice(1, -1);
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(host) ? host : undefined;
}

/** Ranges of IPv4 that are not the world: first address, bits, kind. */
const RANGES: readonly (readonly [string, number, AddressKind])[] = [
  ["0.0.0.0", 8, "loopback"],
  ["127.0.0.0", 8, "loopback"],
  // Link-local: where clouds keep the keys of their machines.
  ["169.254.0.0", 16, "loopback"],
  ["10.0.0.0", 8, "private"],
  ["100.64.0.0", 10, "private"],
  ["172.16.0.0", 12, "private"],
  ["192.0.0.0", 24, "private"],
  ["192.168.0.0", 16, "private"],
  ["198.18.0.0", 15, "private"],
  ["224.0.0.0", 3, "private"],
];

/** Where an address leads; what is none is treated as this device. */
export function kindOf(address: string): AddressKind {
  if (!address.includes(":")) return kindOfIPv4(address);
  const groups = groupsOf(address);
  if (groups === undefined) return "loopback";
  const [first, second, ...rest] = groups;
  const last = `${groups[6] >> 8}.${groups[6] & 255}.${groups[7] >> 8}.${groups[7] & 255}`;
  if (groups.slice(0, 5).every((group) => group === 0)) {
    // ::, ::1, and IPv4 in one of its two old coats.
    return groups[5] === 0xffff || groups[6] !== 0 ? kindOfIPv4(last) : "loopback";
  }
  // NAT64, and 6to4, lead to an IPv4 address.
  if (first === 0x64 && second === 0xff9b && rest.slice(0, 4).every((group) => group === 0)) {
    return kindOfIPv4(last);
  }
  if (first === 0x64 && second === 0xff9b) return "private";
  if (first === 0x2002) {
    const [third] = rest;
    return kindOfIPv4(`${second >> 8}.${second & 255}.${third >> 8}.${third & 255}`);
  }
  if ((first & 0xffc0) === 0xfe80) return "loopback";
  // Of the world are only 2000::/3.
  return (first & 0xe000) === 0x2000 ? "public" : "private";
}

function kindOfIPv4(address: string): AddressKind {
  const value = numberOf(address);
  if (value === undefined) return "loopback";
  const range = RANGES.find(([first, bits]) =>
    Math.floor(value / 2 ** (32 - bits)) === Math.floor(numberOf(first)! / 2 ** (32 - bits))
  );
  return range?.[2] ?? "public";
}

function numberOf(address: string): number | undefined {
  const parts = address.split(".").map(Number);
  const isRight = parts.length === 4 && parts.every((part) => part >= 0 && part <= 255);
  return isRight ? parts.reduce((sum, part) => sum * 256 + part, 0) : undefined;
}

/** The eight groups of an IPv6 address; undefined where it is none. */
function groupsOf(address: string): number[] | undefined {
  // A URL writes it without dots, and without what it leaves out.
  const written = URL.parse(`http://[${address.replace(/%.*$/, "")}]`)?.hostname.slice(1, -1);
  if (written === undefined) return undefined;
  const [head, tail] = written.split("::");
  const groups = (text: string | undefined) =>
    text ? text.split(":").map((group) => Number.parseInt(group, 16)) : [];
  if (tail === undefined) return groups(head);
  const [before, after] = [groups(head), groups(tail)];
  return [...before, ...new Array(8 - before.length - after.length).fill(0), ...after];
}
