/** The keys of a network as its owner sees and changes them, and what a crash or a full disk leaves. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/log.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { type NetworkKeys, networkKeys } from "../../src/network/network_keys.ts";
import { NodeIdentity } from "../../src/security/identity.ts";
import { KeyedTrust } from "../../src/security/keyed_trust.ts";
import {
  encodeKeyring,
  MAX_GRACE_MS,
  MIN_GRACE_MS,
  newKeyring,
  rotated,
} from "../../src/security/keyring.ts";
import { KeyringFile } from "../../src/security/keyring_file.ts";
import { KnownNodes } from "../../src/security/known_nodes.ts";
import { openTrust } from "../../src/security/open_trust.ts";
import type { Trust } from "../../src/security/trust.ts";
import { LocalNode } from "../support/local_node.ts";
import { ready, TestMachine } from "../support/nodes.ts";
import { SecretSearch } from "../support/secret_search.ts";
import { skipUnless } from "../support/skip.ts";
import { cannotMount, withSmallDisk } from "../support/small_disk.ts";
import { withTempDir } from "../support/temp.ts";

const [B, C] = ["b".repeat(64), "c".repeat(64)];

/** A node that has seen two others; `tags` says under which keys their links are. */
async function keysOf(tags: Record<string, string> = {}): Promise<{
  keys: NetworkKeys;
  trust: KeyedTrust;
  clock: ManualClock;
}> {
  const clock = new ManualClock();
  const known = await KnownNodes.open({ path: undefined, clock, logger: silentLogger });
  known.remember("b", B);
  known.remember("c", C);
  const trust = await KeyedTrust.open({
    nodeId: "a",
    identity: NodeIdentity.create(),
    known,
    ring: newKeyring("home"),
    file: undefined,
    clock,
    logger: silentLogger,
  });
  return { keys: over(trust, clock, tags), trust, clock };
}

/** How often those that had failed were to be tried at once. */
let reconsidered = 0;

function over(
  trust: Trust | undefined,
  clock: ManualClock,
  tags: Record<string, string> = {},
): NetworkKeys {
  const get = (nodeId: string) =>
    tags[nodeId] === undefined ? undefined : { credential: { tag: tags[nodeId] } };
  return networkKeys({
    trust: () => trust,
    // deno-lint-ignore no-explicit-any
    pool: { get } as any,
    membership: { reconsider: () => void reconsidered++ },
    wallTime: () => clock.wallTime(),
  });
}

async function refusal(attempt: Promise<unknown>, code: ErrorCode): Promise<string> {
  const error = await assertRejects(() => attempt, NetworkError);
  assertEquals(error.code, code, error.message);
  return error.message;
}

Deno.test("the list has the newest key first, and who was seen, with the key that each is linked under", async () => {
  const { keys, trust, clock } = await keysOf({ c: "00".repeat(8) });
  const seenAt = clock.wallTime();
  const [{ tag }] = keys.list().keys;
  await keys.rotate({ graceMs: 60_000 });
  const { networkName, identity, keys: all, members } = keys.list();
  assertEquals([networkName, identity], ["home", trust.identity]);
  assertEquals(
    all.map(({ epoch, acceptedUntil, acceptedFor }) => [
      epoch,
      acceptedUntil,
      acceptedFor,
    ]),
    [[2, null, null], [1, clock.wallTime() + 60_000, null]],
  );
  assertEquals(all[1].tag, tag);
  const seen = { firstSeen: seenAt, lastSeen: seenAt, hosts: [], lastTag: null, counts: true };
  assertEquals(members, [
    { nodeId: "b", identity: B, ...seen, tag: null },
    { nodeId: "c", identity: C, ...seen, tag: "00".repeat(8) },
  ]);
  await clock.advance(60_000);
  assertEquals(keys.list().keys.map(({ epoch }) => epoch), [2], "one that counts no more is gone");
});

Deno.test("the list has no key in it, however it is printed", async () => {
  const { keys, trust } = await keysOf();
  await keys.rotate();
  await keys.evict("b");
  const search = new SecretSearch(
    trust.ring.keys.map(({ key }) => ({ name: key.tag, bytes: key.reveal() })),
  );
  const list = keys.list();
  assertEquals(list.keys.length, 3);
  for (const text of [JSON.stringify(list), Deno.inspect(list, { depth: 9 })]) {
    assertEquals(search.find(text), []);
  }
});

