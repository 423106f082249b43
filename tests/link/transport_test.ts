/** The one suite, run against each way to make links. */

import { ManualClock } from "../../src/base/manual_clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { grpcTransport } from "../../src/link/grpc_transport.ts";
import { MemoryLinks } from "../../src/link/memory_transport.ts";
import type { LinkSecurity } from "../../src/link/tls_gate.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { MemoryNetwork } from "../../src/transport/memory_network.ts";
import { eventually } from "../support/eventually.ts";
import { membersOf } from "../support/members.ts";
import { type LinkBed, testLinkTransport } from "./transport_suite.ts";

function onLoopback(security?: { server: LinkSecurity; client: LinkSecurity }): LinkBed {
  return {
    server: grpcTransport({ security: security?.server }),
    client: grpcTransport({ security: security?.client }),
    serverHost: "127.0.0.1",
    clientHost: "127.0.0.1",
    wait: (promise) => promise,
    until: async (what, check) => void await eventually(check, { what, intervalMs: 1 }),
    async afterFailedDials() {
      // Timers of gRPC's, of up to 250 ms, which hold up nothing but which Deno.test counts: they
      // tell nobody when they have run.
      const end = performance.now() + 300;
      await eventually(() => performance.now() > end, { what: "gRPC's timers" });
    },
  };
}

function inMemory(jitterMs: number): LinkBed {
  const clock = new ManualClock();
  const lan = new MemoryNetwork(clock, seededRandom(1), { latencyMs: 1, jitterMs });
  const links = new MemoryLinks(clock, lan);
  const until = async (what: string, check: () => boolean) => {
    for (let waited = 0; !check(); waited++) {
      if (waited > 1_000) throw new Error(`Waited 1 s of simulated time for ${what} in vain.`);
      await clock.advance(1);
    }
  };
  return {
    server: links.transport("10.0.0.2"),
    client: links.transport("10.0.0.1"),
    serverHost: "10.0.0.2",
    clientHost: "10.0.0.1",
    until,
    afterFailedDials: () => Promise.resolve(),
    async wait(promise) {
      let settled = false;
      const done = () => settled = true;
      promise.then(done, done);
      await until("a promise", () => settled);
      return await promise;
    },
  };
}

const members = await membersOf(NetworkKey.generate(), "server", "client");

testLinkTransport("gRPC", () => onLoopback());
testLinkTransport("gRPC with mutual TLS", () => onLoopback(members));
testLinkTransport("memory", () => inMemory(0));
testLinkTransport("memory with jitter", () => inMemory(5));
