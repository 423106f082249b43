/** Links between nodes that show who they are: whose label counts, and who is told of a wrong one. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/log.ts";
import { Kind } from "../../src/link/frame.ts";
import type { PeerLink } from "../../src/link/peer_link.ts";
import { LinkPool } from "../../src/link/link_pool.ts";
import { NodeIdentity } from "../../src/security/identity.ts";
import { KeyedTrust } from "../../src/security/keyed_trust.ts";
import { newKeyring } from "../../src/security/keyring.ts";
import { KnownNodes } from "../../src/security/known_nodes.ts";
import { openTrust } from "../../src/security/open_trust.ts";
import type { PeerCredential, Trust } from "../../src/security/trust.ts";
import { descriptionOf, LINK_PORT, PoolLan, RawPeer } from "../support/pool_lan.ts";

const [A, B, C] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const RING = newKeyring("home");
const [{ key: KEY }] = RING.keys;

/** A node that shows itself, and what its pool has told. */
interface Member {
  readonly pool: LinkPool;
  readonly host: string;
  readonly trust: Trust;
  readonly told: string[];
  readonly conflicts: string[];
  readonly refusals: string[];
}

/** What a node says and shows; the same label everywhere by default. */
interface MemberOptions {
  readonly host: string;
  readonly nodeId: string;
  readonly identity?: NodeIdentity;
  /** What its certificate is for. */
  readonly names?: readonly string[];
  readonly bootId?: string;
  readonly trust?: Trust;
}

class MemberLan extends PoolLan {
  async member(options: MemberOptions): Promise<Member> {
    const { host, nodeId, identity = NodeIdentity.create(), bootId } = options;
    const known = await KnownNodes.open({
      path: undefined,
      clock: this.clock,
      logger: silentLogger,
    });
    const trust = options.trust ?? await KeyedTrust.open({
      nodeId,
      identity,
      known,
      ring: RING,
      file: undefined,
      clock: this.clock,
      logger: silentLogger,
    });
    const credential: PeerCredential = {
      identity: identity.id,
      names: options.names ?? [nodeId],
      tag: KEY.tag,
    };
    const [told, conflicts, refusals]: string[][] = [[], [], []];
    const pool = new LinkPool({
      transport: this.links.transport(host, trust.mode === "open" ? undefined : credential),
      clock: this.clock,
      self: () => descriptionOf(nodeId, bootId === undefined ? {} : { bootId }),
      load: () => ({ running: 0, queued: 0, slots: 1, modelCalls: 0 }),
      allows: () => true,
      vouch: (id, peer, host) => trust.vouch(id, peer, host),
      expects: (peer) => trust.expects?.(peer),
      suspectAfterMs: 3_000,
      handler: {
        onLinked: ({ peer }) => told.push(`linked ${peer.nodeId}`),
        onRelinked() {},
        onOutdated() {},
        onUnlinked: (peer, { type }) => told.push(`unlinked ${peer} ${type}`),
        onCall() {},
        onNotice() {},
        onConflict: (peer, from) => conflicts.push(`${peer} at ${from}`),
        onRefused: ({ address, peer }, { code }) =>
          refusals.push(`${peer?.nodeId ?? "?"} at ${address.host} ${code}`),
      },
    });
    await pool.listen({ host, port: LINK_PORT });
    return { pool, host, trust, told, conflicts, refusals };
  }

  link(from: Member, to: Member): Promise<PeerLink> {
    return this.wait(from.pool.dial([{ host: to.host, port: LINK_PORT }]));
  }

  async refusal(from: Member, to: Member): Promise<[ErrorCode, string]> {
    const { code, message } = await assertRejects(() => this.link(from, to), NetworkError);
    await this.clock.advance(10);
    return [code, message];
  }
}

function knownTo({ trust }: Member): string[] {
  return trust.known!.list().map(({ nodeId }) => nodeId);
}

