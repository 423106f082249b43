/** Finds nodes where a person says that they are: in options, and in a file that may change. */

import { type CancelTimer, type Clock, every } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { isLabel, safeName } from "../base/safe_text.ts";
import type { Seed } from "../membership/seeds.ts";
import type { Discovery, DiscoverySink } from "./discovery.ts";
import { isHost, isIpAddress, isPort, MAX_PEERS_FILE_BYTES, parsePeersFile } from "./peers_file.ts";

/** A node that a person has named. */
export interface ManualPeer {
  /** A host name or an IP address. */
  readonly host: string;
  /** Where it accepts links, 1 to 65,535. */
  readonly port: number;
  /** The label that is expected there, if one is. */
  readonly nodeId?: string;
}

/** What {@linkcode ManualDiscovery} is made of. */
export interface ManualDiscoveryOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** This node, which may be in the file, too, so that all nodes can have the same. */
  readonly self: string;
  /** Those that are listed for as long as the node runs. */
  readonly peers: readonly ManualPeer[];
  /** The file that lists more, if any: see {@linkcode parsePeersFile}. */
  readonly file?: string;
  /** @default {systemFiles} */
  readonly files?: FilePort;
  /**
   * The addresses of a host, best first; rejects when its name is unknown.
   *
   * @default {systemResolve}
   */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
}

/** What is asked of the file system. */
export interface FilePort {
  /** A text that differs whenever the file has changed; undefined while there is none. */
  stamp(path: string): Promise<string | undefined>;
  /** What is in the file; of one that is too large, more than {@linkcode MAX_PEERS_FILE_BYTES}. */
  read(path: string): Promise<Uint8Array>;
}

/** The port of links in the specification, for a peer that is named without one. */
const DEFAULT_PORT = 5_681;
/** Between two looks at the file, in milliseconds: somebody waits for what they have saved. */
const LOOK_MS = 1_000;
/**
 * For so long after a change the file is read at each look, in milliseconds: the coarsest file
 * system counts time in steps of 2 s, and a second change within one leaves no trace.
 */
const SETTLE_MS = 2_000;
/** Between two resolutions of a name, in milliseconds: an address that has moved is found soon. */
const RESOLVE_MS = 30_000;
/** Names that are resolved at a time: each takes a thread of the process. */
const MAX_RESOLVING = 16;
/** Answers of the resolver that come within so many milliseconds are told together. */
const GATHER_MS = 5;

/**
 * Reads a peer as people write it: `host`, `host:port`, `[IPv6]` or `[IPv6]:port`.
 *
 * @example
 * ```ts
 * import { parsePeer } from "./manual.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parsePeer("gpu-server"), { host: "gpu-server", port: 5681 });
 * assertEquals(parsePeer("[fd00::4]:7000"), { host: "fd00::4", port: 7000 });
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` with what is wrong and how to write it.
 */
