/**
 * A LAN of several hosts on this machine, with all that can go wrong on one.
 *
 * Each host is a network namespace without a default route. Its cables end at a switch, which is a
 * bridge in a namespace that holds nothing else, so that nothing of a LAN is ever seen on an
 * interface of the machine. Packets get lost in the switch, where no sender can notice.
 *
 * Needs Linux, root, `ip` (iproute2) and `nft` (nftables); see {@linkcode lanUnavailable}.
 *
 * @module
 */

import { type StartOptions, startProcess, type TestProcess } from "./process.ts";

/** How many networks there are; each has a switch of its own, and nothing leads across. */
const NETWORKS = 2;

/**
 * Not 24, so that whoever assumes a /24 reaches nobody: no two hosts share their first three
 * octets, and what would be their broadcast address belongs to no one.
 */
const PREFIX_LENGTH = 20;

/** How many third octets a network has. */
const THIRD_OCTETS = 2 ** (24 - PREFIX_LENGTH);

/** Every namespace of a LAN: this, the process that made it, and a random number. */
const NAMESPACE = /^hanzo-lan-(\d+)-/;

/** A port of a switch with the cable to one interface of a host. */
interface Cable {
  readonly network: number;
  /** The interface's name in the host: `eth0`, `eth1`. */
  readonly device: string;
  /** The port's name at the switch: `a.0`. */
  readonly port: string;
  address: string;
}

interface Host {
  readonly namespace: string;
  readonly cables: Cable[];
}

/** What a switch does to packets. */
interface Faults {
  readonly lossPercent: ReadonlyMap<string, number>;
  /** Hosts that nothing reaches. */
  readonly deaf: ReadonlySet<string>;
  /** Hosts of which nothing gets out. */
  readonly mute: ReadonlySet<string>;
  readonly groups: readonly (readonly string[])[];
}

const NO_FAULTS: Faults = { lossPercent: new Map(), deaf: new Set(), mute: new Set(), groups: [] };

/**
 * Why there can be no {@linkcode Lan} on this machine, and how to get it; undefined if there can.
 *
 * @example
 * ```ts ignore
 * const unavailable = await lanUnavailable();
 * const ignore = skipUnless(unavailable === undefined, `hosts on a LAN: ${unavailable}`);
 * Deno.test({ name: "two hosts find each other", ignore, fn: async () => { … } });
 * ```
 */
export async function lanUnavailable(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "network namespaces exist on Linux only";
  try {
    await using lan = await Lan.of("probe");
    await lan.loss("probe", 1);
  } catch (error) {
    const { message } = error as Error;
    return `${message} (needs root, and: apt-get install iproute2 nftables)`;
  }
}

/**
 * Hosts and their faults. Disposing of it ends all processes of the hosts and removes every trace;
 * traces of a process that could not do so are removed when the next LAN is made.
 *
 * @example
 * ```ts ignore
 * await using lan = await Lan.of("a", "b");
 * await using node = lan.start("a", Deno.execPath(), ["run", "-A", "cli.ts", "up"]);
 * await lan.partition(["a"], ["b"]);
 * await lan.heal();
 * ```
 */
export class Lan implements AsyncDisposable {
  readonly #switch = `hanzo-lan-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
  readonly #hosts = new Map<string, Host>();
  readonly #processes: TestProcess[] = [];
  #faults = NO_FAULTS;
  #addressesGiven = 0;
  #lastChange: Promise<void> = Promise.resolve();

  private constructor() {}

  /** A LAN of these hosts, each with one interface. */
  static async of(...hosts: string[]): Promise<Lan> {
    await sweep();
    const lan = new Lan();
    try {
      await lan.#makeSwitches();
      await Promise.all(hosts.map((host) => lan.addHost(host)));
    } catch (error) {
      await lan[Symbol.asyncDispose]();
      throw error;
    }
    return lan;
  }

  /**
   * Adds a host.
   *
   * @param name At most twelve letters and digits.
   * @param networks The networks that it is on, 0 or 1, by an interface each: `eth0`, `eth1`.
   */
  async addHost(name: string, networks: readonly number[] = [0]): Promise<void> {
    if (!/^[a-z\d]{1,12}$/i.test(name) || this.#hosts.has(name)) {
      throw new Error(`Cannot add host ${JSON.stringify(name)}: no name, or taken.`);
    }
    const namespace = `${this.#switch}-${name}`;
    this.#hosts.set(name, { namespace, cables: [] });
    await command("ip", "netns", "add", namespace);
    await inside(namespace, "link", "set", "lo", "up");
    for (const network of networks) await this.connect(name, network);
  }

