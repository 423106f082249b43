/** Mutual TLS on real sockets: who is let in, who is refused before a byte of HTTP/2, and what is said. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { X509Certificate } from "node:crypto";
import { setImmediate } from "node:timers";
import { NetworkError } from "../../src/base/errors.ts";
import type { FrameListener } from "../../src/link/frame_stream.ts";
import { grpcTransport } from "../../src/link/grpc_transport.ts";
import type { LinkSecurity } from "../../src/link/tls_gate.ts";
import { type Credentials, identityOf, NodeIdentity } from "../../src/security/identity.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import type { PeerCredential } from "../../src/security/trust.ts";
import {
  makeAuthority,
  memberCredentials,
  type Minting,
  networkAuthority,
  strangerCredentials,
} from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { FrontRig } from "../support/front_rig.ts";
import { skipUnless } from "../support/skip.ts";
import { HTTP2_PREFACE, knockPlainly } from "../support/tls_client.ts";
import { type End, endOf } from "./transport_suite.ts";

const KEY = NetworkKey.generate();
const HOUR = 60 * 60 * 1_000;
const serverIdentity = NodeIdentity.create();
const memberIdentity = NodeIdentity.create();
const server = securityOf([await serverIdentity.credentials(KEY, "server")]);
const member = await memberIdentity.credentials(KEY, "my_node.1");

function securityOf(
  credentials: readonly Credentials[],
  admits: (peer: PeerCredential) => boolean = () => true,
): LinkSecurity {
  return { credentials: () => credentials, verifiesPeers: true, admits };
}

function identityOfPem(pem: string): string {
  return identityOf(new X509Certificate(pem).raw);
}

const before = new Date(Date.now() - HOUR);
const later = new Date(Date.now() + HOUR);
/** Who is no member, with what it shows instead. */
const STRANGERS: Record<string, () => Promise<Credentials>> = {
  "one that signed itself": () => strangerCredentials(KEY, { label: "server" }),
  "one of another authority": async () =>
    await strangerCredentials(KEY, { authority: await makeAuthority() }),
  "one of another authority of the same name": async () => {
    const { name } = await networkAuthority(KEY);
    return await strangerCredentials(KEY, { authority: await makeAuthority(name) });
  },
  "one of another network": async () => {
    const authority = await networkAuthority(NetworkKey.generate());
    return await strangerCredentials(KEY, { authority });
  },
  "an expired one": () => memberCredentials(KEY, { notAfter: before }),
  "one that is not valid yet": () => memberCredentials(KEY, { notBefore: later }),
  "one that says no name": () => memberCredentials(KEY, { label: "" }),
  "one whose name is no label": () => memberCredentials(KEY, { label: "\u001b[31mred" }),
  "one that a member has signed with its own certificate": async () => {
    const { certificate, keys, name } = await ofMember();
    return await strangerCredentials(KEY, { authority: { certificate, keys, name } });
  },
};

/** A member that acts as an authority. */
async function ofMember() {
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const { certificate } = await memberCredentials(KEY, { label: "member", keys });
  return { certificate, keys, name: "CN=member" };
}

/** A listener for links, with what it accepts. */
class Host implements AsyncDisposable {
  readonly accepted: End[] = [];
  #listener: FrameListener | undefined;

  static async listen(security?: LinkSecurity, host = "127.0.0.1"): Promise<Host> {
    const made = new Host();
    made.#listener = await grpcTransport({ security }).listen({ host, port: 0 }, (stream) => {
      const end = endOf(stream);
      made.accepted.push(end);
      end.start();
    });
    return made;
  }

  get port(): number {
    return this.#listener!.address.port;
  }

  /** A link to it, started. */
  async dial(
    security?: LinkSecurity,
    host = "127.0.0.1",
    signal = new AbortController().signal,
  ): Promise<End> {
    const near = endOf(await grpcTransport({ security }).dial({ host, port: this.port }, signal));
    near.start();
    return near;
  }

  /** What a dial fails with. */
  async refuses(security?: LinkSecurity): Promise<string> {
    const error = await assertRejects(() => this.dial(security), NetworkError);
    assertEquals(error.code, "UNAVAILABLE");
    assertMatch(
      error.message,
      new RegExp(`^Cannot reach 127\\.0\\.0\\.1:${this.port}: [^\n]+\\.$`),
    );
    // That word is only for an address where no process listens: its node is taken to be dead.
    assert(!/refused|\d\d:\d\d|Resolution note/.test(error.message), error.message);
    assertEquals(this.accepted.length, 0);
    await afterFailedDial();
    return error.message;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.close();
    await eventually(() => this.accepted.every(({ closes }) => closes.length > 0), {
      what: "the end of all streams",
    });
  }
}

