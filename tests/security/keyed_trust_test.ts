/** Whom a node with a network key talks to: now, after a rotation, after an eviction, after joining. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { NodeIdentity } from "../../src/security/identity.ts";
import { KeyedTrust } from "../../src/security/keyed_trust.ts";
import {
  decodeKeyring,
  encodeKeyring,
  type Keyring,
  MAX_GRACE_MS,
  newKeyring,
  rotated,
} from "../../src/security/keyring.ts";
import { KeyringFile } from "../../src/security/keyring_file.ts";
import { KnownNodes } from "../../src/security/known_nodes.ts";
import type { NetworkKey } from "../../src/security/network_key.ts";
import type { PeerCredential } from "../../src/security/trust.ts";
import { eventually } from "../support/eventually.ts";
import { recordingLogger } from "../support/recording_logger.ts";
import { skipUnless } from "../support/skip.ts";
import { cannotMount, withSmallDisk } from "../support/small_disk.ts";
import { withTempDir } from "../support/temp.ts";

const HOUR = 60 * 60 * 1_000;
/** Two looks at the file: it is seen within one and something. */
const LOOKS = 2_000;

/** One node's trust, with what it tells. */
interface Truster {
  readonly trust: KeyedTrust;
  readonly clock: ManualClock;
  readonly identity: NodeIdentity;
  readonly lines: (level: "warn") => string[];
  /** How often it has told of a change. */
  changes(): number;
}

interface TrusterOptions {
  readonly ring?: Keyring;
  /** Where its keyring is kept; nowhere by default. */
  readonly directory?: string;
  /** By default one of that directory. */
  readonly file?: KeyringFile;
  readonly clock?: ManualClock;
}

/** A clock that may say another time than has passed. */
class SettableClock extends ManualClock {
  /** How far it is ahead, in milliseconds. */
  ahead = 0;

  override wallTime(): number {
    return super.wallTime() + this.ahead;
  }
}

async function truster(nodeId: string, options: TrusterOptions = {}): Promise<Truster> {
  const { directory, clock = new ManualClock() } = options;
  const { logger, lines } = recordingLogger();
  const identity = NodeIdentity.create();
  const file = options.file ??
    (directory === undefined ? undefined : new KeyringFile(directory, logger));
  const trust = await KeyedTrust.open({
    nodeId,
    identity,
    known: await KnownNodes.open({ path: undefined, clock, logger }),
    ring: options.ring ?? await file?.readOrMake("home") ?? newKeyring("home"),
    file,
    clock,
    logger,
  });
  let changes = 0;
  trust.start(() => changes++);
  return { trust, clock, identity, lines, changes: () => changes };
}

/** Who that is, as its connection under that key shows it. */
function shown(label: string, identity: NodeIdentity | string, key: NetworkKey): PeerCredential {
  const id = typeof identity === "string" ? identity : identity.id;
  return { identity: id, names: [label], tag: key.tag };
}

function newest({ trust }: Truster): NetworkKey {
  return trust.ring.keys[0].key;
}

function tags({ trust }: Truster): string[] {
  return trust.credentials().map(({ tag }) => tag);
}

function bytesOf(ring: Keyring): Uint8Array {
  return new TextEncoder().encode(encodeKeyring(ring));
}

function refusal(attempt: () => void): [ErrorCode, string] {
  const { code, message } = assertThrows(attempt, NetworkError);
  return [code, message];
}

const b = NodeIdentity.create();
const c = NodeIdentity.create();

Deno.test("the first identity that is seen with a label has it, another one is in conflict", async () => {
  const a = await truster("a");
  const key = newest(a);
  a.trust.vouch("b", shown("b", b, key));
  a.trust.vouch("b", shown("b", b, key));
  const [code, message] = refusal(() => a.trust.vouch("b", shown("b", c, key)));
  assertEquals(code, "NAME_CONFLICT");
  assertStringIncludes(message, "hanzo-network key forget b");
  assertStringIncludes(message, "--node-id");
  assertEquals(a.trust.known.identityOf("b"), b.id, "the first one still has it");
  a.trust.vouch("c", shown("c", b, key));
  assertEquals(await a.trust.known.forget("b"), true);
  a.trust.vouch("b", shown("b", c, key));
  await a.trust.stop();
});

