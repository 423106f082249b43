/** A new key reaches everybody who is to have it, and nobody else, whatever happens at the same time. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Random, seededRandom } from "../../src/base/random.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { grpcTransport } from "../../src/link/grpc_transport.ts";
import type { PeerLink } from "../../src/link/peer_link.ts";
import { createDistributedNetwork } from "../../src/network/create.ts";
import type { DistributedNetwork } from "../../src/network/distributed_network.ts";
import { KeyExchange } from "../../src/network/key_exchange.ts";
import { NodeIdentity } from "../../src/security/identity.ts";
import { KeyedTrust } from "../../src/security/keyed_trust.ts";
import { decodeKeyring, MAX_GRACE_MS, newKeyring } from "../../src/security/keyring.ts";
import { KnownNodes } from "../../src/security/known_nodes.ts";
import { eventually } from "../support/eventually.ts";
import { KeyLan, type KeyNode } from "../support/key_lan.ts";
import { freeUdpPort } from "../support/nodes.ts";
import { recordingLogger } from "../support/recording_logger.ts";
import { withTempDir } from "../support/temp.ts";

/** Real nodes meet within some beacons, and lose each other within some heartbeats. */
const SOON = 15_000;
const HOUR = 60 * 60 * 1_000;

function unlinked({ told }: KeyNode): string[] {
  return told.filter((line) => line.startsWith("unlinked"));
}

function without(nodes: readonly KeyNode[], ...left: readonly KeyNode[]): KeyNode[] {
  return nodes.filter((node) => !left.includes(node));
}

/** All of them have the same newest key. */
function assertSame(lan: KeyLan, nodes = lan.nodes, message?: string): void {
  assertEquals(new Set(lan.newest(nodes)).size, 1, message);
}

/** Nothing goes over the links any more: everybody has said what there was to say. */
async function assertQuiet(lan: KeyLan): Promise<void> {
  const before = lan.links.framesSent;
  await lan.clock.advance(3_000);
  assertEquals(lan.links.framesSent, before, "they go on telling each other what they know");
}

/** Nobody talks to it, whoever dials. */
async function assertCutOff(lan: KeyLan, evicted: KeyNode, nodes: readonly KeyNode[]) {
  for (const node of nodes) {
    assert(!await lan.dials(evicted, node), `${node.nodeId} lets ${evicted.nodeId} in`);
    assert(!await lan.dials(node, evicted), `${node.nodeId} dials ${evicted.nodeId}`);
    const links = node.pool.links().map(({ credential }) => credential?.identity);
    assert(!links.includes(evicted.identity));
  }
}

Deno.test("a rotation on one node reaches all, once, and nobody loses a link", async () => {
  await using lan = await KeyLan.of("abcde");
  const before = lan.newest()[0];
  const { dialled } = lan;
  await lan.node("a").trust.rotate();
  await lan.clock.advance(100);
  assertSame(lan);
  assert(lan.newest()[0] !== before);
  await assertQuiet(lan);
  assertEquals(lan.dialled - dialled, 10, "each link is made anew once");
  for (const node of lan.nodes) assertEquals([unlinked(node), node.warnings], [[], []]);
});

Deno.test("links move to the new key, so that none is cut when the old one ends", async () => {
  await using lan = await KeyLan.of("abcd");
  await lan.node("b").trust.rotate(HOUR);
  await lan.clock.advance(1_000);
  for (const node of lan.nodes) {
    for (const link of node.pool.links()) assertEquals(link.credential?.tag, lan.newest()[0]);
  }
  await lan.clock.advance(2 * HOUR);
  for (const node of lan.nodes) assertEquals(unlinked(node), []);
});

Deno.test("a rotation without a grace reaches those who are connected, and nobody else", async () => {
  await using lan = await KeyLan.of("abcd");
  const d = lan.node("d");
  await lan.part([d], without(lan.nodes, d));
  await lan.node("a").trust.rotate(0);
  await lan.clock.advance(1_000);
  const others = without(lan.nodes, d);
  assertSame(lan, others);
  await lan.clock.advance(20_000);
  for (const node of others) {
    assertEquals(node.trust.keys().length, 1);
    assertEquals(unlinked(node), ["unlinked d closed"], "of each other they lose nobody");
  }
  lan.network.heal();
  await assertCutOff(lan, d, others);
});

