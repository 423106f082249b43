/** The addresses of hosts that are known by name, asked for again and again. */

import type { CancelTimer, Clock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { missingFlags } from "../base/permissions.ts";
import { isIpAddress } from "./peers_file.ts";

/** Names that are resolved at a time: each takes a thread of the process. */
const MAX_RESOLVING = 16;
/** Answers of the resolver that come within so many milliseconds are told together. */
const GATHER_MS = 5;

/** What the resolver says of a name. */
export interface Resolution {
  /** The last addresses that were found. */
  readonly addresses: readonly string[];
  /** Why there is no answer now. */
  readonly problem?: string;
}

/** The addresses of hosts, asked for again and again. */
export class Names {
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

/** The system's resolver, which knows `/etc/hosts` and, where that is set up, mDNS. */
export async function systemResolve(host: string): Promise<string[]> {
  const [flag] = missingFlags({ name: "net", host });
  if (flag !== undefined) throw new Error(`not permitted, grant ${flag}`);
  // Loaded only where there are names to be resolved.
  const { lookup } = await import("node:dns/promises");
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