Deno.test("members that show their own labels are linked, and each knows the other from then on", async () => {
  const lan = new MemberLan();
  const [a, b] = [
    await lan.member({ host: A, nodeId: "a" }),
    await lan.member({ host: B, nodeId: "b" }),
  ];
  const link = await lan.link(a, b);
  await lan.clock.advance(5);
  assertEquals([a.told, b.told], [["linked b"], ["linked a"]]);
  assertEquals([knownTo(a), knownTo(b)], [["b"], ["a"]]);
  assertEquals(link.credential?.identity, b.trust.identity);
  assertEquals(b.pool.get("a")?.credential?.names, ["a"]);
});

Deno.test("who is known by its certificate is told in the first frame that it is taken, others later", async () => {
  for (const known of ["nobody", "b", "another b"]) {
    const lan = new MemberLan();
    const a = await lan.member({ host: A, nodeId: "a" });
    const identity = NodeIdentity.create().id;
    if (known !== "nobody") {
      const first = known === "b" ? identity : NodeIdentity.create().id;
      a.trust.vouch("b", { identity: first, names: ["b"], tag: KEY.tag }, B);
    }
    const peers: RawPeer[] = [];
    await lan.links.transport(B, { identity, names: ["b"], tag: KEY.tag }).listen(
      { host: B, port: LINK_PORT },
      (stream) => peers.push(new RawPeer(stream)),
    );
    const dialling = a.pool.dial([{ host: B, port: LINK_PORT }]);
    dialling.catch(() => {});
    await lan.clock.advance(5);
    const [peer] = peers;
    const isTaken = known !== "another b";
    assertEquals(
      peer.received.map(({ kind }) => kind),
      isTaken ? [Kind.Hello, Kind.Ping] : [Kind.Hello],
    );
    peer.introduce("b");
    await lan.clock.advance(5);
    assertEquals(a.told, isTaken ? ["linked b"] : []);
    assertEquals(
      peer.received.slice(isTaken ? 2 : 1).map(({ kind }) => kind),
      isTaken ? [] : [
        Kind.Goodbye,
      ],
    );
    await lan.wait(a.pool.close());
    await dialling.catch(() => {});
  }
});

Deno.test("who is dialled while an earlier start of it has a link is not told ahead that it is taken", async () => {
  const lan = new MemberLan();
  const a = await lan.member({ host: A, nodeId: "a" });
  const identity = NodeIdentity.create();
  await lan.link(await lan.member({ host: B, nodeId: "b", identity, bootId: "1" }), a);
  await lan.clock.advance(5);
  const later = await lan.member({ host: C, nodeId: "b", identity, bootId: "2" });
  assertEquals((await lan.refusal(a, later))[0], "NAME_CONFLICT");
  assertEquals([later.told, later.refusals], [[], [`a at ${A} NAME_CONFLICT`]]);
});

Deno.test("a peer whose certificate is for another label is refused, whoever dials, and told why", async () => {
  for (const dials of ["liar", "honest"]) {
    const lan = new MemberLan();
    const honest = await lan.member({ host: A, nodeId: "a" });
    const liar = await lan.member({ host: B, nodeId: "gpu", names: ["laptop"] });
    const [from, to] = dials === "liar" ? [liar, honest] : [honest, liar];
    const [code, message] = await lan.refusal(from, to);
    assertEquals(code, "PERMISSION_DENIED");
    assertStringIncludes(message, 'Cannot talk to "gpu": its certificate is for "laptop"');
    assertEquals([honest.told, honest.conflicts, knownTo(honest)], [[], [], []]);
    assertEquals(liar.refusals, [`${dials === "liar" ? "?" : "a"} at ${A} PERMISSION_DENIED`]);
    assertEquals(lan.links.openStreams, 0);
  }
});