Deno.test("who introduces itself by a name that is not its certificate's is refused", async () => {
  const a = await truster("a");
  const key = newest(a);
  const [code, message] = refusal(() => a.trust.vouch("c", shown("b", b, key)));
  assertEquals(code, "PERMISSION_DENIED");
  assertStringIncludes(message, 'Cannot talk to "c": its certificate is for "b"');
  assertEquals(a.trust.known.list(), [], "and not remembered");
  a.trust.vouch("c", { ...shown("b", b, key), names: ["b", "c"] });
  await a.trust.stop();
});

Deno.test("who shows nothing, or something under a key that nobody knows, is refused", async () => {
  const a = await truster("a");
  const stranger = shown("b", b, newKeyring("home").keys[0].key);
  for (const peer of [undefined, stranger, { ...stranger, tag: "" }]) {
    const [code, message] = refusal(() => a.trust.vouch("b", peer));
    assertEquals(code, "PERMISSION_DENIED");
    assertStringIncludes(message, "hanzo-network invite");
  }
  assert(!a.trust.admits(stranger));
  await a.trust.stop();
});

Deno.test("what a node shows is the same array as long as nothing changes", async () => {
  const a = await truster("a");
  const before = a.trust.credentials();
  assertEquals(before.map(({ tag }) => tag), [newest(a).tag]);
  await a.clock.advance(10 * LOOKS);
  await a.trust.take(bytesOf(a.trust.ring), shown("b", b, newest(a)));
  await a.trust.take(bytesOf(newKeyring("other")), shown("b", b, newest(a)));
  assertStrictEquals(a.trust.credentials(), before);
  assertEquals(a.changes(), 0, "nobody is told of nothing");
  await a.trust.rotate();
  const after = a.trust.credentials();
  assert(after !== before);
  assertEquals(a.changes(), 1);
  const [first, old] = a.trust.ring.keys;
  const shorter: Keyring = {
    ...a.trust.ring,
    keys: [first, { ...old, acceptedUntil: old.acceptedUntil! - HOUR }],
  };
  await a.trust.take(bytesOf(shorter), shown("b", b, first.key));
  assertEquals(a.changes(), 2, "until when a key counts is a change");
  assertStrictEquals(a.trust.credentials(), after, "and none of what is shown");
  await a.trust.stop();
});

Deno.test("after a rotation the old credential is admitted until the grace ends, and not after", async () => {
  const a = await truster("a");
  const old = newest(a);
  await a.trust.rotate(HOUR);
  assertEquals(tags(a), [newest(a).tag, old.tag], "the newest first");
  assertEquals(a.trust.keys().map(({ tag }) => tag), tags(a));
  assert(a.trust.admits(shown("b", b, old)) && a.trust.admits(shown("b", b, newest(a))));
  assert(!a.trust.isCurrent(shown("b", b, old)) && a.trust.isCurrent(shown("b", b, newest(a))));
  await a.clock.advance(HOUR - 1);
  assert(a.trust.admits(shown("b", b, old)));
  a.trust.vouch("b", shown("b", b, old));
  await a.clock.advance(1);
  assert(!a.trust.admits(shown("b", b, old)), "at once, not at the next look");
  assertEquals(refusal(() => a.trust.vouch("b", shown("b", b, old)))[0], "PERMISSION_DENIED");
  await a.clock.advance(LOOKS);
  await eventually(() => tags(a).length === 1, { what: "credentials without the old key" });
  assertEquals(a.changes(), 2, "who is linked under it is to be looked at");
  await a.trust.stop();
});

Deno.test("an evicted node's old credential is refused at once, those of others admitted within the grace", async () => {
  const a = await truster("a");
  const old = newest(a);
  a.trust.vouch("b", shown("b", b, old));
  a.trust.vouch("c", shown("c", c, old));
  await a.trust.evict(["c"], { keep: ["b"] });
  assert(!a.trust.admits(shown("c", c, old)));
  assert(a.trust.admits(shown("b", b, old)));
  assert(a.trust.admits(shown("a", a.identity, old)), "this one's own");
  assertEquals(a.trust.known.identityOf("c"), undefined, "the label is free");
  await a.clock.advance(MAX_GRACE_MS - 1);
  assert(a.trust.admits(shown("b", b, old)));
  await a.clock.advance(1);
  assert(!a.trust.admits(shown("b", b, old)));
  await a.trust.stop();
});