/** Timers of gRPC's after a dial that came to nothing: they hold up nothing but are counted. */
async function afterFailedDial(): Promise<void> {
  const end = performance.now() + 300;
  await eventually(() => performance.now() > end, { what: "gRPC's timers" });
}

async function close(near: End): Promise<void> {
  near.stream.close();
  await eventually(() => near.closes.length > 0, { what: "the end of the stream" });
}

Deno.test("members see who is on the other side, at both ends, before anything is said", async () => {
  await using host = await Host.listen(server);
  const near = await host.dial(securityOf([member]));
  assertEquals(near.stream.credential, {
    identity: serverIdentity.id,
    names: ["server"],
    tag: KEY.tag,
  });
  assertEquals(host.accepted.map(({ stream }) => stream.credential), [{
    identity: memberIdentity.id,
    names: ["my_node.1"],
    tag: KEY.tag,
  }]);
  await close(near);
});

Deno.test({
  name: "over IPv6 and IPv4 on one listener it is the same",
  ignore: skipUnless(
    Deno.networkInterfaces().some(({ family }) => family === "IPv6"),
    "this machine has no IPv6",
  ),
  async fn() {
    await using host = await Host.listen(server, "::");
    for (const address of ["::1", "127.0.0.1"]) {
      const near = await host.dial(securityOf([member]), address);
      const far = host.accepted.at(-1)!.stream;
      assertEquals([far.remoteHost, far.credential?.identity], [address, memberIdentity.id]);
      await close(near);
    }
  },
});

Deno.test("whoever is no member is refused before HTTP/2, counted, and costs nobody else anything", async () => {
  await using rig = await FrontRig.listen(server);
  const member = { shown: await memberIdentity.credentials(KEY, "m") };
  let count = 0;
  for (const [what, make] of Object.entries(STRANGERS)) {
    const shown = await make();
    for (const serverName of [shown.serverName, "", "example.com"]) {
      assertEquals(await rig.tries({ shown, serverName }), undefined, what);
      await rig.untilRefused("stranger", ++count);
    }
  }
  assertEquals(await rig.tries({}), undefined, "one that shows nothing");
  await rig.untilRefused("stranger", ++count);
  assertEquals(rig.letIn, []);
  assert(await rig.tries(member) !== undefined);
  assertEquals(rig.front.report().stranger.host, "127.0.0.1");
});

Deno.test("a certificate that is for serving alone, or for dialling alone, is not good for the other", async () => {
  await using rig = await FrontRig.listen(server);
  const serving = await memberCredentials(KEY, { usages: ["server"] });
  const dialling = await memberCredentials(KEY, { usages: ["client"] });
  assertEquals(await rig.tries({ shown: serving }), undefined);
  assert(await rig.tries({ shown: dialling }) !== undefined);
  await using host = await Host.listen(securityOf([dialling]));
  assertStringIncludes(await host.refuses(securityOf([member])), "of another network");
});

Deno.test("what is no TLS is refused without an answer that could be taken for one of HTTP", async () => {
  await using rig = await FrontRig.listen(server);
  const texts = ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\0".repeat(5_000), "x"];
  const plain = [HTTP2_PREFACE, ...texts.map((text) => new TextEncoder().encode(text.padEnd(16)))];
  for (const [i, bytes] of plain.entries()) {
    const answer = await knockPlainly(rig.port, bytes);
    // At most an alert of TLS.
    assert(answer.length <= 7 && (answer.length === 0 || answer[0] === 0x15), `${answer}`);
    await rig.untilRefused("stranger", i + 1);
  }
  assertEquals(rig.letIn, []);
});

Deno.test("TLS 1.2 is refused by whatever name it asks for: it shows certificates in the clear", async () => {
  await using rig = await FrontRig.listen(server);
  for (const serverName of [member.serverName, "", "example.com"]) {
    assertEquals(await rig.tries({ shown: member, serverName, maxVersion: "TLSv1.2" }), undefined);
  }
  assertEquals(rig.letIn, []);
  assert(await rig.tries({ shown: member, serverName: member.serverName }) !== undefined);
});