Deno.test("a key goes on from node to node where not all are linked", async () => {
  await using lan = new KeyLan();
  const nodes: KeyNode[] = [];
  for (const label of "abcde") nodes.push(await lan.add(label));
  for (let i = 1; i < nodes.length; i++) assert(await lan.dials(nodes[i], nodes[i - 1]));
  await nodes[0].trust.rotate();
  await lan.clock.advance(200);
  assertSame(lan);
  await assertQuiet(lan);
});

Deno.test("a node that was away comes with the old key within the grace and is handed the new one", async () => {
  await using lan = await KeyLan.of("abc");
  const [a, b, c] = lan.nodes;
  await lan.part([c], [a, b]);
  for (const node of [a, b]) {
    await node.trust.rotate(6 * HOUR);
    await lan.clock.advance(HOUR);
  }
  assertSame(lan, [a, b]);
  assert(lan.newest([c])[0] !== lan.newest([a])[0]);
  lan.network.heal();
  assert(await lan.dials(c, b));
  await lan.clock.advance(100);
  assertSame(lan);
  assertEquals(c.trust.ring.keys[0].epoch, 3);
  await assertQuiet(lan);
});

Deno.test("a node that was away for longer than the grace is let in by nobody", async () => {
  await using lan = await KeyLan.of("abc");
  const [a, b, c] = lan.nodes;
  await lan.part([c], [a, b]);
  await a.trust.rotate(HOUR);
  await lan.clock.advance(HOUR + 2_000);
  lan.network.heal();
  await assertCutOff(lan, c, [a, b]);
});

Deno.test("an evicted node is cut off at once and cannot come back, the others stay linked", async () => {
  await using lan = await KeyLan.of("abcd");
  const [a, b, c, d] = lan.nodes;
  await lan.evict(a, "d");
  await lan.clock.advance(50);
  assertSame(lan, [a, b, c]);
  assert(lan.newest([d])[0] !== lan.newest([a])[0], "it was not handed the new key");
  for (const node of [a, b, c]) {
    assertEquals(unlinked(node), ["unlinked d closed"]);
    assertEquals(node.pool.links().length, 2);
  }
  assertEquals(unlinked(d).map((line) => line.split(" ")[2]), ["lost", "lost", "lost"]);
  await assertQuiet(lan);
  await assertCutOff(lan, d, [a, b, c]);
  await lan.clock.advance(MAX_GRACE_MS + 2_000);
  await assertCutOff(lan, d, [a, b, c]);
});

Deno.test("an evicted node does not come back by a certificate that it makes with the old key", async () => {
  await using lan = await KeyLan.of("abcd");
  const others = without(lan.nodes, lan.node("d"));
  await lan.evict(lan.node("a"), "d");
  await lan.clock.advance(50);
  // Whatever it calls itself, and also as one that is known: it has no key pair but its own.
  for (const label of ["d", "e", "b"]) await assertCutOff(lan, await lan.add(label), others);
});

Deno.test("an evicted node does not come back by way of one that was away", async () => {
  await using lan = await KeyLan.of("abcd");
  const [a, b, c, d] = lan.nodes;
  await lan.part([c, d], [a, b]);
  await lan.evict(a, "d");
  for (let i = 0; i < 3; i++) await d.trust.rotate();
  await lan.clock.advance(1_000);
  assertSame(lan, [c, d], "who has not heard of it cannot know better");
  const theirs = d.trust.ring;
  lan.network.heal();
  assert(await lan.dials(c, b));
  await lan.clock.advance(200);
  assertSame(lan, [a, b, c]);
  assert(!theirs.keys.some(({ key }) => key.tag === lan.newest([a])[0]));
  await lan.meet([a, b, c]);
  await assertQuiet(lan);
  assertEquals(unlinked(c).at(-1), "unlinked d closed");
  await assertCutOff(lan, d, [a, b, c]);
});

Deno.test("an evicted node that evicts others in turn gains nobody who has heard of its own", async () => {
  await using lan = await KeyLan.of("abcd");
  const [a, b, c, d] = lan.nodes;
  await lan.part([d], [a, b, c]);
  await lan.evict(a, "d");
  await lan.clock.advance(100);
  await lan.evict(d, "a");
  await lan.evict(d, "b");
  await lan.clock.advance(100);
  lan.network.heal();
  await assertCutOff(lan, d, [a, b, c]);
  assertSame(lan, [a, b, c]);
});

