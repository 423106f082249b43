/** Beacons in time and number: who is told of whom, and what is not listened to. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import type { Logger } from "../../src/base/log.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { decodeBeacon, encodeBeacon } from "../../src/discovery/beacon.ts";
import { UdpDiscovery, type UdpDiscoveryOptions } from "../../src/discovery/udp.ts";
import type {
  DatagramAddress,
  DatagramReceiver,
  DatagramSocket,
  DatagramTransport,
} from "../../src/transport/datagram.ts";
import type { NetworkInterface } from "../../src/transport/interfaces.ts";
import { beaconOf, BROADCAST, drops, Lan, PORT, sink } from "./beacon_lan.ts";

const [A, B, C] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

Deno.test("beacons go out at once, after 100 and 300 ms, and then every 2.5 s", async () => {
  const lan = new Lan();
  const { heard } = await lan.listen(B);
  const { discovery } = await lan.start(A, "a");
  await lan.clock.advance(10_001);
  // Each takes 1 ms.
  assertEquals(heard.map(({ at }) => at - 1), [0, 100, 300, 2_500, 5_000, 7_500, 10_000]);
  assertEquals(heard[0], {
    ...beaconOf("a"),
    from: { host: A, port: heard[0].from.port },
    at: 1,
  });
  await discovery.stop();
});

Deno.test("each beacon says what the node is then, not what it was at the start", async () => {
  const lan = new Lan();
  const { heard } = await lan.listen(B);
  let listenPort = 1;
  const { discovery } = await lan.start(A, "a", { self: () => beaconOf("a", { listenPort }) });
  await lan.clock.advance(50);
  listenPort = 5699;
  await lan.clock.advance(100);
  assertEquals(heard.map((beacon) => beacon.listenPort), [1, 5699]);
  await discovery.stop();
});

Deno.test("a beacon tells who was seen, and where links are accepted there", async () => {
  const lan = new Lan();
  const a = await lan.start(A, "a");
  const b = await lan.start(B, "b", { self: () => beaconOf("b", { listenPort: 7777 }) });
  await lan.clock.advance(1);
  assertEquals(a.sightings, [
    { nodeId: "b", bootId: "BOOTB", address: { host: B, port: 7777, via: "udp" } },
  ]);
  await a.discovery.stop();
  await b.discovery.stop();
});

Deno.test("a node does not see itself", async () => {
  const lan = new Lan();
  const a = await lan.start(A, "a", { isStranger: () => true });
  await lan.clock.advance(5_000);
  assertEquals(a.seen, []);
  assertEquals(a.discovery.report().dropped.malformed.count, 0);
  await a.discovery.stop();
});

Deno.test("a stranger is answered by unicast to where its beacon came from, others are not", async () => {
  const lan = new Lan();
  let isStranger = true;
  const a = await lan.start(A, "a", { isStranger: () => isStranger });
  await lan.clock.advance(400);
  const beacons = await lan.listen(B, 40_000);
  const { heard: others } = await lan.listen(C);
  await beacons.socket.send(encodeBeacon(beaconOf("b")), BROADCAST);
  await lan.clock.advance(5);
  const answers = beacons.heard.map(({ nodeId, isAnswer, from }) => [nodeId, isAnswer, from.host]);
  assertEquals(answers, [["a", true, A]]);
  assertEquals(others.map(({ nodeId }) => nodeId), ["b"], "nobody else hears the answer");

  isStranger = false;
  await beacons.socket.send(encodeBeacon(beaconOf("b")), BROADCAST);
  await lan.clock.advance(5);
  assertEquals(beacons.heard.length, 1);
  await a.discovery.stop();
});

Deno.test("an answer is a sighting, too, and is never answered, not even by a stranger to it", async () => {
  const lan = new Lan();
  const a = await lan.start(A, "a", { isStranger: () => true });
  await lan.clock.advance(400);
  const { socket, heard } = await lan.listen(B, 40_000);
  await socket.send(encodeBeacon(beaconOf("b", { isAnswer: true })), BROADCAST);
  await lan.clock.advance(5);
  assertEquals(a.seen, ["b"]);
  assertEquals(heard, []);
  await a.discovery.stop();
});

Deno.test("two nodes know each other after one beacon of either", async () => {
  const lan = new Lan();
  const known = new Set<string>();
  const isStranger = () => true;
  const first = await lan.start(A, "a", { isStranger });
  await lan.clock.advance(1_000);
  const sent = lan.network.datagramsSent;
  const second = await lan.start(B, "b", { isStranger });
  await lan.clock.advance(2);
  for (const nodeId of [...first.seen, ...second.seen]) known.add(nodeId);
  assertEquals(known, new Set(["a", "b"]));
  assertEquals(lan.network.datagramsSent - sent, 2, "one beacon, one answer, and that is all");
  await first.discovery.stop();
  await second.discovery.stop();
});

Deno.test("of one address a hundred datagrams a second are looked at, of others as many", async () => {
  const lan = new Lan();
  const a = await lan.start(A, "a");
  await lan.clock.advance(2_400);
  const flood = await lan.listen(B, 40_000);
  const other = await lan.listen(C, 40_000);
  const sendBeacon = () => flood.socket.send(encodeBeacon(beaconOf("b")), BROADCAST);
  const garbage = new Uint8Array(300);

  for (let i = 0; i < 60; i++) await flood.socket.send(garbage, BROADCAST);
  for (let i = 0; i < 40; i++) await sendBeacon();
  await lan.clock.advance(2);
  assertEquals([a.seen.length, a.discovery.report().dropped.malformed.count], [40, 60]);

  // From here on nothing of it is decoded: garbage counts as too much, not as malformed.
  for (let i = 0; i < 1_000; i++) await flood.socket.send(garbage, BROADCAST);
  await sendBeacon();
  await other.socket.send(encodeBeacon(beaconOf("c")), BROADCAST);
  await lan.clock.advance(2);
  assertEquals(a.seen.slice(40), ["c"]);
  assertEquals(drops(a), {
    malformed: 60,
    rate: 1_001,
  });

  await lan.clock.advance(1_000);
  await sendBeacon();
  await lan.clock.advance(2);
  assertEquals(a.seen.slice(41), ["b"], "a second later it is heard again");
  await a.discovery.stop();
});

Deno.test("beacons of another network, or of none, are counted and not seen", async () => {
  const lan = new Lan();
  const a = await lan.start(A, "a", { isStranger: () => true });
  const { socket, heard } = await lan.listen(B, 40_000);
  await socket.send(encodeBeacon(beaconOf("b", { network: "office" })), BROADCAST);
  await socket.send(new TextEncoder().encode("M-SEARCH * HTTP/1.1\r\n"), BROADCAST);
  await lan.clock.advance(5);
  assertEquals(a.seen, []);
  assertEquals(heard, [], "and not answered");
  assertEquals(drops(a), {
    malformed: 1,
    "foreign-network": 1,
  });
  await a.discovery.stop();
});

Deno.test("what comes from an address that may not be talked to is not even decoded", async () => {
  const lan = new Lan();
  const a = await lan.start(A, "a", { allows: (host) => host !== B, isStranger: () => true });
  const { socket, heard } = await lan.listen(B, 40_000);
  for (let i = 0; i < 200; i++) await socket.send(new Uint8Array(9), BROADCAST);
  await socket.send(encodeBeacon(beaconOf("b")), BROADCAST);
  await lan.clock.advance(5);
  assertEquals([a.seen, heard], [[], []]);
  assertEquals(drops(a), {
    "not-allowed": 201,
  });
  await a.discovery.stop();
});

Deno.test("stopping ends every timer and closes every socket, and may be done again", async () => {
  const lan = new Lan();
  let woken = 0;
  const self = () => (woken++, beaconOf("a"));
  const a = await lan.start(A, "a", { self, isStranger: () => true });
  const { socket } = await lan.listen(B);
  await lan.clock.advance(50);
  await a.discovery.stop();
  await a.discovery.stop();
  const sent = lan.network.datagramsSent;
  woken = 0;
  await socket.send(encodeBeacon(beaconOf("b")), BROADCAST);
  await lan.clock.advance(60_000);
  assertEquals(lan.network.datagramsSent, sent + 1, "only the test itself has sent");
  assertEquals([a.seen, woken], [[], 0]);
  const free = await lan.network.datagrams(A).bind(
    { host: "0.0.0.0", port: PORT },
    { shared: false },
    () => {},
  );
  free.close();
});

Deno.test("stopping before the start has come to its end leaves nothing behind", async () => {
  const machine = new Machine([LOOPBACK, ETHERNET]);
  const discovery = machine.discovery();
  const starting = discovery.start(sink(() => true));
  await discovery.stop();
  await starting;
  await machine.clock.advance(10_000);
  assertEquals(machine.sent, []);
  assertEquals(machine.open, []);
});

// What follows needs a machine with several interfaces.

const LOOPBACK = { name: "lo", address: "127.0.0.1", netmask: "255.0.0.0" };
const ETHERNET = { name: "eth0", address: "192.168.1.10", netmask: "255.255.255.0" };
const WIRELESS = { name: "wlan0", address: "172.16.5.10", netmask: "255.255.240.0" };

/** A machine whose sockets go nowhere and remember everything. */
class Machine implements DatagramTransport {
  readonly name = "fake";
  readonly clock = new ManualClock();
  readonly sent: string[] = [];
  readonly open: string[] = [];
  readonly log: string[] = [];
  /** May change while a node runs. */
  all: readonly NetworkInterface[];
  /** What sending from an address fails with. */
  readonly broken = new Map<string, NetworkError>();
  readonly #receivers: DatagramReceiver[] = [];
  /** What binding to an address fails with. */
  readonly failing = new Map<string, NetworkError>();