Deno.test("a grace is 0 to 24 hours, a day when nothing is said, and never less than ten seconds", async () => {
  const { keys, clock } = await keysOf();
  const until = () => keys.list().keys[1].acceptedUntil! - clock.wallTime();
  for (const graceMs of [-1, NaN, Infinity, MAX_GRACE_MS + 1]) {
    const message = await refusal(keys.rotate({ graceMs }), "INVALID_ARGUMENT");
    assertStringIncludes(message, `graceMs is ${graceMs}, expected 0 to 86400000`);
  }
  assertEquals(keys.list().keys.length, 1);
  await keys.rotate();
  assertEquals(until(), MAX_GRACE_MS);
  await keys.rotate({ graceMs: 0 });
  assertEquals(until(), MIN_GRACE_MS);
});

Deno.test("rotations at the same moment follow one another", async () => {
  const { keys } = await keysOf();
  await Promise.all([keys.rotate(), keys.rotate(), keys.evict("b", { keep: ["c"] })]);
  const { keys: all, members } = keys.list();
  assertEquals(all.map(({ epoch }) => epoch), [4, 3, 2, 1]);
  assertEquals(members.map(({ nodeId }) => nodeId), ["c"]);
});

Deno.test("who is evicted is out, and all keys from before count only for the others", async () => {
  const { keys, trust } = await keysOf();
  const [{ tag }] = keys.list().keys;
  await keys.evict("b", { keep: ["c"] });
  const { keys: all, members } = keys.list();
  assertEquals(all.map(({ acceptedFor }) => acceptedFor), [null, 2]);
  assertEquals(members.map(({ nodeId }) => nodeId), ["c"]);
  const admits = (identity: string) => trust.admits({ identity, names: ["b"], tag });
  assertEquals([B, C, trust.identity].map(admits), [false, true, true]);
  assertStringIncludes(await refusal(keys.evict("b"), "NOT_FOUND"), "no such node was ever seen");
});

Deno.test("who counts under no key any more is listed as that, whoever has put it out", async () => {
  const { keys, trust, clock } = await keysOf();
  const [{ key }] = trust.ring.keys;
  for (const [label, identity] of [["b", B], ["c", C]]) {
    trust.vouch(label, { identity, names: [label], tag: key.tag });
  }
  const counting = () =>
    keys.list().members.filter(({ counts }) => counts).map((one) => one.nodeId);
  // As it comes from another node, which has put out "b".
  const theirs = rotated(trust.ring, {
    now: clock.wallTime(),
    graceMs: MAX_GRACE_MS,
    onlyFor: new Set([C, trust.identity]),
  });
  const bytes = new TextEncoder().encode(encodeKeyring(theirs));
  assertEquals(counting(), ["b", "c"]);
  await trust.take(bytes, { identity: C, names: ["c"], tag: key.tag });
  assertEquals(counting(), ["c"]);
  trust.known.noteKey("c", C, theirs.keys[0].key.tag);
  await clock.advance(MAX_GRACE_MS);
  assertEquals(counting(), ["c"], "it has the newest key");
  assertEquals(keys.list().members.length, 2, "its label is still nobody else's");
  await trust.stop();
});

Deno.test("nobody evicts itself or somebody who was never seen, and nothing has changed then", async () => {
  const { keys, trust } = await keysOf();
  trust.known.remember("other-label", trust.identity);
  for (const nodeId of ["a", "other-label"]) {
    assertStringIncludes(await refusal(keys.evict(nodeId), "INVALID_ARGUMENT"), "it is this node");
  }
  for (const nodeId of ["nobody", "", "__proto__", "constructor", "B"]) {
    await refusal(keys.evict(nodeId), "NOT_FOUND");
    await refusal(keys.forget(nodeId), "NOT_FOUND");
  }
  assertEquals(keys.list().keys.length, 1);
});

Deno.test("a label that is forgotten is free for another device, and the keys stay", async () => {
  const { keys, trust } = await keysOf();
  const credential = { identity: C, names: ["b"], tag: trust.ring.keys[0].key.tag };
  assertThrows(() => trust.vouch("b", credential), NetworkError, "it was another device before");
  const before = reconsidered;
  await keys.forget("b");
  assertEquals(reconsidered, before + 1, "who was refused for it is not to wait");
  trust.vouch("b", credential);
  assertEquals(keys.list().members.map(({ nodeId, identity }) => [nodeId, identity]), [
    ["b", C],
    ["c", C],
  ]);
  assertEquals(keys.list().keys.length, 1);
});