Deno.test("what follows an eviction within the day reaches all who stayed", async () => {
  await using lan = await KeyLan.of("abcde");
  const [a, b, c, d, e] = lan.nodes;
  await lan.evict(a, "e");
  await lan.clock.advance(100);
  await b.trust.rotate();
  await lan.clock.advance(100);
  assertSame(lan, [a, b, c, d]);
  await lan.evict(c, "d");
  await lan.clock.advance(100);
  assertSame(lan, [a, b, c]);
  await assertCutOff(lan, d, [a, b, c]);
  await assertCutOff(lan, e, [a, b, c]);
  await assertQuiet(lan);
});

Deno.test("a device that has joined by the key itself takes part in what comes then", async () => {
  await using lan = await KeyLan.of("ab");
  for (let i = 0; i < 3; i++) await lan.node("a").trust.rotate();
  await lan.clock.advance(1_000);
  const joined = await lan.add("c", {
    ring: newKeyring("home", lan.node("a").trust.ring.keys[0].key),
  });
  await lan.meet();
  await joined.trust.rotate();
  await lan.clock.advance(100);
  assertSame(lan);
  assertEquals(lan.newest()[0], joined.trust.ring.keys[0].key.tag);
  assertEquals(lan.node("a").trust.ring.keys[0].epoch, 5);
  await assertQuiet(lan);
});

Deno.test("a keyring that makes no sense is told once in the log, and changes nothing", async () => {
  await using lan = await KeyLan.of("ab");
  const [a, b] = lan.nodes;
  const before = a.trust.ring;
  for (const text of ['{"version":1,"network":"home","keys":[]}', "{}", "", "[".repeat(99)]) {
    b.pool.get("a")!.notify("keyring", text);
    await lan.clock.advance(20);
  }
  assertEquals(a.trust.ring, before);
  assertEquals(a.warnings.length, 1);
  assertStringIncludes(a.warnings[0], 'The keys of "b" are not taken: Cannot read the keyring');
  assert(a.pool.get("b") !== undefined);
});

Deno.test("a member that links itself under a second name is put out under both", async () => {
  await using lan = await KeyLan.of("abc");
  const [a, b, c] = lan.nodes;
  await lan.clock.advance(MAX_GRACE_MS);
  const second = await lan.add("m2");
  await lan.meet();
  await a.trust.evict(["c"]);
  await lan.clock.advance(1_000);
  assertSame(lan, [a, b]);
  for (const node of [c, second]) {
    assert(lan.newest([node])[0] !== lan.newest([a])[0], `${node.nodeId} has the new key`);
    await assertCutOff(lan, node, [a, b]);
  }
  const members = ({ trust }: KeyNode) =>
    trust.known.list().filter((one) => trust.counts(one)).map(({ nodeId }) => nodeId).join();
  assertEquals([members(a), members(b)], ["b", "a"], "all others count no more");
});

Deno.test("where a node was linked from is known, and the key that it has", async () => {
  await using lan = await KeyLan.of("abc");
  const [a, b] = lan.nodes;
  await a.trust.rotate();
  await lan.clock.advance(1_000);
  const [newest] = lan.newest();
  assertEquals(
    b.trust.known.list().map(({ nodeId, hosts, lastTag }) => [nodeId, hosts, lastTag]),
    [["a", ["10.0.0.1"], newest], ["c", ["10.0.0.3"], newest]],
  );
});

Deno.test("one host that brings new labels without end is let in no more, and told of once", async () => {
  await using lan = new KeyLan();
  const a = await lan.add("a");
  const b = await lan.add("b");
  for (let i = 0; i < 128; i++) {
    const [identity, names, tag] = [`${i}`.padStart(64, "0"), [`n${i}`], lan.newest([a])[0]];
    a.trust.vouch(`n${i}`, { identity: `${identity}`, names, tag }, b.host);
  }
  for (let i = 0; i < 3; i++) {
    await lan.dials(b, a);
    assertEquals(a.pool.links(), []);
  }
  assertEquals(a.trust.known.identityOf("b"), undefined);
  assertEquals(a.warnings.length, 1);
  assertStringIncludes(a.warnings[0], `have come from ${b.host} within an hour`);
});