  constructor(all: readonly NetworkInterface[]) {
    this.all = all;
  }

  discovery(options: Partial<UdpDiscoveryOptions> = {}): UdpDiscovery {
    const keep = (message: string, properties: Record<string, unknown> = {}) =>
      void this.log.push(message.replaceAll(/\{(\w+)\}/g, (_, key) => `${properties[key]}`));
    const logger: Logger = { debug() {}, info: keep, warn: keep, error: keep };
    return new UdpDiscovery({
      transport: this,
      clock: this.clock,
      logger,
      interfaces: { names: [], lan: true },
      broadcastPort: PORT,
      self: () => beaconOf("self"),
      keys: undefined,
      allows: () => true,
      isUrgent: () => false,
      ...options,
    });
  }

  interfaces(): NetworkInterface[] {
    return [...this.all];
  }

  async bind(
    { host, port }: DatagramAddress,
    _: { shared: boolean },
    receive: DatagramReceiver,
  ): Promise<DatagramSocket> {
    await Promise.resolve();
    const failure = this.failing.get(host);
    if (failure !== undefined) throw failure;
    const bound = `${host}:${port}`;
    this.open.push(bound);
    this.#receivers.push(receive);
    return {
      address: { host, port: port || 50_000 },
      send: (bytes, to) => {
        const failure = this.broken.get(host);
        if (failure !== undefined) return Promise.reject(failure);
        const kind = decodeBeacon(bytes).isAnswer ? "answer" : "beacon";
        this.sent.push(`${kind} ${host} > ${to.host}:${to.port}`);
        return Promise.resolve();
      },
      close: () => {
        if (this.open.includes(bound)) this.open.splice(this.open.indexOf(bound), 1);
      },
    };
  }

