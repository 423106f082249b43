/** Beacons in a network with a key: who hears whom, and what comes of all others. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { silentLogger } from "../../src/base/log.ts";
import { encodeBeacon, MAX_BEACON_BYTES } from "../../src/discovery/beacon.ts";
import { SealedBeacons } from "../../src/discovery/sealed_beacons.ts";
import { UdpDiscovery } from "../../src/discovery/udp.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { DatagramOpener, DatagramSealer } from "../../src/security/sealed_datagram.ts";
import type { DatagramReceiver } from "../../src/transport/datagram.ts";
import { anyText } from "../support/any_text.ts";
import { beaconOf, BROADCAST, drops, Lan, sink } from "./beacon_lan.ts";

const KEY = NetworkKey.generate();
const keys = () => [KEY];
const [A, B, C] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const isStranger = () => true;

/** A beacon that a member has sealed at `host`. */
function sealed(nodeId: string, host: string, key = KEY, sealer = new DatagramSealer()) {
  return sealer.seal(key, encodeBeacon(beaconOf(nodeId)), host);
}

Deno.test("nodes of one key know each other after one beacon, and strangers learn nothing", async () => {
  const lan = new Lan();
  const { heard } = await lan.record(C);
  const a = await lan.start(A, "firstnode", { keys, isStranger });
  await lan.clock.advance(1_000);
  const sent = lan.network.datagramsSent;
  const b = await lan.start(B, "secondnode", { keys, isStranger });
  await lan.clock.advance(2);
  assertEquals([a.seen, b.seen], [["secondnode"], ["firstnode"]]);
  assertEquals(b.sightings[0].address, { host: A, port: 5681, via: "udp" });
  assertEquals(lan.network.datagramsSent - sent, 2, "one beacon, one answer, and that is all");
  assert(heard.length >= 4);
  for (const { bytes } of heard) {
    const text = new TextDecoder("latin1").decode(bytes);
    assert(!/node|home|5681|grpc/.test(text), text);
    assert(bytes.length <= MAX_BEACON_BYTES);
  }
  await a.discovery.stop();
  await b.discovery.stop();
});

Deno.test("a node knows its own sealed beacons when they come back", async () => {
  const lan = new Lan();
  const a = await lan.start(A, "a", { keys, isStranger });
  await lan.clock.advance(5_100);
  const [{ sent, own, heard, strangers }] = a.discovery.report().interfaces;
  assertEquals([sent, own, heard, strangers], [5, 5, 0, 0]);
  assertEquals([a.seen, drops(a)], [[], {}]);
  await a.discovery.stop();
});

Deno.test("what is not of this network is counted for what it is, and never answered", async () => {
  const lan = new Lan();
  const a = await lan.start(A, "a", { keys, isStranger });
  await lan.clock.advance(400);
  const { socket, heard } = await lan.record(B, 40_000);
  const send = async (bytes: Uint8Array) => {
    await socket.send(bytes, BROADCAST);
    await lan.clock.advance(5);
  };
  const forged = sealed("b", B);
  forged[50] ^= 1;
  const later = sealed("b", B).fill(2, 3, 4);
  await send(encodeBeacon(beaconOf("b")));
  await send(new TextEncoder().encode("{}"));
  await send(sealed("b", B, NetworkKey.generate()));
  await send(forged);
  await send(sealed("c", C));
  for (const bytes of [new Uint8Array(0), new Uint8Array(9), new Uint8Array(2_000), later]) {
    await send(bytes);
  }
  assertEquals([a.seen, heard], [[], []]);
  assertEquals(drops(a), {
    plaintext: 2,
    "foreign-key": 1,
    forged: 1,
    relocated: 1,
    malformed: 4,
  });
  await send(sealed("b", B));
  assertEquals([a.seen, heard.length], [["b"], 1], "the true one is");
  await a.discovery.stop();
});

Deno.test("a beacon that was recorded and is sent again is heard once", async () => {
  const lan = new Lan();
  const recorder = await lan.record(C);
  const a = await lan.start(A, "a", { keys, isStranger });
  const b = await lan.start(B, "b", { keys });
  await lan.clock.advance(400);
  await b.discovery.stop();
  const times = a.seen.length;
  const recorded = recorder.heard.filter(({ from }) => from.host === B);
  const again = await lan.record(B, 40_000);
  for (const { bytes } of recorded) {
    await again.socket.send(bytes, BROADCAST);
    await recorder.socket.send(bytes, BROADCAST);
  }
  await lan.clock.advance(5);
  assertEquals(a.seen.length, times);
  assertEquals(again.heard, []);
  // Where it comes from is looked at first.
  assertEquals(drops(a), { replayed: recorded.length, relocated: recorded.length });
  await a.discovery.stop();
});