Deno.test("of many keyrings that come at once only the last is looked at", async () => {
  await using lan = await KeyLan.of("ab");
  const [a, b] = lan.nodes;
  let looks = 0;
  const take = a.trust.take.bind(a.trust);
  a.trust.take = (...args) => (looks++, take(...args));
  // As many as come in one frame.
  for (let i = 0; i < 60; i++) b.pool.get("a")!.notify("keyring", "nonsense");
  b.pool.get("a")!.notify("keyring", b.trust.handout());
  await lan.clock.advance(100);
  assert(looks > 0 && looks < 10, `${looks} were looked at`);
  assertEquals(a.warnings.length, 0, "the last one is in order");
});

Deno.test("who hands in keyrings without end loses its link, is told of once, and may come again", async () => {
  await using lan = await KeyLan.of("ab");
  const [a, b] = lan.nodes;
  for (let i = 0; i < 30; i++) {
    for (let j = 0; j < 10; j++) b.pool.get("a")?.notify("keyring", b.trust.handout());
    await lan.clock.advance(100);
  }
  assert(a.pool.get("b") !== undefined, "300 within ten seconds");
  for (let i = 0; i < 10; i++) b.pool.get("a")?.notify("keyring", b.trust.handout());
  await lan.clock.advance(100);
  assertEquals(a.pool.get("b"), undefined);
  assertEquals(a.warnings.length, 1);
  assertStringIncludes(a.warnings[0], 'The keys of "b" are not taken: more than 300 keyrings');
  assert(await lan.dials(b, a));
  for (let i = 0; i < 100; i++) {
    for (let j = 0; j < 10; j++) b.pool.get("a")?.notify("keyring", b.trust.handout());
    await lan.clock.advance(1_000);
  }
  assert(a.pool.get("b") !== undefined, "one a second may go on for ever");
});

Deno.test("of what peers hand in there are at most ten changes a second, and the last one comes", async () => {
  await using lan = await KeyLan.of("ab");
  const [a, b] = lan.nodes;
  const from = lan.clock.now();
  const rings = new Set([a.trust.ring]);
  for (let i = 0; i < 12; i++) {
    await b.trust.rotate();
    await lan.clock.advance(10);
    rings.add(a.trust.ring);
  }
  for (let i = 0; i < 20; i++) {
    await lan.clock.advance(10);
    rings.add(a.trust.ring);
  }
  assertSame(lan);
  assertEquals(a.trust.ring.keys[0].epoch, 13);
  const most = 2 + (lan.clock.now() - from) / 100;
  assert(rings.size <= most, `${rings.size - 1} changes in ${lan.clock.now() - from} ms`);
});

Deno.test("a member that hands in new keys without end keeps nobody from putting it out", async () => {
  await using lan = await KeyLan.of("abm");
  const [a, b, m] = lan.nodes;
  for (let i = 0; i < 20; i++) {
    void m.trust.rotate();
    await lan.clock.advance(5);
  }
  await lan.evict(a, "m");
  await lan.clock.advance(2_000);
  assertSame(lan, [a, b]);
  await assertCutOff(lan, m, [a, b]);
  for (const node of [a, b]) assertEquals([node.pool.links().length, node.warnings], [1, []]);
});

/** An exchange with one link that a node has dialled under an old key, and how it is dialled. */
async function underOldKey(dial: () => Promise<PeerLink>) {
  const clock = new ManualClock();
  const { logger } = recordingLogger();
  const trust = await KeyedTrust.open({
    nodeId: "a",
    identity: NodeIdentity.create(),
    known: await KnownNodes.open({ path: undefined, clock, logger }),
    ring: newKeyring("home"),
    file: undefined,
    clock,
    logger,
  });
  const credential = { tag: trust.ring.keys[0].key.tag, identity: "b".repeat(64), names: ["b"] };
  await trust.rotate();
  const exchange = new KeyExchange({ trust, pool: { links: () => [], dial }, clock, logger });
  const peer = { nodeId: "b", listenPort: 1 };
  const link = { credential, peer, dialled: true, state: "open", remoteHost: "10.0.0.2" };
  const bytes = new TextEncoder().encode(trust.handout());
  // deno-lint-ignore no-explicit-any
  return { trust, credential, hand: () => exchange.took(bytes, link as any) };
}