Deno.test("without a key, and before the start, it is said why there is nothing to do", async () => {
  const clock = new ManualClock();
  const known = await KnownNodes.open({ path: undefined, clock, logger: silentLogger });
  known.remember("b", B);
  const open = openTrust(known);
  const cases: [Trust | undefined, string][] = [
    [undefined, "the network does not run. Call start() first."],
    [open, "this node has no network key, because it was started with --open."],
    [{ ...open, mode: "tls", known: undefined }, "with certificates of its own."],
  ];
  for (const [trust, why] of cases) {
    const keys = over(trust, clock);
    assertThrows(() => keys.list(), NetworkError, why);
    for (const attempt of [keys.rotate(), keys.evict("b")]) {
      assertStringIncludes(await refusal(attempt, "FAILED_PRECONDITION"), why);
    }
  }
  // What an open node has seen with a key it can forget; where an authority vouches, nothing is.
  await over(open, clock).forget("b");
  await refusal(over(cases[2][0], clock).forget("b"), "NOT_FOUND");
  await refusal(over(undefined, clock).forget("b"), "FAILED_PRECONDITION");
});

Deno.test({
  name: "on a full disk nothing has changed, here and in the file, and later it works",
  ignore: skipUnless(cannotMount() === undefined, `a full disk: ${cannotMount()}`),
  fn: () =>
    withSmallDisk(256, async (disk) => {
      await using node = await LocalNode.start({ nodeId: "a", dataDirectory: disk });
      const { keys } = node.network;
      const before = [keys.list(), await Deno.readTextFile(`${disk}/keyring.json`)];
      await Deno.writeFile(`${disk}/ballast`, new Uint8Array(2 ** 18)).catch(() => {});
      assertStringIncludes(await refusal(keys.rotate(), "RESOURCE_EXHAUSTED"), "the disk is full");
      assertEquals([keys.list(), await Deno.readTextFile(`${disk}/keyring.json`)], before);
      await Deno.remove(`${disk}/ballast`);
      await keys.rotate();
      const kept = await new KeyringFile(disk, silentLogger).read();
      assertEquals(kept?.keys.map(({ key }) => key.tag), keys.list().keys.map(({ tag }) => tag));
    }),
});

Deno.test({
  name: "with room for the key and for nothing more, a rotation is done or not, but never half",
  ignore: skipUnless(cannotMount() === undefined, `a full disk: ${cannotMount()}`),
  async fn() {
    // Pages of the disk: the certificates of seven keys take three.
    for (const free of [1, 2]) {
      await withSmallDisk(256, async (disk) => {
        await using node = await LocalNode.start({ nodeId: "a", dataDirectory: disk });
        const { keys } = node.network;
        for (let i = 0; i < 6; i++) await keys.rotate();
        const before = keys.list();
        const ballast = `${disk}/ballast`;
        await Deno.writeFile(ballast, new Uint8Array(2 ** 18)).catch(() => {});
        await Deno.truncate(ballast, (await Deno.stat(ballast)).size - free * 4_096);
        await keys.rotate().then(
          () => assertEquals(keys.list().keys[0].epoch, before.keys[0].epoch + 1),
          () => assertEquals(keys.list(), before),
        );
        const kept = await new KeyringFile(disk, silentLogger).read();
        assertEquals(kept?.keys[0].key.tag, keys.list().keys[0].tag);
      });
    }
  },
});

/** Of changes in a node's directories by a rotation: after so many it is killed. */
const MOMENTS = [1, 2, 3, 10];

Deno.test("a node that is killed at any moment of a rotation has one of both keyrings, and starts again", async () => {
  await withTempDir(async (directory) => {
    const seen = new Set<number>();
    await Promise.all(MOMENTS.map(async (moment) => {
      const data = `${directory}/${moment}`;
      const machine = new TestMachine(data);
      const file = new KeyringFile(data, silentLogger);
      {
        await using node = machine.up("A");
        const { api } = await ready(node);
        const before = (await file.read())!;
        const token = await Deno.readTextFile(`${data}/nodes/A/token`);
        using changes = Deno.watchFs(data);
        const rotating = fetch(`${api}/control/v1/keys/rotate`, {
          method: "POST",
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
          body: "{}",
        }).then((response) => response.body?.cancel(), () => {});
        let count = 0;
        for await (const _ of changes) if (++count === moment) break;
        node.kill("SIGKILL");
        await Promise.all([node.status, rotating]);
        const after = (await file.read())!;
        const [{ key: { tag } }] = before.keys;
        if (after.keys.length === 1) assertEquals(encodeKeyring(after), encodeKeyring(before));
        else assertEquals(after.keys.map(({ key, epoch }) => key.tag === tag ? epoch : 2), [2, 1]);
        seen.add(after.keys.length);
      }
      await using again = machine.up("A");
      await ready(again);
    }));
    assert(seen.has(2), "none came as far as the new key");
  });
});
