/**
 * A flood of beacons over the loopback, for `lab/beacons.ts`: one process is flooded, another one
 * floods it, and this one plays the members that must be heard all the same.
 */

import { type CancelTimer, every, systemClock } from "../../src/base/clock.ts";
import { encodeBeacon } from "../../src/discovery/beacon.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { DatagramOpener, DatagramSealer } from "../../src/security/sealed_datagram.ts";
import type { DatagramSocket } from "../../src/transport/datagram.ts";
import { systemDatagrams } from "../../src/transport/system_datagrams.ts";
import type { FloodedNodeReport } from "./flooded_node.ts";
import type { FloodDone, FloodKind, FloodOrder } from "./flooder.ts";

/** A flood. */
export interface LoopbackFlood {
  readonly kinds: readonly FloodKind[];
  /** The addresses that it comes from. */
  readonly sources: readonly string[];
  readonly perSecond: number;
  readonly seconds: number;
  /** What is flooded: a node, or a process that only counts what it receives. */
  readonly target: "node" | "bare";
}

/** What came of it. Rates are of a second of the flood. */
export interface LoopbackFloodOutcome {
  readonly sentPerSecond: number;
  readonly receivedPerSecond: number;
  /** Processor time of the flooded process: 1 is a core. */
  readonly cpu: number;
  readonly growthBytes: number;
  /** Beacons of members, before and in the flood, and how many were heard. */
  readonly beacons: { readonly sent: number; readonly heard: number };
  /** Members that were there before, and were not heard in the flood. */
  readonly lost: number;
  /** From a new member's first beacon to the answer, in ms; null where none came. */
  readonly contactsMs: readonly (number | null)[];
  readonly dropped: FloodedNodeReport["dropped"];
}

const MEMBERS = 10;
/** As nodes send them. */
const BURST_MS = [0, 100, 300];
const INTERVAL_MS = 2_500;
/** A new member comes so often. */
const NEW_EVERY_MS = 700;
/** What has left is received, and what was heard is answered, within that. */
const REST_MS = 300;

/** The addresses of members. */
export const MEMBER_HOSTS: readonly string[] = Array.from(
  { length: MEMBERS },
  (_, i) => `127.0.1.${1 + i}`,
);

/** Runs one flood; takes a second and a half longer than that. */
export async function loopbackFlood(options: LoopbackFlood): Promise<LoopbackFloodOutcome> {
  const { kinds, sources, perSecond, seconds, target } = options;
  const key = NetworkKey.generate();
  const port = await freePort();
  await using node = await FloodedNode.start(port, key, target);
  await using members = new Members(key, port);
  for (const host of MEMBER_HOSTS) await members.add(host);
  await pause(500);
  const before = await node.report();
  const order: FloodOrder = {
    port,
    perSecond,
    seconds,
    kinds,
    sources,
    recorded: members.recorded(),
  };
  const flooding = runFlooder(order);
  const endsAt = performance.now() + seconds * 1_000;
  const news: Member[] = [];
  // Whoever comes last has time for its burst and one beacon more.
  const lastAt = endsAt - Math.min(INTERVAL_MS + 500, seconds * 500);
  for (let i = 0; performance.now() < lastAt; i++) {
    await pause(NEW_EVERY_MS);
    news.push(await members.add(`127.0.2.${1 + i}`));
  }
  const done = await flooding;
  await pause(REST_MS);
  const after = await node.report();
  const heardSince = (nodeId: string) => (after.heard[nodeId] ?? 0) - (before.heard[nodeId] ?? 0);
  return {
    sentPerSecond: done.sent / done.seconds,
    receivedPerSecond: (after.received - before.received) / done.seconds,
    cpu: (after.cpuS - before.cpuS) / done.seconds,
    growthBytes: after.rssBytes - before.rssBytes,
    beacons: {
      sent: members.sent,
      heard: Object.values(after.heard).reduce((sum, count) => sum + count, 0),
    },
    lost: MEMBER_HOSTS.filter((host) => heardSince(nameOf(host)) === 0).length,
    contactsMs: news.map(({ contactMs }) => contactMs),
    dropped: after.dropped,
  };
}