Deno.test("after an eviction a certificate that was made with the old key is of no use", async () => {
  const a = await truster("a");
  const old = newest(a);
  for (const [label, identity] of [["b", b], ["c", c]] as const) {
    a.trust.vouch(label, shown(label, identity, old));
  }
  await a.trust.evict(["c"], { keep: ["b"] });
  // Who knows the key can certify any label, and as many key pairs as it likes: but none of others.
  for (const label of ["a", "b", "c", "new"]) {
    assert(!a.trust.admits(shown(label, NodeIdentity.create(), old)), label);
  }
  assert(!a.trust.admits({ identity: "", names: ["b"], tag: old.tag }));
  await a.trust.stop();
});

Deno.test("only who was seen can be evicted, and nobody evicts itself", async () => {
  const a = await truster("a");
  const before = a.trust.ring;
  const attempt = async (label: string) => {
    const error = await assertRejects(() => a.trust.evict([label]), NetworkError);
    return [error.code, error.message] as const;
  };
  const [code, message] = await attempt("nobody");
  assertEquals(code, "NOT_FOUND");
  assertStringIncludes(message, "hanzo-network key list");
  assertEquals((await attempt("a"))[0], "INVALID_ARGUMENT");
  a.trust.known.remember("alias", a.identity.id);
  assertEquals((await attempt("alias"))[0], "INVALID_ARGUMENT", "by another label neither");
  assertStrictEquals(a.trust.ring, before);
  await a.trust.stop();
});

Deno.test("a keyring that a peer hands out is taken, told of once, and handed on", async () => {
  const ring = newKeyring("home");
  const [a, other] = [await truster("a", { ring }), await truster("b", { ring })];
  const old = newest(a);
  await other.trust.rotate();
  const handout = new TextEncoder().encode(other.trust.handout());
  assertEquals(await a.trust.take(handout, shown("b", other.identity, old)), true);
  assertEquals(newest(a).tag, newest(other).tag);
  assertEquals(a.changes(), 1);
  assertEquals(a.trust.handout(), other.trust.handout());
  for (let i = 0; i < 3; i++) await a.trust.take(handout, shown("b", other.identity, old));
  assertEquals(a.changes(), 1, "or two nodes would tell each other for ever");
  await a.trust.stop();
  await other.trust.stop();
});

Deno.test("a stranger's keyring, and one that is no keyring, change nothing", async () => {
  const a = await truster("a");
  const before = a.trust.ring;
  const next = bytesOf(rotated(before, { now: a.clock.wallTime(), graceMs: HOUR }));
  const stranger = shown("b", b, newKeyring("x").keys[0].key);
  assertEquals(await a.trust.take(next, stranger), false);
  for (const text of ["", "{}", "null", "[".repeat(100), `"${"x".repeat(3_000_000)}"`]) {
    await assertRejects(
      () => a.trust.take(new TextEncoder().encode(text), shown("b", b, newest(a))),
      NetworkError,
      "Cannot read the keyring",
    );
  }
  assertStrictEquals(a.trust.ring, before);
  assertEquals(a.changes(), 0);
  await a.trust.stop();
});

Deno.test("who comes under a key that an eviction has restricted cannot hand in a keyring of its own", async () => {
  const ring = newKeyring("home");
  const a = await truster("a", { ring });
  const old = newest(a);
  a.trust.vouch("b", shown("b", b, old));
  a.trust.vouch("c", shown("c", c, old));
  await a.trust.evict(["c"], { keep: ["b"] });
  const before = a.trust.ring;
  const now = a.clock.wallTime();
  // "b" was away; the evicted one made successors of the key that both know, and handed them to it.
  let made = ring;
  for (let i = 0; i < 3; i++) made = rotated(made, { now, graceMs: HOUR });
  const evicting = rotated(ring, { now, graceMs: HOUR, onlyFor: new Set([b.id, c.id]) });
  for (const theirs of [made, evicting, ring]) {
    await a.trust.take(bytesOf(theirs), shown("b", b, old));
    assertStrictEquals(a.trust.ring, before);
  }
  assertEquals(a.changes(), 1);
  await a.trust.stop();
});