Deno.test("who hands in the newest key is known to have it, whatever key its link is under", async () => {
  const { trust, credential, hand } = await underOldKey(() => Promise.reject(new Error("gone")));
  trust.vouch("b", credential);
  const [newest, old] = trust.ring.keys.map(({ key }) => key.tag);
  assertEquals(trust.known.list()[0].lastTag, old);
  await hand();
  assertEquals(trust.known.list()[0].lastTag, newest);
});

Deno.test("a link under an old key is made anew once at a time, and not again once it was", async () => {
  let dials: PromiseWithResolvers<PeerLink>[] = [];
  const { hand } = await underOldKey(() => {
    const dial = Promise.withResolvers<PeerLink>();
    dials.push(dial);
    return dial.promise;
  });
  for (let i = 0; i < 20; i++) await hand();
  assertEquals(dials.length, 1, "while the first is under way");
  dials[0].reject(new Error("no answer"));
  await eventually(async () => (await hand(), dials.length === 2), { what: "another attempt" });
  dials[1].resolve({} as PeerLink);
  dials = [];
  for (let i = 0; i < 20; i++) await hand();
  assertEquals(dials.length, 0, "after it was made");
});

/** A network of six in which things happen at random; the last one is evicted at some moment. */
async function live(seed: number): Promise<void> {
  await using lan = await KeyLan.of("abcdef", seed);
  const random = seededRandom(seed);
  const evicted = lan.node("f");
  const others = without(lan.nodes, evicted);
  const evictor = pick(random, others);
  const evictAt = Math.floor(random.next() * 12);
  for (let step = 0; step < 14; step++) {
    if (step === evictAt) await lan.evict(evictor, "f");
    const chance = random.next();
    if (chance < 0.35) await pick(random, lan.nodes).trust.rotate();
    else if (chance < 0.6) {
      const some = lan.nodes.filter(() => random.next() < 0.5);
      await lan.part(some, without(lan.nodes, ...some));
    } else if (chance < 0.8) {
      lan.network.heal();
      await lan.meet();
    } else await lan.clock.advance(random.next() * 5_000);
    await lan.clock.advance(random.next() * 30);
  }
  lan.network.heal();
  await lan.clock.advance(1_000);
  await lan.meet();
  await lan.meet();
  assertSame(lan, others, "not all who stayed have the same key");
  assert(!lan.newest(others).includes(lan.newest([evicted])[0]), "the evicted one has the new key");
  await assertCutOff(lan, evicted, others);
  assertSame(lan, others);
  for (const node of others) {
    assertEquals(node.pool.links().filter(({ state }) => state === "open").length, 4);
    assertEquals(node.warnings, []);
  }
  await assertQuiet(lan);
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random.next() * from.length)];
}

Deno.test("whatever rotations, partitions and one eviction come to: one key, and the evicted one out", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    try {
      await live(seed);
    } catch (thrown) {
      throw new Error(`Seed ${seed}: ${thrown}`, { cause: thrown });
    }
  }
});

/**
 * Timers of gRPC's after dials that came to nothing, and of probes that nobody answered any more:
 * they hold up nothing but are counted, and tell nobody when they have run.
 */
async function afterStop(): Promise<void> {
  const end = performance.now() + 1_100;
  await eventually(() => performance.now() > end, { what: "the last timers" });
}

/** A node on the loopback, and the log of it. */
class RealNode {
  readonly nodeId: string;
  readonly log = recordingLogger();
  readonly network: DistributedNetwork;

  constructor(nodeId: string, directory: string, broadcastPort: number) {
    this.nodeId = nodeId;
    this.network = createDistributedNetwork({
      networkInterfaces: ["lo"],
      dataDirectory: `${directory}/${nodeId}`,
      nodeId,
      listenPort: 0,
      broadcastPort,
      logger: this.log.logger,
    });
  }

  /** The labels of the peers that it takes to be alive. */
  alive(): string {
    const peers = Object.values(this.network.getNetworkStatus().peers);
    return peers.filter(({ state }) => state === "alive").map(({ nodeId }) => nodeId).sort().join();
  }