  /** A beacon of a stranger, or other bytes, arrive from `host`. */
  receive(host: string, bytes = encodeBeacon(beaconOf("stranger"))): void {
    this.#receivers[0](bytes, { host, port: 40_000 });
  }
}

Deno.test("beacons leave every interface from its own address, to its own broadcast address", async () => {
  const machine = new Machine([LOOPBACK, ETHERNET, WIRELESS]);
  const discovery = machine.discovery();
  await discovery.start(sink(() => false));
  await machine.clock.advance(0);
  assertEquals(machine.sent, [
    "beacon 192.168.1.10 > 192.168.1.255:5678",
    "beacon 172.16.5.10 > 172.16.15.255:5678",
    "beacon 127.0.0.1 > 127.255.255.255:5678",
  ]);
  assertEquals(machine.open[0], "0.0.0.0:5678", "and are received on all of them");
  await discovery.stop();
});

Deno.test("an answer leaves from the interface whose network the stranger is on", async () => {
  const machine = new Machine([LOOPBACK, ETHERNET, WIRELESS]);
  const discovery = machine.discovery();
  await discovery.start(sink(() => true));
  await machine.clock.advance(0);
  machine.sent.length = 0;
  for (const host of ["172.16.15.3", "192.168.1.77", "127.0.0.1", "192.168.7.7"]) {
    machine.receive(host);
  }
  assertEquals(machine.sent, [
    "answer 172.16.5.10 > 172.16.15.3:40000",
    "answer 192.168.1.10 > 192.168.1.77:40000",
    "answer 127.0.0.1 > 127.0.0.1:40000",
    // On no network of ours: by whatever leads out.
    "answer 192.168.1.10 > 192.168.7.7:40000",
  ]);
  await discovery.stop();
});