export function parsePeer(text: string): ManualPeer {
  const refused = (problem: string) =>
    new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot use the peer ${JSON.stringify(safeName(text))}: ${problem}. ` +
        `Write it as gpu-server, gpu-server:${DEFAULT_PORT} or [fd00::4]:${DEFAULT_PORT}.`,
    );
  if (text.includes("://")) throw refused("a peer has no scheme");
  if (/^[^[]*:[^[]*:/.test(text)) throw refused("an IPv6 address stands in brackets");
  const match = /^(?:\[([^\]]*:[^\]]*)\]|([^:]*))(?::(.*))?$/.exec(text);
  const [, v6, name = "", port = String(DEFAULT_PORT)] = match ?? [];
  const host = v6 ?? name;
  if (!isHost(host)) throw refused("it does not begin with a host name or an IP address");
  if (!/^\d{1,5}$/.test(port) || !isPort(Number(port))) {
    throw refused(`its port is ${JSON.stringify(safeName(port))}, expected 1 to 65535`);
  }
  return { host, port: Number(port) };
}

/** See the top of the file. */
export class ManualDiscovery implements Discovery {
  readonly name = "manual";
  readonly #options: ManualDiscoveryOptions;
  readonly #file: WatchedFile | undefined;
  readonly #names: Names;
  #sink: DiscoverySink | undefined;
  /** The last list that was told, as JSON. */
  #told = "[]";
  #cancelLook: CancelTimer = () => {};
  #cancelResolve: CancelTimer = () => {};
  #stopped = false;

  /** @throws {NetworkError} `INVALID_ARGUMENT` when one of `options.peers` can be none. */
  constructor(options: ManualDiscoveryOptions) {
    options.peers.forEach(checkPeer);
    const { clock, logger, file, files = systemFiles, resolve = systemResolve } = options;
    this.#options = options;
    this.#file = file === undefined ? undefined : new WatchedFile(file, files, clock, logger);
    this.#names = new Names(resolve, clock, logger, () => this.#tell());
  }

  /**
   * Lists what is known at once, and names as soon as they are resolved.
   *
   * @throws {NetworkError} When the file is there and cannot be used: `INVALID_ARGUMENT` with the
   * line, `PERMISSION_DENIED`, or `FAILED_PRECONDITION`.
   */
  async start(sink: DiscoverySink): Promise<void> {
    const { clock } = this.#options;
    this.#sink = sink;
    await this.#file?.look();
    // It may have been told to stop while it read.
    if (this.#stopped) return;
    this.#refresh();
    this.#cancelResolve = every(clock, RESOLVE_MS, () => this.#names.resolve(this.#hosts()));
    if (this.#file !== undefined) this.#lookLater(this.#file);
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelLook();
    this.#cancelResolve();
    this.#names.stop();
    return Promise.resolve();
  }

  /** The next look waits for the last one: a disk that hangs does not make them pile up. */
  #lookLater(file: WatchedFile): void {
    this.#cancelLook = this.#options.clock.after(LOOK_MS, async () => {
      const hasChanged = await file.lookAgain();
      if (this.#stopped) return;
      if (hasChanged) this.#refresh();
      this.#lookLater(file);
    });
  }

  #refresh(): void {
    this.#names.resolve(this.#hosts());
    this.#tell();
  }

  #tell(): void {
    const seeds = this.#peers().map(({ host, port, nodeId }): Seed => {
      const { addresses, problem } = this.#names.of(host);
      return {
        host,
        port,
        addresses,
        ...nodeId !== undefined && { nodeId },
        ...problem !== undefined && { problem },
      };
    });
    const told = JSON.stringify(seeds);
    if (told === this.#told) return;
    this.#told = told;
    this.#sink?.listed(this.name, seeds);
  }

  #hosts(): Set<string> {
    return new Set(this.#peers().map(({ host }) => host));
  }

  /** Those of both sources without this node; an address is not listed once more without its id. */
  #peers(): ManualPeer[] {
    const { peers, self } = this.#options;
    const all = [...peers, ...this.#file?.peers ?? []];
    const placeOf = ({ host, port }: ManualPeer) => `${host} ${port}`;
    const named = new Set(all.filter(({ nodeId }) => nodeId !== undefined).map(placeOf));
    const distinct = new Map<string, ManualPeer>();
    for (const peer of all) {
      const { nodeId } = peer;
      if (nodeId === self || (nodeId === undefined && named.has(placeOf(peer)))) continue;
      distinct.set(`${placeOf(peer)} ${nodeId}`, peer);
    }
    return [...distinct.values()];
  }
}

function checkPeer({ host, port, nodeId }: ManualPeer): void {
  if (isHost(host) && isPort(port) && (nodeId === undefined || isLabel(nodeId))) return;
  const peer = safeName(JSON.stringify({ host, port, nodeId }));
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot use the peer ${peer}: expected a host name or an IP address as host, a whole number ` +
      `from 1 to 65535 as port and, if there is one, a label as nodeId.`,
  );
}