Deno.test("a member that asks for another name, or none, is let in under the newest key", async () => {
  const old = NetworkKey.generate();
  const credentials = [KEY, old].map((key) => serverIdentity.credentials(key, "server"));
  await using rig = await FrontRig.listen(securityOf(await Promise.all(credentials)));
  for (const serverName of ["", "example.com", "f".repeat(16) + ".hanzo-network"]) {
    assertEquals(await rig.tries({ shown: member, serverName }), {
      identity: memberIdentity.id,
      names: ["my_node.1"],
      tag: KEY.tag,
    });
  }
});

Deno.test("who asks for an old key's name is shown that one's certificate, and must have one of it", async () => {
  const old = NetworkKey.generate();
  const ofServer = await Promise.all([KEY, old].map((key) => serverIdentity.credentials(key, "s")));
  const admitted = new Set([KEY.tag, old.tag]);
  await using rig = await FrontRig.listen(securityOf(ofServer, ({ tag }) => admitted.has(tag)));
  const before = await memberIdentity.credentials(old, "m");
  const peer = await rig.tries({ shown: before, serverName: before.serverName });
  assertEquals(peer, { identity: memberIdentity.id, names: ["m"], tag: old.tag });
  const knock = rig.knock({ shown: before, serverName: before.serverName });
  await eventually(() => knock.serverCertificate !== undefined, { what: "a certificate" });
  const { issuer } = new X509Certificate(knock.serverCertificate!);
  assertEquals(issuer, `CN=${before.serverName}`);

  assertEquals(await rig.tries({ shown: before, serverName: member.serverName }), undefined);
  assertEquals(await rig.tries({ shown: member, serverName: before.serverName }), undefined);
  await rig.untilRefused("stranger", 2);
  admitted.delete(old.tag);
  assertEquals(await rig.tries({ shown: before, serverName: before.serverName }), undefined);
  assertEquals(rig.refused(), { stranger: 2, "not-admitted": 1 });
});

Deno.test("who is let in is asked about anew for each connection, by its own public key", async () => {
  const asked: PeerCredential[] = [];
  let evicted = "";
  const security = securityOf(server.credentials(), (peer) => {
    asked.push(peer);
    return peer.identity !== evicted;
  });
  await using rig = await FrontRig.listen(security);
  assert(await rig.tries({ shown: member }) !== undefined);
  evicted = memberIdentity.id;
  assertEquals(await rig.tries({ shown: member }), undefined);
  const made = await memberCredentials(KEY, { label: "my_node.1" });
  const peer = await rig.tries({ shown: made });
  assert(peer !== undefined && peer !== "nobody");
  assertEquals(peer.identity, identityOfPem(made.certificate), "a key pair of its own is another");
  assertEquals(asked.map(({ identity }) => identity), [evicted, evicted, peer.identity]);
  assertEquals(rig.refused(), { "not-admitted": 1 });
});

Deno.test("a member with a key pair of another kind, and with many names, harms nobody", async () => {
  await using rig = await FrontRig.listen(server);
  const tries = async (minting: Minting) => {
    const peer = await rig.tries({ shown: await memberCredentials(KEY, minting) });
    return peer === undefined || peer === "nobody" ? peer : peer.names;
  };
  for (const kind of ["P-384", "Ed25519", "RSA"] as const) {
    assertEquals(await tries({ label: "odd", kind }), ["odd"], kind);
  }
  const dnsNames = ["b.example.com", "c", "*.example.com", "-x", "d".repeat(64), "c"];
  assertEquals(await tries({ label: "a", dnsNames }), ["a", "b", "c"]);
  assertEquals(await tries({ label: "not a label", dnsNames: ["b"] }), ["b"]);
  assertEquals(await tries({ label: "x".repeat(63) }), ["x".repeat(63)]);
});

Deno.test("new credentials are used for the next connection, and those that are open stay", async () => {
  const next = NetworkKey.generate();
  let credentials = server.credentials();
  await using host = await Host.listen({ ...server, credentials: () => credentials });
  const first = await host.dial(securityOf([member]));
  credentials = [await serverIdentity.credentials(next, "server")];
  const ofNext = await memberIdentity.credentials(next, "m");
  const second = await host.dial(securityOf([ofNext]));
  assertEquals(second.stream.credential?.tag, next.tag);
  first.stream.send(new Uint8Array([1]));
  await eventually(() => host.accepted[0].frames.length === 1, { what: "a frame on the old link" });
  await close(first);
  await close(second);
});