Deno.test("a node that keeps to its machine hears nothing but the loopback", async () => {
  const machine = new Machine([LOOPBACK, ETHERNET]);
  const discovery = machine.discovery({ interfaces: { names: [], lan: false } });
  await discovery.start(sink(() => false));
  assertEquals(machine.open, ["127.255.255.255:5678", "127.0.0.1:0"]);
  await discovery.stop();
});

Deno.test("where no socket can be bound to a broadcast address, the wildcard does", async () => {
  const machine = new Machine([LOOPBACK]);
  machine.failing.set("127.255.255.255", new NetworkError("UNAVAILABLE", "Not an address."));
  const discovery = machine.discovery({ interfaces: { names: [], lan: false } });
  await discovery.start(sink(() => false));
  assertEquals(machine.open, ["0.0.0.0:5678", "127.0.0.1:0"]);
  await discovery.stop();
});

Deno.test("a port that another program does not share is an error, whatever it was bound to", async () => {
  for (const [host, lan] of [["127.255.255.255", false], ["0.0.0.0", true]] as const) {
    const machine = new Machine([LOOPBACK, ETHERNET]);
    machine.failing.set(host, new NetworkError("PORT_IN_USE", "Taken."));
    const discovery = machine.discovery({ interfaces: { names: [], lan } });
    const error = await assertRejects(() => discovery.start(sink(() => false)), NetworkError);
    assertEquals(error.code, "PORT_IN_USE");
    await discovery.stop();
    assertEquals(machine.open, []);
  }
});

Deno.test("an interface that cannot be bound costs only itself, and is named in the log", async () => {
  const machine = new Machine([LOOPBACK, ETHERNET, WIRELESS]);
  machine.failing.set(ETHERNET.address, new NetworkError("UNAVAILABLE", "The link is down."));
  const discovery = machine.discovery();
  await discovery.start(sink(() => false));
  await machine.clock.advance(0);
  assertEquals(machine.sent, [
    "beacon 172.16.5.10 > 172.16.15.255:5678",
    "beacon 127.0.0.1 > 127.255.255.255:5678",
  ]);
  assertEquals(machine.log, ["No beacons on eth0: The link is down."]);
  await discovery.stop();
});

Deno.test("a beacon that cannot be sent now does not keep the next ones", async () => {
  const machine = new Machine([ETHERNET]);
  const { bind } = machine;
  let sends = 0;
  machine.bind = async (...args) => {
    const socket = await bind.apply(machine, args);
    return { ...socket, send: () => (sends++, Promise.reject(new Error("network unreachable"))) };
  };
  const discovery = machine.discovery();
  await discovery.start(sink(() => false));
  await machine.clock.advance(2_500);
  assertEquals(sends, 4);
  await discovery.stop();
});

Deno.test("an interface that was asked for and is not there is told of, with those that are", async () => {
  const machine = new Machine([LOOPBACK, ETHERNET]);
  const some = machine.discovery({ interfaces: { names: ["eth0", "eth7"], lan: true } });
  await some.start(sink(() => false));
  assertEquals(machine.open.length, 2);
  assertEquals(machine.log.length, 1);
  assertMatch(machine.log[0], /"eth7".*There are: lo, eth0\./);
  await some.stop();

  const none = machine.discovery({ interfaces: { names: ["eth7"], lan: true } });
  const error = await assertRejects(() => none.start(sink(() => false)), NetworkError, '"eth7"');
  assertEquals(error.code, "NOT_FOUND");
  assert(machine.open.length === 0);
});

