/** This machine's network interfaces, and on which of them to look for peers. */

/** One IPv4 address of one interface. */
export interface NetworkInterface {
  /** As the system calls it: `eth0`, `en0`, `lo`. */
  readonly name: string;
  readonly address: string;
  readonly netmask: string;
}

/** Which interfaces to use. */
export interface InterfaceChoice {
  /** Exactly these, `lo` for the loopback; empty: every one that may lead to a peer. */
  readonly names: readonly string[];
  /** Whether to leave this machine at all. */
  readonly lan: boolean;
}

/**
 * Interfaces that lead to containers and virtual machines of this machine, not to devices. macOS
 * numbers the bridges to its virtual machines from 100; its bridge0 is the one over Thunderbolt.
 */
const INTERNAL =
  /^(docker|br-|veth|cni|podman|lxc|lxd|incus|flannel|cali|weave|virbr|vmnet|vboxnet|bridge1\d\d|utun|awdl|llw|gif)/;
/**
 * The same on Windows, which calls them by sentences. A `vEthernet` of another name may be the
 * machine's own card behind a virtual switch.
 */
const INTERNAL_ON_WINDOWS =
  /^(vEthernet \((WSL|Default Switch|nat)\b|VMware Network Adapter VMnet|VirtualBox Host-Only|Hyper-V)/i;

/** The interfaces of `all` on which to look for peers. */
export function chooseInterfaces(
  all: readonly NetworkInterface[],
  choice: InterfaceChoice,
): NetworkInterface[] {
  const chosen = all.filter((one) => whyLeftOut(one, choice) === undefined);
  // Loopback too: several nodes of one machine may have no other way to meet. Last: whoever can be
  // reached on a network is to be dialled there.
  return [...chosen.filter((one) => !isLoopback(one)), ...chosen.filter(isLoopback)];
}

/** A network of a single address: a tunnel's, or one that is routed to this machine. */
const NO_BROADCAST = "it has no broadcast";

/** Why peers are not looked for on an interface; undefined when they are. */
export function whyLeftOut(one: NetworkInterface, choice: InterfaceChoice): string | undefined {
  if (choice.names.length > 0) {
    if (!isNamed(one, choice.names)) return "others were asked for by name";
    return hasBroadcast(one) ? undefined : NO_BROADCAST;
  }
  if (isLoopback(one)) return undefined;
  if (!choice.lan) return "this node keeps to its machine";
  if (!hasBroadcast(one)) return NO_BROADCAST;
  return INTERNAL.test(one.name) || INTERNAL_ON_WINDOWS.test(one.name)
    ? "it leads to containers or virtual machines of this machine"
    : undefined;
}

/** `lo` is the loopback on every system, whatever that one calls it. */
function isNamed(one: NetworkInterface, names: readonly string[]): boolean {
  return names.includes(one.name) || (names.includes("lo") && isLoopback(one));
}

function hasBroadcast(one: NetworkInterface): boolean {
  return isLoopback(one) || one.netmask !== "255.255.255.255";
}

/** Whether `address` can only be reached on this machine. */
export function isLoopback({ address }: { address: string }): boolean {
  return octets(address)?.[0] === 127;
}

/** The interface on whose network `host` is; undefined when it is beyond a router, or a name. */
export function interfaceTo(
  host: string,
  all: readonly NetworkInterface[],
): NetworkInterface | undefined {
  const plain = host.replace(/^::ffff:/i, "");
  if (octets(plain) === undefined) return undefined;
  return all.find((one) => broadcastAddress({ ...one, address: plain }) === broadcastAddress(one));
}

/** The address that reaches everybody on the interface's network (RFC 919). */
export function broadcastAddress({ address, netmask }: NetworkInterface): string {
  const mask = octets(netmask) ?? [255, 255, 255, 255];
  return (octets(address) ?? []).map((octet, i) => octet | (~mask[i] & 0xff)).join(".");
}

/**
 * Whether `host` is an address that the public internet does not route: loopback, link-local,
 * RFC 1918, RFC 6598 (which Tailscale uses), or the unique-local range of IPv6.
 */
export function isPrivateAddress(host: string): boolean {
  const plain = host.replace(/^::ffff:/i, "");
  if (plain.includes(":")) return /^(::1$|f[cd][\da-f]{2}:|fe[89ab][\da-f]:)/i.test(plain);
  const [a, b] = octets(plain) ?? [0, 0];
  return a === 127 || a === 10 || (a === 192 && b === 168) || (a === 172 && b >= 16 && b <= 31) ||
    (a === 169 && b === 254) || (a === 100 && b >= 64 && b <= 127);
}

/** A host's name may begin like an address: only four plain numbers are one. */
function octets(address: string): number[] | undefined {
  const numbers = address.split(".").map((part) => /^(0|[1-9]\d{0,2})$/.test(part) ? +part : NaN);
  return numbers.length === 4 && numbers.every((octet) => octet <= 255) ? numbers : undefined;
}
