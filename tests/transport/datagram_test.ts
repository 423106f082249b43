/** The one suite, run against each way to send datagrams. */

import { assertEquals } from "@std/assert";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { DatagramTransport } from "../../src/transport/datagram.ts";
import { denoDatagrams } from "../../src/transport/deno_datagram.ts";
import { MemoryNetwork } from "../../src/transport/memory_network.ts";
import { nodeDatagrams } from "../../src/transport/node_datagram.ts";
import { systemDatagrams } from "../../src/transport/system_datagrams.ts";
import { eventually } from "../support/eventually.ts";
import { skipUnless } from "../support/skip.ts";
import { type DatagramBed, testDatagramTransport } from "./datagram_suite.ts";

const withoutBroadcast = skipUnless(
  Deno.build.os === "linux",
  "only Linux's loopback has a broadcast address",
);

function onLoopback(transport: DatagramTransport): DatagramBed {
  return {
    transport,
    host: "127.0.0.1",
    broadcast: "127.255.255.255",
    foreign: "203.0.113.1",
    until: async (what, check) => void await eventually(check, { what, intervalMs: 1 }),
  };
}

function inMemory(): DatagramBed {
  const clock = new ManualClock();
  const lan = new MemoryNetwork(clock, seededRandom(1));
  return {
    transport: lan.datagrams("10.0.0.1"),
    host: "10.0.0.1",
    broadcast: "10.255.255.255",
    foreign: "10.0.0.2",
    async until(what, check) {
      for (let waited = 0; !check(); waited++) {
        if (waited > 100) throw new Error(`Waited 100 simulated ms for ${what} in vain.`);
        await clock.advance(1);
      }
    },
  };
}

testDatagramTransport(() => onLoopback(denoDatagrams), withoutBroadcast);
testDatagramTransport(() => onLoopback(nodeDatagrams), withoutBroadcast);
testDatagramTransport(inMemory);

Deno.test("a Deno with --unstable-net uses its own sockets, one without those of node:dgram", async () => {
  assertEquals(systemDatagrams().name, "Deno.listenDatagram");

  const { listenDatagram } = Deno;
  const deno = Deno as { listenDatagram?: typeof Deno.listenDatagram };
  try {
    delete deno.listenDatagram;
    const transport = systemDatagrams();
    assertEquals(transport.name, "node:dgram");
    const socket = await transport.bind(
      { host: "127.0.0.1", port: 0 },
      { shared: false },
      () => {},
    );
    assertEquals(socket.address.host, "127.0.0.1");
    socket.close();
  } finally {
    deno.listenDatagram = listenDatagram;
  }
});