Deno.test("interfaces that appear, vanish and change address while it runs are followed", async () => {
  const machine = new Machine([LOOPBACK, ETHERNET]);
  const discovery = machine.discovery();
  await discovery.start(sink(() => false));
  await machine.clock.advance(400);
  machine.sent.length = 0;

  machine.all = [LOOPBACK, ETHERNET, WIRELESS];
  await machine.clock.advance(150);
  assertEquals(machine.sent.filter((line) => line.includes("172.16.5.10")).length, 1);
  await machine.clock.advance(350);
  const onWireless = machine.sent.filter((line) => line.includes("172.16.5.10"));
  assertEquals(onWireless.length, 3, "a burst, as after the start");

  machine.all = [LOOPBACK, { ...ETHERNET, address: "192.168.1.20" }];
  await machine.clock.advance(2_500);
  assertEquals(machine.open, ["0.0.0.0:5678", "127.0.0.1:0", "192.168.1.20:0"]);
  machine.sent.length = 0;
  await machine.clock.advance(2_500);
  assertEquals(machine.sent.sort(), [
    "beacon 127.0.0.1 > 127.255.255.255:5678",
    "beacon 192.168.1.20 > 192.168.1.255:5678",
  ]);
  await discovery.stop();
  assertEquals(machine.open, []);
});

Deno.test("an interface that takes no beacons for a while gets a socket of its own again", async () => {
  const machine = new Machine([ETHERNET]);
  const discovery = machine.discovery();
  await discovery.start(sink(() => false));
  await machine.clock.advance(400);
  machine.broken.set(
    ETHERNET.address,
    new NetworkError("UNAVAILABLE", "The network is unreachable."),
  );
  await machine.clock.advance(5_000);
  const [broken] = discovery.report().interfaces;
  assertEquals([broken.sent, broken.problem], [3, "The network is unreachable."]);
  machine.broken.clear();
  await machine.clock.advance(5_000);
  const [mended] = discovery.report().interfaces;
  assert(mended.sent > 3 && mended.problem === undefined, JSON.stringify(mended));
  assertEquals(machine.open.length, 2);
  await discovery.stop();
});

Deno.test("while somebody is missed beacons go out twice a second", async () => {
  const machine = new Machine([ETHERNET]);
  let isUrgent = false;
  const discovery = machine.discovery({ isUrgent: () => isUrgent });
  await discovery.start(sink(() => false));
  await machine.clock.advance(400);
  machine.sent.length = 0;
  isUrgent = true;
  await machine.clock.advance(10_000);
  assertEquals(machine.sent.length, 20);
  isUrgent = false;
  await machine.clock.advance(10_000);
  assertEquals(machine.sent.length, 24);
  await discovery.stop();
});

Deno.test("the report tells own beacons from those of others, by interface", async () => {
  const lan = new Lan();
  const a = await lan.start(A, "a");
  await lan.start(B, "b");
  await lan.clock.advance(5_100);
  const [{ name, address, broadcast, sent, own, heard, hosts }] = a.discovery.report().interfaces;
  assertEquals([name, address, broadcast], ["mem0", A, BROADCAST.host]);
  assertEquals([sent, own, heard, hosts], [5, 5, 5, [B]]);
});

const OWN = encodeBeacon(beaconOf("self"));

Deno.test("of two addresses on one network each gets its own beacons, and both those of others", async () => {
  const second = { name: "eth1", address: "192.168.1.20", netmask: "255.255.255.0" };
  const machine = new Machine([ETHERNET, second]);
  const discovery = machine.discovery();
  await discovery.start(sink(() => false));
  machine.receive(ETHERNET.address, OWN);
  machine.receive(second.address, OWN);
  machine.receive(second.address, OWN);
  machine.receive("192.168.1.77");
  const counts = discovery.report().interfaces.map(({ name, own, heard }) => [name, own, heard]);
  assertEquals(counts, [["eth0", 1, 1], ["eth1", 2, 1]]);
  await discovery.stop();
});

Deno.test("a node knows its own beacons also from an address that it may not talk to", async () => {
  const machine = new Machine([ETHERNET]);
  const seen: string[] = [];
  const discovery = machine.discovery({ allows: (host) => host.startsWith("10.") });
  await discovery.start(sink(({ nodeId }) => (seen.push(nodeId), false)));
  machine.receive(ETHERNET.address, OWN);
  const { interfaces, dropped } = discovery.report();
  assertEquals([interfaces[0].own, dropped["not-allowed"].count], [1, 0]);
  // Another node of this machine is none that it may talk to there, and no stranger either.
  machine.receive(ETHERNET.address);
  machine.receive(ETHERNET.address, new Uint8Array(9));
  const after = discovery.report();
  assertEquals([after.dropped["not-allowed"].count, after.dropped.malformed.count], [2, 0]);
  assertEquals([seen, after.interfaces[0].strangers], [[], 0]);
  await discovery.stop();
});