Deno.test("a beacon that is carried to another place hides none that comes by itself", async () => {
  const lan = new Lan();
  const a = await lan.start(A, "a", { keys });
  await lan.clock.advance(400);
  const thief = await lan.record(C, 40_000);
  const member = await lan.record(B, 40_000);
  const beacon = sealed("b", B);
  await thief.socket.send(beacon, BROADCAST);
  await lan.clock.advance(5);
  await member.socket.send(beacon, BROADCAST);
  await lan.clock.advance(5);
  assertEquals([a.seen, drops(a)], [["b"], { relocated: 1 }]);
  await a.discovery.stop();
});

Deno.test("a node without a key says that a beacon is sealed, and hears none", async () => {
  const lan = new Lan();
  const open = await lan.start(A, "open", { isStranger });
  const keyed = await lan.start(B, "keyed", { keys, isStranger });
  await lan.clock.advance(1_000);
  assertEquals([open.seen, keyed.seen], [[], []]);
  assertEquals([drops(open), drops(keyed)], [{ sealed: 3 }, { plaintext: 3 }]);
  await open.discovery.stop();
  await keyed.discovery.stop();
});

Deno.test("the key may change while nodes run, and those of the old one are heard as long as it counts", async () => {
  const lan = new Lan();
  const newer = NetworkKey.generate();
  let ring = [KEY];
  const a = await lan.start(A, "a", { keys: () => ring });
  const b = await lan.start(B, "b", { keys });
  await lan.clock.advance(400);
  a.seen.length = b.seen.length = 0;

  ring = [newer, KEY];
  await lan.clock.advance(2_500);
  assertEquals([a.seen, b.seen], [["b"], []], "the newest seals, any opens");
  assertEquals(drops(b), { "foreign-key": 1 });
  ring = [newer];
  await lan.clock.advance(2_500);
  assertEquals(a.seen, ["b"]);
  assertEquals(drops(a), { "foreign-key": 1 });
  const c = await lan.start(C, "c", { keys: () => ring });
  await lan.clock.advance(10);
  assertEquals(a.seen, ["b", "c"]);
  assert(a.discovery.report().interfaces[0].own === 5, "its own it knows under each");
  for (const { discovery } of [a, b, c]) await discovery.stop();
});

Deno.test("a node that has no key yet says nothing and believes nothing", async () => {
  const lan = new Lan();
  const { heard } = await lan.record(C);
  const a = await lan.start(A, "a", { keys: () => [], isStranger });
  const b = await lan.start(B, "b", { keys });
  await lan.clock.advance(1_000);
  assertEquals(a.seen, []);
  assertEquals(heard.filter(({ from }) => from.host === A), []);
  await a.discovery.stop();
  await b.discovery.stop();
});

Deno.test("the name of the network counts in one with a key, too", async () => {
  const lan = new Lan();
  const a = await lan.start(A, "a", { keys });
  const { socket } = await lan.record(B, 40_000);
  const other = encodeBeacon(beaconOf("b", { network: "office" }));
  await socket.send(new DatagramSealer().seal(KEY, other, B), BROADCAST);
  await socket.send(new DatagramSealer().seal(KEY, new TextEncoder().encode("[]"), B), BROADCAST);
  await lan.clock.advance(5);
  assertEquals([a.seen, drops(a)], [[], { "foreign-network": 1, malformed: 1 }]);
  await a.discovery.stop();
});

Deno.test("a sealed beacon fits into one datagram, whatever the names", () => {
  const form = new SealedBeacons({ clock: new ManualClock(), keys });
  const on = { name: "eth0", address: A };
  const opener = new DatagramOpener();
  fc.assert(fc.property(anyText({ minLength: 100, maxLength: 128 }), (network) => {
    const beacon = beaconOf("n".repeat(63), { network, bootId: "B".repeat(26) });
    const bytes = form.write(beacon, on)!;
    assert(bytes.length <= MAX_BEACON_BYTES, `${bytes.length} bytes`);
    assertEquals(opener.open(bytes, [KEY], A).type, "opened");
  }));
});