  /** Gives a host one more interface, on a network that it is not on yet. */
  async connect(host: string, network: number): Promise<void> {
    const { namespace, cables } = this.#host(host);
    const [device, port] = [`eth${cables.length}`, `${host}.${network}`];
    const address = this.#newAddress(network);
    cables.push({ network, device, port, address });
    const ends = [device, "netns", namespace, "type", "veth", "peer", port, "netns", this.#switch];
    await command("ip", "link", "add", ...ends);
    await inside(this.#switch, "link", "set", port, "master", `switch${network}`, "up");
    await giveAddress(namespace, device, address);
    await inside(namespace, "link", "set", device, "up");
  }

  /** The address of a host on a network. */
  address(host: string, network = 0): string {
    return this.#cable(host, network).address;
  }

  /** The address that reaches all hosts of a network. */
  broadcastAddress(network = 0): string {
    return `10.77.${(network + 1) * THIRD_OCTETS - 1}.255`;
  }

  /**
   * Starts a process in a host. Its pid is the process's own, so that signals reach it.
   *
   * @param host Where.
   * @param program The program, `Deno.execPath()` for a Deno program.
   * @param args Its arguments.
   * @param options In which folder, and with which variables.
   */
  start(
    host: string,
    program: string,
    args: readonly string[],
    options?: StartOptions,
  ): TestProcess {
    // `ip` becomes the program: it does not start it as its child.
    const inHost = ["netns", "exec", this.#host(host).namespace, program, ...args];
    const process = startProcess("ip", inHost, options);
    this.#processes.push(process);
    return process;
  }

  /**
   * Loses packets between a host and all others, in both directions. Between two hosts that lose
   * packets the greater loss counts, so that 10 % everywhere is 10 % of all packets.
   */
  loss(host: string, percent: number): Promise<void> {
    this.#host(host);
    return this.#change(({ lossPercent }) => ({
      lossPercent: new Map([...lossPercent, [host, percent]]),
    }));
  }

  /** Nothing reaches the host any more; what it sends gets out. */
  dropInbound(host: string): Promise<void> {
    this.#host(host);
    return this.#change(({ deaf }) => ({ deaf: new Set([...deaf, host]) }));
  }

  /** Nothing of the host gets out any more; it receives what others send. */
  dropOutbound(host: string): Promise<void> {
    this.#host(host);
    return this.#change(({ mute }) => ({ mute: new Set([...mute, host]) }));
  }

  /** Only hosts of the same group reach each other. Hosts in no group form one together. */
  partition(...groups: readonly string[][]): Promise<void> {
    for (const host of groups.flat()) this.#host(host);
    return this.#change(() => ({ groups }));
  }

  /** Ends losses, drops and partitions. Cables and interfaces stay as they are. */
  heal(): Promise<void> {
    return this.#change(() => NO_FAULTS);
  }