Deno.test("the report says how long ago the last beacons left, came back and were heard", async () => {
  const machine = new Machine([ETHERNET]);
  const discovery = machine.discovery();
  const ago = () => {
    const [{ sentAgoMs, ownAgoMs, heardAgoMs }] = discovery.report().interfaces;
    return [sentAgoMs, ownAgoMs, heardAgoMs];
  };
  await discovery.start(sink(() => false));
  assertEquals(ago(), [undefined, undefined, undefined]);
  await machine.clock.advance(0);
  machine.receive(ETHERNET.address, OWN);
  await machine.clock.advance(2_000);
  machine.receive("192.168.1.77");
  await machine.clock.advance(1_000);
  assertEquals(ago(), [500, 3_000, 1_000]);
  await discovery.stop();
});

Deno.test("whatever comes from other machines is counted where it came, also what is not used", async () => {
  const machine = new Machine([LOOPBACK, ETHERNET, WIRELESS]);
  const discovery = machine.discovery({ allows: (host) => host !== "192.168.1.66" });
  await discovery.start(sink(() => false));
  machine.receive("192.168.1.77", new Uint8Array(9));
  machine.receive("192.168.1.77", encodeBeacon(beaconOf("x", { network: "office" })));
  machine.receive("192.168.1.66");
  machine.receive(ETHERNET.address);
  machine.receive(LOOPBACK.address);
  const { interfaces } = discovery.report();
  assertEquals(interfaces.map(({ name, strangers }) => `${name} ${strangers}`), [
    "eth0 3",
    "wlan0 0",
    "lo 0",
  ]);
  await discovery.stop();
});

Deno.test("an interface that is down is told from one that takes no beacons", async () => {
  const failures: [Error, isDown: boolean][] = [
    [Object.assign(new Error("send"), { code: "ENETUNREACH" }), true],
    [Object.assign(new Error("send"), { code: "ENETDOWN" }), true],
    [new Error("Network is unreachable (os error 101)"), true],
    [new Deno.errors.AddrNotAvailable("Cannot assign requested address"), true],
    [new Error("No route to host (os error 65)"), false],
    [new Error("Operation not permitted (os error 1)"), false],
  ];
  for (const [cause, isDown] of failures) {
    const machine = new Machine([ETHERNET]);
    const failure = new NetworkError("UNAVAILABLE", `Cannot send: ${cause.message}`, { cause });
    machine.broken.set(ETHERNET.address, failure);
    const discovery = machine.discovery();
    await discovery.start(sink(() => false));
    await machine.clock.advance(400);
    assertEquals(discovery.report().interfaces[0].isDown, isDown, cause.message);
    machine.broken.clear();
    await machine.clock.advance(2_500);
    assertEquals(discovery.report().interfaces[0].isDown, false);
    await discovery.stop();
  }
});

Deno.test("no beacons leave from an address without a network", async () => {
  const tunnel = { name: "tun0", address: "10.8.0.2", netmask: "255.255.255.255" };
  const machine = new Machine([tunnel, ETHERNET]);
  const discovery = machine.discovery();
  await discovery.start(sink(() => false));
  await machine.clock.advance(0);
  assertEquals(machine.sent, ["beacon 192.168.1.10 > 192.168.1.255:5678"]);
  await discovery.stop();
});

Deno.test("a moment in which the interfaces cannot be listed does not end the beacons", async () => {
  const machine = new Machine([ETHERNET]);
  const discovery = machine.discovery();
  await discovery.start(sink(() => false));
  await machine.clock.advance(400);
  const { interfaces } = machine;
  machine.interfaces = () => {
    throw new NetworkError("UNAVAILABLE", "The system is busy.");
  };
  await machine.clock.advance(5_000);
  machine.interfaces = interfaces;
  machine.sent.length = 0;
  await machine.clock.advance(5_000);
  assertEquals(machine.sent.length, 2);
  await discovery.stop();
});