Deno.test("a dialler with a newer key than the other side comes with the older one", async () => {
  const newer = NetworkKey.generate();
  const both = await Promise.all([newer, KEY].map((key) => memberIdentity.credentials(key, "m")));
  await using host = await Host.listen(server);
  const near = await host.dial(securityOf(both));
  assertEquals(near.stream.credential?.tag, KEY.tag);
  assertEquals(host.accepted[0].stream.credential?.tag, KEY.tag);
  await close(near);
  await afterFailedDial();
});

Deno.test("who dials refuses whoever answers without a certificate of the network, and says so", async () => {
  for (const [what, make] of Object.entries(STRANGERS)) {
    // It lets everybody in: only the dialler can refuse.
    await using host = await Host.listen({ ...securityOf([await make()]), verifiesPeers: false });
    const message = await host.refuses(securityOf([member]));
    const says = /no name|no label/.test(what) ? "does not count any more" : "of another network";
    assertStringIncludes(message, says, what);
    assertStringIncludes(message, "hanzo-network invite");
  }
});

Deno.test("who dials refuses whom it does not admit, by the other side's own public key", async () => {
  await using host = await Host.listen(server);
  const asked: string[] = [];
  const security = securityOf([member], ({ identity }) => {
    asked.push(identity);
    return false;
  });
  assertStringIncludes(await host.refuses(security), "was evicted, or was away");
  assertEquals(new Set(asked), new Set([serverIdentity.id]));
});

Deno.test("who is refused is told that its own membership is what is missing", async () => {
  await using evicting = await Host.listen(securityOf(server.credentials(), () => false));
  const says = "as a node does with who is not of its network, or no longer";
  assertStringIncludes(await evicting.refuses(securityOf([member])), says);
  await using host = await Host.listen(server);
  const expired = await memberCredentials(KEY, { notAfter: before });
  assertStringIncludes(await host.refuses(securityOf([expired])), says);
});

Deno.test("where the authority is the operator's, certificates are what both are told of", async () => {
  const own = { ...securityOf([member]), isOwnTls: true };
  const says = "Both certificates must be issued by an authority in the other's --tls-ca";
  const other = await STRANGERS["one of another authority"]();
  await using foreign = await Host.listen({ ...securityOf([other]), verifiesPeers: false });
  assertStringIncludes(await foreign.refuses(own), says);
  await using host = await Host.listen(server);
  const message = await host.refuses({ ...securityOf([other]), isOwnTls: true });
  assertStringIncludes(message, "--tls-ca");
  const expired = await memberCredentials(KEY, { notAfter: before });
  assertStringIncludes(await host.refuses({ ...securityOf([expired]), isOwnTls: true }), says);
});

Deno.test("who dials with a certificate never falls back to the clear", async () => {
  await using host = await Host.listen();
  const message = await host.refuses(securityOf([member]));
  assertStringIncludes(message, "speaks no TLS");
  assertStringIncludes(message, "--open");
  assertEquals(host.accepted.length, 0);
});

Deno.test("who dials in the clear gets nothing from a node with a key, and is told why", async () => {
  await using host = await Host.listen(server);
  const message = await host.refuses();
  assertStringIncludes(message, "without --open");
});

Deno.test("where nobody has to show anything links are encrypted and nobody is known", async () => {
  await using host = await Host.listen({ ...server, verifiesPeers: false });
  const near = await host.dial({ ...securityOf([member]), verifiesPeers: false });
  assertEquals(host.accepted[0].stream.credential, undefined);
  await close(near);
});

// Each is a test of its own, because what is left over is counted at the end of one.
for (let tenths = 0; tenths < 40; tenths += 2) {
  const after = `${tenths / 10} ms`;
  Deno.test(`a dial that is given up after ${after} leaves neither a socket nor a timer`, async () => {
    await using host = await Host.listen(server);
    const controller = new AbortController();
    const dialling = host.dial(securityOf([member]), "127.0.0.1", controller.signal);
    const until = performance.now() + tenths / 10;
    while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
    controller.abort(new NetworkError("CANCELLED", "Enough."));
    const opened = await dialling.catch(() => undefined);
    if (opened !== undefined) await close(opened);
  });
}
