/**
 * Floods a port of the loopback with beacons that are none, for `lab/beacons.ts`. Prints one line
 * of JSON at the end: how many left, in how many seconds.
 *
 *     deno run -A tests/discovery/flooder.ts '{"port": 5678, …}'
 */

/** What a flooder is asked for. */
export interface FloodOrder {
  readonly port: number;
  readonly perSecond: number;
  readonly seconds: number;
  readonly kinds: readonly FloodKind[];
  /** The addresses that it sends from. */
  readonly sources: readonly string[];
  /** Sealed beacons of members, in hexadecimal digits, and the addresses that they came from. */
  readonly recorded: readonly { readonly hex: string; readonly host: string }[];
}

/**
 * - `random`: nothing that anybody would take for a beacon.
 * - `forged`: begins as a beacon of the network does, with garbage behind.
 * - `recorded`: sealed by a member, and sent again: replayed from its own address, relocated from
 *   any other.
 */
export type FloodKind = "random" | "forged" | "recorded";

/** What became of it. */
export interface FloodDone {
  readonly sent: number;
  readonly seconds: number;
}

/** A usual beacon, sealed. */
const DATAGRAM_BYTES = 260;
/** Different datagrams of a kind; they come round again. */
const POOL = 1_024;
/** Sent at a time; what is due is sent every millisecond or so. */
const BATCH = 256;
const TAG_END = 12;
/** So that datagram and address do not come round together. */
const PRIME = 7_919;

if (import.meta.main) console.log(JSON.stringify(await flood(JSON.parse(Deno.args[0]))));

async function flood(order: FloodOrder): Promise<FloodDone> {
  const { port, perSecond, seconds, sources } = order;
  const to = { transport: "udp", hostname: "127.255.255.255", port } as const;
  const sockets = sources.map((hostname) =>
    Deno.listenDatagram({ transport: "udp", hostname, port: 0 })
  );
  const socketOf = new Map(sources.map((host, i) => [host, sockets[i]]));
  const pool = order.kinds.flatMap((kind) => datagrams(kind, order));
  const startedAt = performance.now();
  const elapsed = () => (performance.now() - startedAt) / 1_000;
  let sent = 0;
  while (elapsed() < seconds) {
    const due = Math.min(elapsed() * perSecond - sent, BATCH);
    const batch: Promise<number>[] = [];
    for (let i = 0; i < due; i++, sent++) {
      const { bytes, host } = pool[sent % pool.length];
      const socket = host === undefined ? undefined : socketOf.get(host);
      batch.push((socket ?? sockets[(sent * PRIME) % sockets.length]).send(bytes, to));
    }
    await Promise.allSettled(batch);
    if (due < BATCH) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const done = { sent, seconds: elapsed() };
  for (const socket of sockets) socket.close();
  return done;
}

/** A datagram, and the address that it belongs to, if it does to one. */
interface Ammunition {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly host?: string;
}

function datagrams(kind: FloodKind, { recorded }: FloodOrder): Ammunition[] {
  const known = recorded.map(({ hex, host }) => ({ bytes: Uint8Array.fromHex(hex), host }));
  return Array.from({ length: POOL }, (_, i) => {
    const one = known[i % known.length];
    if (kind === "recorded") return one;
    const bytes = crypto.getRandomValues(new Uint8Array(DATAGRAM_BYTES));
    if (kind === "forged") bytes.set(one.bytes.subarray(0, TAG_END));
    return { bytes };
  });
}