Deno.test("a second identity with a known label is in conflict, the owner is told, the first one stays", async () => {
  for (const dials of ["second", "a"]) {
    const lan = new MemberLan();
    const a = await lan.member({ host: A, nodeId: "a" });
    const first = await lan.member({ host: B, nodeId: "b" });
    await lan.link(a, first);
    const second = await lan.member({ host: C, nodeId: "b", bootId: "OTHER" });
    const [from, to] = dials === "a" ? [a, second] : [second, a];
    const [code, message] = await lan.refusal(from, to);
    assertEquals(code, "NAME_CONFLICT");
    assertStringIncludes(message, "key forget b");
    assertEquals(a.conflicts, [`b at ${C}`]);
    const refuser = dials === "a" ? "a" : "?";
    assertEquals([second.told, second.refusals], [[], [`${refuser} at ${A} NAME_CONFLICT`]]);
    assertEquals([a.told, a.pool.get("b")?.remoteHost], [["linked b"], B]);

    // Also when the first one has long gone: a label is not free because its node is off.
    await lan.wait(first.pool.close());
    await lan.clock.advance(60_000);
    assertEquals((await lan.refusal(from, to))[0], "NAME_CONFLICT");
    await a.trust.known!.forget("b");
    await lan.link(from, to);
    await lan.clock.advance(5);
    assertEquals(a.pool.get("b")?.remoteHost, C, "now it is its");
  }
});

Deno.test("a node that was started anew, or has another address, keeps its label by its key pair", async () => {
  const lan = new MemberLan();
  const a = await lan.member({ host: A, nodeId: "a" });
  const identity = NodeIdentity.create();
  const before = await lan.member({ host: B, nodeId: "b", identity, bootId: "1" });
  await lan.link(a, before);
  await lan.wait(before.pool.close());
  await lan.clock.advance(10);
  const after = await lan.member({ host: C, nodeId: "b", identity, bootId: "2" });
  await lan.link(after, a);
  await lan.clock.advance(5);
  assertEquals([a.pool.get("b")?.remoteHost, a.conflicts], [C, []]);
});

Deno.test("whoever was refused for another reason is not remembered under the label it claimed", async () => {
  const lan = new MemberLan();
  const a = await lan.member({ host: A, nodeId: "a" });
  assertEquals((await lan.refusal(a, a))[0], "FAILED_PRECONDITION", "itself");
  const twin = await lan.member({ host: B, nodeId: "a", bootId: "OTHER" });
  assertEquals((await lan.refusal(twin, a))[0], "NAME_CONFLICT");
  assertEquals((await lan.refusal(a, twin))[0], "NAME_CONFLICT");
  assertEquals([knownTo(a), knownTo(twin)], [[], []], "a node's own label is its own");
  assert(a.conflicts.length > 0 && twin.conflicts.length > 0);
});

Deno.test("in the clear a label that was seen with a key is refused, whoever dials; others are not", async () => {
  for (const dials of ["known", "open"]) {
    const lan = new MemberLan();
    const known = await KnownNodes.open({
      path: undefined,
      clock: lan.clock,
      logger: silentLogger,
    });
    known.remember("b", NodeIdentity.create().id);
    const nobody = await KnownNodes.open({
      path: undefined,
      clock: lan.clock,
      logger: silentLogger,
    });
    const a = await lan.member({ host: A, nodeId: "a", trust: openTrust(known) });
    const b = await lan.member({ host: B, nodeId: "b", trust: openTrust(nobody) });
    const c = await lan.member({ host: C, nodeId: "c", trust: openTrust(nobody) });
    const [from, to] = dials === "open" ? [a, b] : [b, a];
    const [code, message] = await lan.refusal(from, to);
    assertEquals(code, "PERMISSION_DENIED");
    assertStringIncludes(message, 'Cannot talk to "b" in the clear: it was seen with a key before');
    assertStringIncludes(message, "hanzo-network key forget b");
    await lan.link(a, c);
    assertEquals(a.told, ["linked c"]);
    await known.forget("b");
    await lan.link(from, to);
  }
});

Deno.test("who shows nothing to a node with a key is refused", async () => {
  const lan = new MemberLan();
  const a = await lan.member({ host: A, nodeId: "a" });
  const peer = await lan.dialRaw(B, a);
  peer.hello("b");
  await lan.clock.advance(10);
  assertEquals([a.told, knownTo(a), peer.closes], [[], [], 1]);
});