interface Member {
  contactMs: number | null;
}

const nameOf = (host: string) => `at-${host}`;

/** Nodes as far as beacons go, each at its own address; none of them listens to the flood. */
class Members implements AsyncDisposable {
  sent = 0;
  readonly #key: NetworkKey;
  readonly #port: number;
  readonly #timers: CancelTimer[] = [];
  readonly #sockets: DatagramSocket[] = [];
  readonly #recorded: { hex: string; host: string }[] = [];

  constructor(key: NetworkKey, port: number) {
    this.#key = key;
    this.#port = port;
  }

  recorded(): { hex: string; host: string }[] {
    return [...this.#recorded];
  }

  async add(host: string): Promise<Member> {
    const sealer = new DatagramSealer();
    const opener = new DatagramOpener();
    const member: Member = { contactMs: null };
    const startedAt = performance.now();
    const socket = await systemDatagrams().bind(
      { host, port: 0 },
      { shared: false },
      (bytes, from) => {
        if (opener.open(bytes, [this.#key], from.host).type !== "opened") return;
        member.contactMs ??= performance.now() - startedAt;
      },
    );
    this.#sockets.push(socket);
    const beacon = { nodeId: nameOf(host), bootId: "B", network: "lab", listenPort: 5681 };
    const say = () => {
      const bytes = sealer.seal(this.#key, encodeBeacon({ ...beacon, isAnswer: false }), host);
      this.#recorded.push({ hex: bytes.toHex(), host });
      this.sent++;
      void socket.send(bytes, { host: "127.255.255.255", port: this.#port });
    };
    for (const delayMs of BURST_MS) this.#timers.push(systemClock.after(delayMs, say));
    this.#timers.push(every(systemClock, INTERVAL_MS, say));
    return member;
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const cancel of this.#timers) cancel();
    for (const socket of this.#sockets) socket.close();
    return Promise.resolve();
  }
}

/** The process that is flooded. */
class FloodedNode implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #asking: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#asking = child.stdin.getWriter();
  }

  static async start(
    port: number,
    key: NetworkKey,
    target: LoopbackFlood["target"],
  ): Promise<FloodedNode> {
    const args = [`${port}`, key.reveal().toHex(), target];
    const node = new FloodedNode(program("flooded_node.ts", args, "piped").spawn());
    await node.#read();
    return node;
  }

  async report(): Promise<FloodedNodeReport> {
    await this.#asking.write(new TextEncoder().encode("?\n"));
    return JSON.parse(await this.#read());
  }

  /** One line: whatever it writes, it writes at once. */
  async #read(): Promise<string> {
    let text = "";
    while (!text.endsWith("\n")) {
      const { value, done } = await this.#lines.read();
      if (done) throw new Error(`The flooded node has ended: ${text}`);
      text += value;
    }
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#asking.close().catch(() => {});
    await this.#lines.cancel().catch(() => {});
    await this.#child.status;
  }
}

async function runFlooder(order: FloodOrder): Promise<FloodDone> {
  const { stdout, success } = await program("flooder.ts", [JSON.stringify(order)], "null").output();
  if (!success) throw new Error("The flooder has failed; what it said stands above.");
  return JSON.parse(new TextDecoder().decode(stdout));
}

function program(name: string, args: string[], stdin: "piped" | "null"): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--unstable-net", new URL(name, import.meta.url).href, ...args],
    stdin,
    stdout: "piped",
    stderr: "inherit",
  });
}

async function freePort(): Promise<number> {
  const socket = await systemDatagrams().bind(
    { host: "127.0.0.1", port: 0 },
    { shared: false },
    () => {},
  );
  socket.close();
  return socket.address.port;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