Deno.test("what follows from an eviction reaches those whose link is still under the key before it", async () => {
  const ring = newKeyring("home");
  const [a, other] = [await truster("a", { ring }), await truster("b", { ring })];
  const old = newest(a);
  for (const { trust } of [a, other]) {
    trust.vouch("a", shown("a", a.identity, old));
    trust.vouch("b", shown("b", other.identity, old));
    trust.vouch("c", shown("c", c, old));
  }
  const hand = async (from: Truster, to: Truster) => {
    // What peers hand in one after the other waits for a moment.
    const peer = shown("", from.identity, old);
    const taken = to.trust.take(new TextEncoder().encode(from.trust.handout()), peer);
    await Promise.all([taken, to.clock.advance(1_000)]);
  };
  await a.trust.evict(["c"], { keep: ["b"] });
  await hand(a, other);
  assertEquals(newest(other).tag, newest(a).tag);
  for (const [from, to] of [[a, other], [other, a]]) {
    await from.trust.rotate();
    await hand(from, to);
    assertEquals(newest(to).tag, newest(from).tag, "a rotation after it");
  }
  await a.trust.stop();
  await other.trust.stop();
});

/** A file that counts how often it is read, keeps what is written, and is slow when told to be. */
class WatchedFile extends KeyringFile {
  reads = 0;
  readonly written: Keyring[] = [];
  gate: Promise<void> = Promise.resolve();

  override async read() {
    this.reads++;
    await this.gate;
    return await super.read();
  }

  override async write(ring: Keyring) {
    this.written.push(ring);
    await super.write(ring);
  }
}

/** A node whose file is watched. */
async function watched(directory: string): Promise<Truster & { readonly file: WatchedFile }> {
  const file = new WatchedFile(directory, recordingLogger().logger);
  const a = await truster("a", { directory, file });
  file.reads = 0;
  return { ...a, file };
}

Deno.test("a keyring that brings nothing is done with at once: no file is read and nothing waits for it", async () => {
  await withTempDir(async (directory) => {
    const a = await watched(directory);
    const from = shown("b", b, newest(a));
    a.trust.vouch("b", from);
    const own = bytesOf(a.trust.ring);
    const gate = Promise.withResolvers<void>();
    a.file.gate = gate.promise;
    // Not even while a change is under way.
    const rotation = a.trust.rotate();
    for (let i = 0; i < 1_000; i++) await a.trust.take(own, from);
    assert(a.file.reads <= 1, `${a.file.reads}, and one is the rotation's`);
    gate.resolve();
    await rotation;
    await a.trust.stop();
  });
});

Deno.test("an eviction goes ahead of all that peers hand in, which is one change, now and then", async () => {
  await withTempDir(async (directory) => {
    const a = await watched(directory);
    const from = shown("b", b, newest(a));
    a.trust.vouch("b", from);
    a.trust.vouch("c", shown("c", c, newest(a)));
    const now = a.clock.wallTime();
    const made = Array.from({ length: 200 }, () => rotated(a.trust.ring, { now, graceMs: HOUR }));
    const taken = made.map((ring) => a.trust.take(bytesOf(ring), from));
    await a.trust.evict(["b"], { keep: ["c"] });
    assert(a.file.reads <= 2, `${a.file.reads} changes came before`);
    assert(!a.trust.admits(from));
    assertEquals(a.changes(), a.file.reads);
    const before = a.trust.ring;
    await a.clock.advance(1_000);
    await Promise.all(taken);
    assertStrictEquals(a.trust.ring, before, "who is out hands in nothing, also what was waiting");
    await a.trust.stop();
  });
});