  /** Pulls a cable: the interface has no carrier, and keeps its address. */
  async unplug(host: string, network = 0): Promise<void> {
    await inside(this.#switch, "link", "set", this.#cable(host, network).port, "down");
  }

  /** Plugs a cable in again. */
  async plug(host: string, network = 0): Promise<void> {
    await inside(this.#switch, "link", "set", this.#cable(host, network).port, "up");
  }

  /** Switches an interface of a host off: its routes are gone, and sending fails. */
  async linkDown(host: string, network = 0): Promise<void> {
    const { device } = this.#cable(host, network);
    await inside(this.#host(host).namespace, "link", "set", device, "down");
  }

  /** Switches an interface on again. */
  async linkUp(host: string, network = 0): Promise<void> {
    const { device } = this.#cable(host, network);
    await inside(this.#host(host).namespace, "link", "set", device, "up");
  }

  /**
   * Takes the address of an interface away and gives it another one, as a new lease does.
   *
   * @returns The new address.
   */
  async changeAddress(host: string, network = 0): Promise<string> {
    const { namespace } = this.#host(host);
    const cable = this.#cable(host, network);
    await inside(namespace, "addr", "flush", "dev", cable.device, "scope", "global");
    cable.address = this.#newAddress(network);
    await giveAddress(namespace, cable.device, cable.address);
    return cable.address;
  }

  /** Gives a host's first interface one more address, such as `100.64.0.1/10`. */
  async addAddress(host: string, cidr: string): Promise<void> {
    const { namespace } = this.#host(host);
    await inside(namespace, "addr", "add", cidr, "dev", this.#cable(host, 0).device);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.splice(0).map((one) => one[Symbol.asyncDispose]()));
    await this.#lastChange.catch(() => {});
    const namespaces = [...this.#hosts.values()].map(({ namespace }) => namespace);
    this.#hosts.clear();
    await Promise.all([...namespaces, this.#switch].map(removeNamespace));
  }

  async #makeSwitches(): Promise<void> {
    await command("ip", "netns", "add", this.#switch);
    for (let network = 0; network < NETWORKS; network++) {
      await inside(this.#switch, "link", "add", `switch${network}`, "type", "bridge");
      await inside(this.#switch, "link", "set", `switch${network}`, "up");
    }
  }

  /** Never one that was given before; the next host's differs in the third octet, too. */
  #newAddress(network: number): string {
    const number = this.#addressesGiven++;
    return `10.77.${network * THIRD_OCTETS + number % THIRD_OCTETS}.${10 + number}`;
  }

  #host(name: string): Host {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new Error(`There is no host ${JSON.stringify(name)}.`);
    return host;
  }

  #cable(host: string, network: number): Cable {
    const cable = this.#host(host).cables.find((one) => one.network === network);
    if (cable === undefined) throw new Error(`Host ${host} is not on network ${network}.`);
    return cable;
  }

  /** One change after the other: each replaces all rules of the switch. */
  #change(change: (faults: Faults) => Partial<Faults>): Promise<void> {
    this.#faults = { ...this.#faults, ...change(this.#faults) };
    const rules = this.#rules();
    return this.#lastChange = this.#lastChange.catch(() => {}).then(() =>
      command("ip", "netns", "exec", this.#switch, "nft", rules)
    );
  }

  /** One rule for every direction between two hosts in which packets get lost. */
  #rules(): string {
    const ports = [...this.#hosts].flatMap(([host, { cables }]) =>
      cables.map(({ port, network }) => ({ port, network, host }))
    );
    const drops = ports.flatMap((from) =>
      ports.flatMap((to) => {
        const permille = Math.round(10 * lossPercent(this.#faults, from.host, to.host));
        if (from.host === to.host || from.network !== to.network || permille === 0) return [];
        const chance = permille < 1000 ? `numgen random mod 1000 < ${permille}` : "";
        return `iifname "${from.port}" oifname "${to.port}" ${chance} drop`;
      })
    );
    // Named first so that there is something to delete; all of it takes effect at once.
    return [
      "table bridge lan",
      "delete table bridge lan",
      "table bridge lan { chain forward {",
      "type filter hook forward priority 0; policy accept;",
      ...drops,
      "}",
      "}",
    ].join("\n");
  }
}

/** How many percent of the packets from one host to another get lost. */
function lossPercent(faults: Faults, from: string, to: string): number {
  const group = (host: string) => faults.groups.findIndex((hosts) => hosts.includes(host));
  if (faults.mute.has(from) || faults.deaf.has(to) || group(from) !== group(to)) return 100;
  return Math.max(faults.lossPercent.get(from) ?? 0, faults.lossPercent.get(to) ?? 0);
}

function giveAddress(namespace: string, device: string, address: string): Promise<void> {
  const withPrefix = `${address}/${PREFIX_LENGTH}`;
  return inside(namespace, "addr", "add", withPrefix, "broadcast", "+", "dev", device);
}

/** Removes the LANs of processes that are gone. */
async function sweep(): Promise<void> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir("/run/netns")) names.push(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  for (const name of names) {
    const pid = NAMESPACE.exec(name)?.[1];
    if (pid !== undefined && !await exists(`/proc/${pid}`)) await removeNamespace(name);
  }
}

/** Removes a namespace, with the processes in it, if it is there. */
async function removeNamespace(name: string): Promise<void> {
  if (!await exists(`/run/netns/${name}`)) return;
  const pids = (await output("ip", "netns", "pids", name)).split("\n").filter(Boolean).map(Number);
  for (const pid of pids) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch (error) {
      // It ended by itself meanwhile.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  await command("ip", "netns", "delete", name);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Runs `ip` for a namespace. */
function inside(namespace: string, ...args: string[]): Promise<void> {
  return command("ip", "-netns", namespace, ...args);
}

async function command(program: string, ...args: string[]): Promise<void> {
  await output(program, ...args);
}

async function output(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null" })
    .output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  const [shown] = [program, ...args].join(" ").split("\n", 1);
  throw new Error(`${shown}: ${decoder.decode(stderr).trim()}`);
}