/** A file that is looked at again and again, so that it does not matter how it is replaced. */
class WatchedFile {
  readonly #path: string;
  readonly #files: FilePort;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #peers: readonly ManualPeer[] = [];
  #stamp: string | undefined;
  #stampedAt = -Infinity;
  #isMissing = false;
  /** What was read last, good or bad. */
  #bytes: Uint8Array | undefined;
  /** What was logged of not being able to read it. */
  #complaint: string | undefined;

  constructor(path: string, files: FilePort, clock: Clock, logger: Logger) {
    this.#path = path;
    this.#files = files;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** What the last good version lists. */
  get peers(): readonly ManualPeer[] {
    return this.#peers;
  }

  /** Reads it if it has changed; says whether what it lists may have. */
  async look(): Promise<boolean> {
    const bytes = await this.#readChanged();
    this.#complaint = undefined;
    if (bytes === undefined || (this.#bytes !== undefined && areEqual(bytes, this.#bytes))) {
      return false;
    }
    // Before it turns out to be bad, so that this is told only once.
    this.#bytes = bytes;
    this.#peers = await parsePeersFile(this.#path, bytes);
    return true;
  }

  /** The same, but what is wrong is logged, once, and the last good version holds. */
  async lookAgain(): Promise<boolean> {
    try {
      if (!await this.look()) return false;
    } catch (thrown) {
      const problem = describeError(thrown);
      if (problem !== this.#complaint) {
        this.#logger.warn("{problem} The peers that it listed before stay.", { problem });
      }
      this.#complaint = problem;
      return false;
    }
    this.#logger.info("Read the peers file {file} again: {count} peers", {
      file: this.#path,
      count: this.#peers.length,
    });
    return true;
  }

  /** What is in it, unless it is not there or certainly as it was. */
  async #readChanged(): Promise<Uint8Array | undefined> {
    try {
      // Before reading: what changes meanwhile has another stamp at the next look.
      const stamp = await this.#files.stamp(this.#path);
      this.#noteWhetherMissing(stamp === undefined);
      if (stamp === undefined) return undefined;
      if (stamp !== this.#stamp) this.#stampedAt = this.#clock.now();
      else if (this.#clock.now() - this.#stampedAt > SETTLE_MS) return undefined;
      const bytes = await this.#files.read(this.#path);
      this.#stamp = stamp;
      return bytes;
    } catch (thrown) {
      if (!(thrown instanceof Deno.errors.NotFound)) throw fileError(this.#path, thrown);
      this.#noteWhetherMissing(true);
      return undefined;
    }
  }

  #noteWhetherMissing(isMissing: boolean): void {
    if (isMissing && !this.#isMissing) {
      this.#logger.warn("There is no peers file {file}: it is read as soon as there is", {
        file: this.#path,
      });
    }
    this.#isMissing = isMissing;
  }
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function fileError(path: string, cause: unknown): NetworkError {
  if (cause instanceof NetworkError) return cause;
  const action = `Cannot read the peers file ${path}`;
  if (cause instanceof Deno.errors.NotCapable) {
    return new NetworkError(
      "PERMISSION_DENIED",
      `${action}: not permitted. Grant --allow-read for it.`,
      { cause },
    );
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return new NetworkError(
      "PERMISSION_DENIED",
      `${action}: the system denies it. Make it readable to the user who runs this node.`,
      { cause },
    );
  }
  return new NetworkError(
    "FAILED_PRECONDITION",
    `${action}: ${describeError(cause)}. Give the path of a file in JSON or TOML.`,
    { cause },
  );
}

/** What the resolver says of a name. */
interface Resolution {
  /** The last addresses that were found. */
  readonly addresses: readonly string[];
  /** Why there is no answer now. */
  readonly problem?: string;
}

/** The addresses of hosts, asked for again and again. */
class Names {
  readonly #ask: (host: string) => Promise<readonly string[]>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #changed: () => void;
  #known = new Map<string, Resolution>();
  /** Those to be asked for, the first one first. */
  readonly #queue = new Set<string>();
  readonly #asking = new Set<string>();
  #cancelGather: CancelTimer | undefined;
  #stopped = false;