Deno.test("what waits behind a change begins with the node's own", async () => {
  await withTempDir(async (directory) => {
    const a = await watched(directory);
    const from = shown("b", b, newest(a));
    a.trust.vouch("b", from);
    const gate = Promise.withResolvers<void>();
    a.file.gate = gate.promise;
    const now = a.clock.wallTime();
    const first = a.trust.rotate();
    const taken = a.trust.take(bytesOf(rotated(a.trust.ring, { now, graceMs: HOUR })), from);
    const evicted = a.trust.evict(["b"]);
    gate.resolve();
    await evicted;
    await Promise.all([first, taken]);
    const evictions = a.file.written.map(({ keys }) => keys[0].evictions);
    assertEquals(evictions, [0, 1], "the rotation, the eviction, and then nothing");
    await a.trust.stop();
  });
});

Deno.test("a new key counts no sooner than the node can show itself under it", async () => {
  const a = await truster("a");
  let isDone = false;
  const rotation = a.trust.rotate().then(() => isDone = true);
  while (!isDone) {
    assertEquals(newest(a).tag, tags(a)[0]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await rotation;
  assertEquals(tags(a).length, 2);
  await a.trust.stop();
});

Deno.test("one keyring that makes no sense keeps nothing from those that came with it", async () => {
  const clock = new ManualClock();
  const now = clock.wallTime();
  const next = (ring: Keyring) => rotated(ring, { now, graceMs: HOUR });
  const ring = next(next(next(next(newKeyring("home")))));
  const a = await truster("a", { ring, clock });
  const from = shown("b", b, newest(a));
  const hand = (theirs: Keyring) => a.trust.take(bytesOf(theirs), from);
  await hand(next(ring));
  // What comes now waits for the next change. Two of them contradict each other.
  const good = next(ring);
  const [made, base] = good.keys;
  const [key, onlyFor] = [next(ring).keys[0].key, new Set([b.id])];
  const old = { evictions: 1, acceptedUntil: now + HOUR };
  const all = Promise.allSettled([
    hand({ ...ring, keys: [{ ...made, epoch: base.epoch + 2 ** 20 }, base] }),
    hand({
      ...ring,
      keys: [{ key, epoch: 2, evictions: 1 }, { ...made, ...old, epoch: 1 }, { ...base, onlyFor }],
    }),
    hand(next(good)),
  ]);
  await a.clock.advance(1_000);
  assertEquals((await all).map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  assert(tags(a).includes(made.key.tag));
  await a.trust.stop();
});

Deno.test("after the stop nothing that was handed in is taken, and nobody waits for it", async () => {
  const ring = newKeyring("home");
  const a = await truster("a", { ring });
  const from = shown("b", b, newest(a));
  const handOut = () => bytesOf(rotated(ring, { now: a.clock.wallTime(), graceMs: HOUR }));
  await a.trust.take(handOut(), from);
  const [before, waiting] = [a.trust.ring, a.trust.take(handOut(), from)];
  await a.trust.stop();
  await waiting;
  assertEquals(await a.trust.take(handOut(), from), false);
  await a.clock.advance(1_000);
  assertStrictEquals(a.trust.ring, before);
});

Deno.test("a key that was rotated under a clock years ahead counts for a day once the clock is right", async () => {
  await withTempDir(async (directory) => {
    const years = 12 * 365 * 24 * HOUR;
    const file = new KeyringFile(directory, recordingLogger().logger);
    const late = rotated(newKeyring("home"), { now: Date.UTC(2026) + years, graceMs: 24 * HOUR });
    await file.write(late);
    const a = await truster("a", { directory });
    const [, old] = a.trust.ring.keys;
    assertEquals(old.acceptedUntil, a.clock.wallTime() + MAX_GRACE_MS);
    // And where the clock was set while the node ran.
    await file.write(late);
    await a.clock.advance(LOOKS);
    await eventually(async () => {
      const kept = await file.read();
      return kept!.keys[1].acceptedUntil! <= a.clock.wallTime() + MAX_GRACE_MS;
    }, { what: "the limit in the file" });
    await a.clock.advance(MAX_GRACE_MS);
    assert(!a.trust.admits(shown("b", b, old.key)));
    await a.trust.stop();
  });
});

Deno.test("a clock that is set back while the node runs gives no old key more than a day", async () => {
  const clock = new SettableClock();
  const a = await truster("a", { clock });
  const old = newest(a);
  clock.ahead = 12 * 365 * 24 * HOUR;
  await a.trust.rotate();
  clock.ahead = 0;
  await clock.advance(LOOKS);
  assertEquals(a.changes(), 2, "the rotation, and that the old key ends sooner");
  await clock.advance(MAX_GRACE_MS);
  assert(!a.trust.admits(shown("b", b, old)));
  await a.trust.stop();
});

Deno.test("who has linked itself under a second name before it is evicted is out under both", async () => {
  const a = await truster("a");
  const old = newest(a);
  a.trust.vouch("b", shown("b", b, old), "10.0.0.1");
  await a.clock.advance(MAX_GRACE_MS);
  const second = NodeIdentity.create();
  a.trust.vouch("m", shown("m", c, old), "10.0.0.66");
  a.trust.vouch("m2", shown("m2", second, old), "10.0.0.67");
  const asked = await a.trust.evict(["m"], { dryRun: true });
  assertEquals(asked.doubted.map(({ nodeId }) => nodeId), ["m2"]);
  assertEquals([newest(a).tag, a.changes()], [old.tag, 0], "it was only asked");
  assertEquals(await a.trust.evict(["m"]), asked);
  const admitted = [b, c, second].map((one) => a.trust.admits(shown("", one, old)));
  assertEquals(admitted, [true, false, false]);
  const known = a.trust.known.list().map((one) => [one.nodeId, a.trust.counts(one)]);
  assertEquals(
    known,
    [["b", true], ["m2", false]],
    "the label of one that is doubted stays its own",
  );
  await a.trust.stop();
});

Deno.test("changes follow one another: of many at once none is lost", async () => {
  await withTempDir(async (directory) => {
    const a = await truster("a", { directory });
    await Promise.all(Array.from({ length: 5 }, () => a.trust.rotate()));
    assertEquals(a.trust.ring.keys.map(({ epoch }) => epoch), [6, 5, 4, 3, 2, 1]);
    const kept = decodeKeyring(await Deno.readFile(`${directory}/keyring.json`));
    assertEquals(encodeKeyring(kept), encodeKeyring(a.trust.ring));
    assertEquals(tags(a).length, 6);
    await a.trust.stop();
  });
});

Deno.test("a rotation by one node of a machine is followed by the others within a second", async () => {
  await withTempDir(async (directory) => {
    const [a, other] = [await truster("a", { directory }), await truster("b", { directory })];
    const old = newest(a);
    assertEquals(newest(other).tag, old.tag);
    await a.trust.rotate();
    await other.clock.advance(1_000);
    await eventually(() => newest(other).tag === newest(a).tag, { what: "the new key" });
    await eventually(() => other.changes() === 1, { what: "the change" });
    assertEquals(tags(other), [newest(a).tag, old.tag]);
    for (const one of [a, other]) {
      await one.clock.advance(5 * LOOKS);
      await one.trust.stop();
      assertEquals(one.changes(), 1, "and then they are at rest");
    }
  });
});

Deno.test("two nodes of a machine that rotate at the same moment end with the same key, kept", async () => {
  await withTempDir(async (directory) => {
    const nodes = [await truster("a", { directory }), await truster("b", { directory })];
    await Promise.all(nodes.map(({ trust }) => trust.rotate()));
    const path = `${directory}/keyring.json`;
    await eventually(async () => {
      for (const { clock } of nodes) await clock.advance(1_000);
      const [first, second] = nodes.map(({ trust }) => encodeKeyring(trust.ring));
      return first === second && await Deno.readTextFile(path) === first;
    }, { what: "one keyring" });
    for (const { trust } of nodes) await trust.stop();
  });
});

Deno.test("a machine that joins another network leaves the old one, also while its node runs", async () => {
  await withTempDir(async (directory) => {
    const a = await truster("a", { directory });
    const old = newest(a);
    const joined = newKeyring("office");
    await new KeyringFile(directory, recordingLogger().logger).write(joined);
    await a.clock.advance(1_000);
    await eventually(() => a.changes() === 1, { what: "the change" });
    assertEquals([a.trust.ring.networkName, tags(a)], ["office", [joined.keys[0].key.tag]]);
    assert(!a.trust.admits(shown("b", b, old)));
    await a.trust.stop();
  });
});

Deno.test("a network that was joined is not written over by a change of the old one meanwhile", async () => {
  await withTempDir(async (directory) => {
    const a = await truster("a", { directory });
    const handout = rotated(a.trust.ring, { now: a.clock.wallTime(), graceMs: HOUR });
    const joined = newKeyring("office");
    await new KeyringFile(directory, recordingLogger().logger).write(joined);
    // Before the file is looked at, a peer of the old network comes with a new key.
    await a.trust.take(bytesOf(handout), shown("b", b, newest(a)));
    assertEquals(a.trust.ring.networkName, "office");
    const kept = decodeKeyring(await Deno.readFile(`${directory}/keyring.json`));
    assertEquals(kept.networkName, "office");
    await a.trust.stop();
  });
});

Deno.test("an older keyring that is put back, from a backup, does not bring the old key back", async () => {
  await withTempDir(async (directory) => {
    const a = await truster("a", { directory });
    const backup = a.trust.ring;
    await a.trust.rotate();
    const current = encodeKeyring(a.trust.ring);
    await new KeyringFile(directory, recordingLogger().logger).write(backup);
    const path = `${directory}/keyring.json`;
    await eventually(async () => {
      await a.clock.advance(1_000);
      return await Deno.readTextFile(path) === current;
    }, { what: "the new key on the disk" });
    assertEquals(encodeKeyring(a.trust.ring), current);
    await a.trust.stop();
  });
});

Deno.test("a keyring file that is damaged or gone while the node runs is told once, and it goes on", async () => {
  await withTempDir(async (directory) => {
    const a = await truster("a", { directory });
    const path = `${directory}/keyring.json`;
    const text = await Deno.readTextFile(path);
    await a.clock.advance(LOOKS);
    await Deno.writeTextFile(path, text.slice(0, 50));
    await eventually(async () => {
      await a.clock.advance(1_000);
      return a.lines("warn").length > 0;
    }, { what: "a warning" });
    for (let i = 0; i < 10; i++) await a.clock.advance(1_000);
    await a.trust.stop();
    assertEquals(a.lines("warn").length, 1);
    assertStringIncludes(a.lines("warn")[0], `Cannot read the network's key from ${path}`);
    assertEquals(tags(a).length, 1);
    await assertRejects(() => a.trust.rotate(), NetworkError, "Restore the file");
    assertEquals(a.trust.ring.keys.length, 1, "nothing changes that could not be kept");
    await Deno.remove(path);
    await a.trust.rotate();
    assertEquals(
      encodeKeyring(decodeKeyring(await Deno.readFile(path))),
      encodeKeyring(a.trust.ring),
    );
    await a.trust.stop();
  });
});

Deno.test({
  name: "a key that cannot be kept is not used: the rotation says so, and nothing has changed",
  ignore: skipUnless(cannotMount() === undefined, `a full disk: ${cannotMount()}`),
  fn: () =>
    withSmallDisk(64, async (disk) => {
      const a = await truster("a", { directory: disk });
      const before = a.trust.ring;
      await Deno.writeFile(`${disk}/ballast`, new Uint8Array(64 * 1024)).catch(() => {});
      const error = await assertRejects(() => a.trust.rotate(), NetworkError);
      assertEquals(error.code, "RESOURCE_EXHAUSTED");
      assertStrictEquals(a.trust.ring, before);
      assertEquals(a.changes(), 0);
      await Deno.remove(`${disk}/ballast`);
      await a.trust.rotate();
      assertEquals(a.trust.ring.keys.length, 2);
      await a.trust.stop();
    }),
});

Deno.test("after the stop nothing is looked at, told or left running", async () => {
  await withTempDir(async (directory) => {
    const a = await truster("a", { directory });
    const file = new KeyringFile(directory, recordingLogger().logger);
    await file.write(newKeyring("office"));
    await a.clock.advance(1_000);
    await a.trust.stop();
    assertEquals(a.trust.ring.networkName, "office", "the look that was under way has ended");
    assertEquals(a.changes(), 0, "and nobody is told who has stopped listening");
    await a.trust.stop();
    await file.write(newKeyring("elsewhere"));
    await a.clock.advance(10 * LOOKS);
    assertEquals([a.trust.ring.networkName, a.changes()], ["office", 0]);
  });
});