Deno.test("each interface seals for its own address, and two ways are no repetition", async () => {
  const clock = new ManualClock();
  const addresses = ["192.168.1.10", "172.16.5.10"];
  const sent: { bytes: Uint8Array; from: string }[] = [];
  const receivers: DatagramReceiver[] = [];
  const machine = (nodeId: string) =>
    new UdpDiscovery({
      transport: {
        name: "fake",
        interfaces: () =>
          addresses.map((address, i) => ({ name: `eth${i}`, address, netmask: "255.255.0.0" })),
        bind: ({ host, port }, _, receive) => {
          receivers.push(receive);
          return Promise.resolve({
            address: { host, port },
            send: (bytes) => (sent.push({ bytes, from: host }), Promise.resolve()),
            close() {},
          });
        },
      },
      clock,
      logger: silentLogger,
      interfaces: { names: [], lan: true },
      broadcastPort: BROADCAST.port,
      self: () => beaconOf(nodeId),
      keys,
      allows: () => true,
      isUrgent: () => false,
    });
  const sender = machine("sender");
  await sender.start(sink(() => false));
  await clock.advance(0);
  await sender.stop();
  assertEquals(sent.map(({ from }) => from), addresses);

  const from: string[] = [];
  receivers.length = 0;
  const receiver = machine("receiver");
  await receiver.start(sink(({ address }) => (from.push(address.host), false)));
  // The second overtakes the first, and each comes twice: by two interfaces on one network.
  for (const { bytes, from: host } of [...sent.toReversed(), ...sent]) {
    receivers[0](bytes, { host, port: 40_000 });
  }
  assertEquals(from, addresses.toReversed());
  assertEquals(receiver.report().dropped.replayed.count, 2);
  await receiver.stop();
});

Deno.test("who forges in a member's name, from its address, does not silence it", async () => {
  const lan = new Lan();
  const a = await lan.start(A, "a", { keys, isStranger });
  await lan.clock.advance(400);
  const { socket } = await lan.record(B, 40_000);
  const sealer = new DatagramSealer();
  const forged = sealed("b", B);
  forged[60] ^= 1;
  for (let second = 0; second < 3; second++) {
    for (let i = 0; i < 5_000; i++) await socket.send(forged, BROADCAST);
    await socket.send(sealed("b", B, KEY, sealer), BROADCAST);
    await lan.clock.advance(1_000);
  }
  assertEquals(a.seen, ["b", "b", "b"]);
  assertEquals(drops(a), { forged: 15_000 });
  await a.discovery.stop();
});

Deno.test("of a member's beacons a hundred a second are opened", async () => {
  const lan = new Lan();
  const a = await lan.start(A, "a", { keys });
  await lan.clock.advance(2_000);
  const { socket } = await lan.record(B, 40_000);
  const sealer = new DatagramSealer();
  for (let i = 0; i < 150; i++) await socket.send(sealed("b", B, KEY, sealer), BROADCAST);
  await lan.clock.advance(5);
  assertEquals([a.seen.length, drops(a)], [100, { rate: 50 }]);
  await a.discovery.stop();
});

Deno.test("recorded beacons of a time before this node came cost it no more than it can bear", async () => {
  const lan = new Lan();
  const hosts = Array.from({ length: 6_000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  const recorded = hosts.map((host) => ({ host, bytes: sealed("old", host) }));
  let receive: DatagramReceiver = () => {};
  const transport = lan.network.datagrams(A);
  const a = await lan.start(A, "a", {
    keys,
    transport: {
      ...transport,
      bind: (address, options, taker) => {
        if (address.host === "0.0.0.0") receive = taker;
        return transport.bind(address, options, taker);
      },
    },
  });
  receive(sealed("known", B), { host: B, port: 40_000 });
  for (const { host, bytes } of recorded) receive(bytes, { host, port: 40_000 });
  assertNotEquals(drops(a).rate ?? 0, 0);
  assertEquals(a.seen.length + drops(a).rate, 6_001);
  receive(sealed("known", B), { host: B, port: 40_000 });
  assertEquals(a.seen.at(-1), "known", "and not who is known");
  await lan.clock.advance(100);
  receive(sealed("new", C), { host: C, port: 40_000 });
  assertEquals(a.seen.at(-1), "new", "nor, a moment later, who is new");
  await a.discovery.stop();
});