  constructor(
    ask: (host: string) => Promise<readonly string[]>,
    clock: Clock,
    logger: Logger,
    changed: () => void,
  ) {
    this.#ask = ask;
    this.#clock = clock;
    this.#logger = logger;
    this.#changed = changed;
  }

  /** What is known of a host now. */
  of(host: string): Resolution {
    if (isIpAddress(host)) return { addresses: [host] };
    return this.#known.get(host) ?? { addresses: [] };
  }

  /** Asks for all these names, and forgets all others. */
  resolve(hosts: ReadonlySet<string>): void {
    this.#known = new Map([...this.#known].filter(([host]) => hosts.has(host)));
    for (const host of this.#queue) if (!hosts.has(host)) this.#queue.delete(host);
    for (const host of hosts) {
      if (!isIpAddress(host) && !this.#asking.has(host)) this.#queue.add(host);
    }
    this.#askNext();
  }

  stop(): void {
    this.#stopped = true;
    this.#queue.clear();
    this.#cancelGather?.();
  }

  #askNext(): void {
    for (const host of this.#queue) {
      if (this.#asking.size >= MAX_RESOLVING) return;
      this.#queue.delete(host);
      this.#asking.add(host);
      void this.#askFor(host);
    }
  }

  async #askFor(host: string): Promise<void> {
    let found: readonly string[] = [];
    let problem: string | undefined;
    try {
      found = await this.#ask(host);
      if (found.length === 0) problem = "it has no address";
    } catch (thrown) {
      problem = describeError(thrown);
    }
    this.#asking.delete(host);
    if (this.#stopped) return;
    this.#note(host, found, problem);
    this.#askNext();
  }

  #note(host: string, found: readonly string[], reason: string | undefined): void {
    const before = this.of(host);
    const problem = reason === undefined
      ? undefined
      : `Cannot resolve "${host}": ${reason}. Is the name right? An IP address would do, too.`;
    if (problem !== undefined && problem !== before.problem) {
      this.#logger.warn("{problem}", { problem });
    }
    // Resolvers turn the order of equals to spread load, which is no news.
    const isNews = problem === undefined && !haveSameMembers(found, before.addresses);
    const addresses = isNews ? [...new Set(found)] : before.addresses;
    this.#known.set(host, { addresses, ...problem !== undefined && { problem } });
    this.#cancelGather ??= this.#clock.after(GATHER_MS, () => {
      this.#cancelGather = undefined;
      this.#changed();
    });
  }
}

function haveSameMembers(a: readonly string[], b: readonly string[]): boolean {
  return new Set(a).symmetricDifference(new Set(b)).size === 0;
}

/** The files of this system. */
export const systemFiles: FilePort = {
  async stamp(path) {
    let info: Deno.FileInfo;
    try {
      // Of what a symbolic link leads to: it may be changed to lead elsewhere.
      info = await Deno.stat(path);
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return undefined;
      throw thrown;
    }
    // Reading a pipe would wait for whoever writes to it.
    if (!info.isFile) throw new TypeError("it is not a regular file");
    const { mtime, ctime, size, dev, ino } = info;
    return [mtime?.getTime(), ctime?.getTime(), size, dev, ino].join("/");
  },

  async read(path) {
    using file = await Deno.open(path);
    const bytes = new Uint8Array(MAX_PEERS_FILE_BYTES + 1);
    let length = 0;
    while (length < bytes.length) {
      const count = await file.read(bytes.subarray(length));
      if (count === null) break;
      length += count;
    }
    return bytes.slice(0, length);
  },
};

/** The system's resolver, which knows `/etc/hosts` and, where that is set up, mDNS. */
export async function systemResolve(host: string): Promise<string[]> {
  // Loaded only where there are names to be resolved.
  const { lookup } = await import("node:dns/promises");
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
