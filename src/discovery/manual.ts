/** Finds nodes where a person says that they are: in options, and in a file that may change. */

import { type CancelTimer, type Clock, every } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { isLabel, safeName } from "../base/safe_text.ts";
import type { Seed } from "../membership/seeds.ts";
import type { Discovery, DiscoverySink } from "./discovery.ts";
import { Names, systemResolve } from "./host_names.ts";
import type { ManualPeer } from "./manual_peer.ts";
import { isHost, isPort } from "./peers_file.ts";
import { type FilePort, systemFiles, WatchedFile } from "./watched_file.ts";

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

/** The port of links in the specification, for a peer that is named without one. */
const DEFAULT_PORT = 5_681;
/** Between two looks at the file, in milliseconds: somebody waits for what they have saved. */
const LOOK_MS = 1_000;
/** Between two resolutions of a name, in milliseconds: an address that has moved is found soon. */
const RESOLVE_MS = 30_000;

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
  /** The look that is under way. */
  #looking: Promise<void> | undefined;
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

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelLook();
    this.#cancelResolve();
    this.#names.stop();
    await this.#looking;
  }

  /** The next look waits for the last one: a disk that hangs does not make them pile up. */
  #lookLater(file: WatchedFile): void {
    this.#cancelLook = this.#options.clock.after(LOOK_MS, () => {
      this.#looking = this.#lookAgain(file);
    });
  }

  async #lookAgain(file: WatchedFile): Promise<void> {
    const hasChanged = await file.lookAgain();
    if (this.#stopped) return;
    if (hasChanged) this.#refresh();
    this.#lookLater(file);
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