  get newest(): string {
    return this.network.keys.list().keys[0].tag;
  }

  /** The keys that its links are under, without repetition. */
  linkedUnder(): string[] {
    const tags = this.network.keys.list().members.map(({ tag }) => tag);
    return [...new Set(tags.filter((tag) => tag !== null))];
  }
}

Deno.test("real nodes: a rotation reaches all, one that was away is handed it, an evicted one is out", async () => {
  await withTempDir(async (directory) => {
    const broadcastPort = freeUdpPort();
    await using stack = new AsyncDisposableStack();
    stack.defer(afterStop);
    const start = async (nodeId: string) => {
      const node = new RealNode(nodeId, directory, broadcastPort);
      stack.use(node.network);
      await node.network.start();
      return node;
    };
    const until = (what: string, holds: () => boolean) =>
      eventually(holds, { what, timeoutMs: SOON });

    const a = await start("a");
    for (const other of ["b", "c"]) {
      await Deno.mkdir(`${directory}/${other}`, { mode: 0o700 });
      await Deno.copyFile(`${directory}/a/keyring.json`, `${directory}/${other}/keyring.json`);
    }
    const [b, c] = [await start("b"), await start("c")];
    await until(
      "all to see all",
      () => [a, b, c].map((one) => one.alive()).join(" ") === "b,c a,c a,b",
    );
    const first = a.newest;

    await a.network.keys.rotate();
    await until("the new key everywhere", () => [b, c].every(({ newest }) => newest === a.newest));
    assert(a.newest !== first);
    await until(
      "links under it",
      () => [a, b, c].every((one) => one.linkedUnder().join() === a.newest),
    );
    assertEquals([a, b, c].map((one) => one.alive()).join(" "), "b,c a,c a,b");

    await c.network.stop();
    await b.network.keys.rotate();
    await until("the next key", () => a.newest === b.newest);
    const again = await start("c");
    assert(again.newest !== a.newest, "it comes with the key that it has");
    await until("it to be handed the key", () => again.newest === a.newest);
    await until(
      "all to see all",
      () => [a, b, again].map((one) => one.alive()).join(" ") === "b,c a,c a,b",
    );

    const evicted = a.network.keys.list().members.find(({ nodeId }) => nodeId === "c")?.identity;
    const before = again.newest;
    await a.network.keys.evict("c", { keep: ["b"] });
    await until("it to be gone", () => [a, b].map((one) => one.alive()).join(" ") === "b a");
    await until("it to be alone", () => again.alive() === "");
    assertEquals([again.newest, b.newest], [before, a.newest]);
    assert(a.newest !== before);
    // Its beacons are still heard, under the old key, and nothing is wrong with that.
    for (const { network } of [a, b]) {
      await until("it to be shown as evicted", () => network.getNetworkStatus().peers.c?.evicted);
      const { problem, failing } = network.getNetworkStatus().peers.c;
      assertStringIncludes(problem ?? "", "it was evicted");
      assertEquals(failing, null);
      const found = (await network.diagnose()).filter(({ subject }) => /peer c|addr/.test(subject));
      assertEquals(found.map(({ severity }) => severity), ["info"]);
    }

    // With its own certificate, and with one that it makes anew.
    const [{ key }] = decodeKeyring(await Deno.readFile(`${directory}/c/keyring.json`)).keys;
    const own = await NodeIdentity.keep(`${directory}/c/nodes/c/identity.json`);
    assertEquals([own.id, key.tag], [evicted, before]);
    for (const identity of [own, NodeIdentity.create()]) {
      const credentials = [await identity.credentials(key, "c")];
      const security = { credentials: () => credentials, verifiesPeers: true, admits: () => true };
      const { signal } = new AbortController();
      for (const { network } of [a, b]) {
        const port = Number(network.getNetworkStatus().address!.split(":").at(-1));
        const error = await assertRejects(
          () => grpcTransport({ security }).dial({ host: "127.0.0.1", port }, signal),
          NetworkError,
        );
        assertStringIncludes(error.message, "not of its network, or no longer");
      }
    }
    assertEquals([a, b].map((one) => one.alive()).join(" "), "b a");
    // The evicted one may have been told so.
    for (const { log } of [a, b]) assertEquals(log.lines("error"), []);
  });
});
