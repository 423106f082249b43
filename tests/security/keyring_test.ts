/** How the keys of a network follow one another: the same everywhere, whoever hears what first. */

import {
  assert,
  assertEquals,
  assertNotEquals,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import { NetworkError } from "../../src/base/errors.ts";
import {
  acceptedKeys,
  admits,
  decodeKeyring,
  encodeKeyring,
  isBelieved,
  type Keyring,
  limited,
  MAX_GRACE_MS,
  merged,
  MIN_GRACE_MS,
  newKeyring,
  type RingKey,
  rotated,
} from "../../src/security/keyring.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { assertShowsNoPieceOf } from "../support/secrets.ts";

const NOW = Date.UTC(2026, 0, 1);
const DAY = 24 * 60 * 60 * 1_000;
const MINUTE = 60_000;

/** The identity of a node: 64 hexadecimal digits. */
function identity(node: number): string {
  return node.toString(16).padStart(64, "0");
}

function everybodyBut(evicted: number, nodes = 8): Set<string> {
  const all = Array.from({ length: nodes }, (_, node) => identity(node));
  return new Set(all.filter((one) => one !== identity(evicted)));
}

function newest({ keys: [{ key }] }: Keyring): string {
  return key.tag;
}

function rotate(ring: Keyring, now = NOW, graceMs = MAX_GRACE_MS): Keyring {
  return rotated(ring, { now, graceMs });
}

function evict(ring: Keyring, evicted: number, now = NOW): Keyring {
  return rotated(ring, { now, graceMs: MAX_GRACE_MS, onlyFor: everybodyBut(evicted) });
}

/** Both hand each other their keyring until neither learns anything. */
function exchanged(a: Keyring, b: Keyring, now = NOW): [Keyring, Keyring] {
  for (let round = 0; round < 5; round++) {
    const [nextA, nextB] = [merged(a, b, now), merged(b, a, now)];
    if (nextA === a && nextB === b) return [a, b];
    [a, b] = [nextA, nextB];
  }
  throw new Error("Two keyrings never come to rest.");
}

/** What may happen to the keyrings of some nodes. */
type Step =
  | { type: "rotate"; node: number }
  | { type: "evict"; node: number; evicted: number }
  | { type: "hand"; from: number; to: number }
  | { type: "wait"; ms: number };

const NODES = 4;
const node = fc.nat({ max: NODES - 1 });
const ms = fc.integer({ min: 0, max: 6 * 60 * MINUTE });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ type: fc.constant("rotate" as const), node }),
  fc.record({ type: fc.constant("evict" as const), node, evicted: fc.nat({ max: 9 }) }),
  fc.record({ type: fc.constant("hand" as const), from: node, to: node }),
  fc.record({ type: fc.constant("wait" as const), ms }),
);

/** The keyrings of four nodes, made of one, after a history; and when it is over. */
interface Story {
  readonly rings: Keyring[];
  readonly now: number;
}

/**
 * Less than a day in all: after that nodes that hear nothing of each other are of two networks. Each
 * rotation leaves the old key for all of it, or some would have to join anew.
 */
const story: fc.Arbitrary<Story> = fc.array(step, { maxLength: 24 }).map((steps) => {
  const first = newKeyring("home");
  const rings: Keyring[] = Array(NODES).fill(first);
  let now = NOW;
  for (const one of steps) {
    if (one.type === "wait") now = Math.min(now + one.ms, NOW + DAY - MINUTE);
    if (one.type === "rotate") rings[one.node] = rotate(rings[one.node], now);
    if (one.type === "evict") rings[one.node] = evict(rings[one.node], one.evicted, now);
    if (one.type === "hand") rings[one.to] = merged(rings[one.to], rings[one.from], now);
  }
  return { rings, now };
});

function check<T>(arbitrary: fc.Arbitrary<T>, predicate: (value: T) => void): void {
  fc.assert(fc.property(arbitrary, predicate), { numRuns: 300 });
}

Deno.test("a keyring that is handed twice brings nothing the second time", () => {
  check(story, ({ rings: [a, b], now }) => {
    assertStrictEquals(merged(a, a, now), a, "its own");
    const once = merged(a, b, now);
    assertStrictEquals(merged(once, b, now), once);
    assertStrictEquals(merged(once, a, now), once, "and what was there before");
  });
});

Deno.test("two nodes that hand each other their keyrings end with the same, whoever begins", () => {
  check(story, ({ rings: [a, b], now }) => {
    const atOnce = exchanged(a, b, now);
    assertEquals(encodeKeyring(atOnce[0]), encodeKeyring(atOnce[1]));
    const first = merged(a, b, now);
    const second = merged(b, first, now);
    assertEquals(newest(first), newest(atOnce[0]), "the first one hears of it alone");
    assertEquals(newest(second), newest(atOnce[0]), "and answers");
  });
});

Deno.test("any number of nodes end with the same newest key, in whatever order they meet", () => {
  const meetings = fc.array(fc.tuple(node, node), { maxLength: 40 });
  check(fc.tuple(story, meetings), ([{ rings, now }, order]) => {
    const [ends, others] = [[...rings], [...rings]];
    for (const [a, b] of order) ends[a] = merged(ends[a], ends[b], now);
    const everybody = (these: Keyring[]) => {
      for (let round = 0; round < NODES; round++) {
        for (let a = 0; a < NODES; a++) {
          for (let b = 0; b < NODES; b++) these[a] = merged(these[a], these[b], now);
        }
      }
    };
    everybody(ends);
    everybody(others);
    assertEquals(new Set(ends.map(newest)).size, 1);
    assertEquals(newest(ends[0]), newest(others[0]), "whatever came before");
    const before = ends.map(encodeKeyring);
    everybody(ends);
    assertEquals(ends.map(encodeKeyring), before, "and then they are at rest");
    assertEquals(new Set(before).size, 1, "all the same");
  });
});

Deno.test("what a history leads to can be written and read again", () => {
  check(story, ({ rings, now }) => {
    for (const ring of [...rings, merged(rings[0], rings[1], now)]) {
      const text = encodeKeyring(ring);
      assertEquals(encodeKeyring(decodeKeyring(new TextEncoder().encode(text))), text);
    }
  });
});

Deno.test("the newest key always counts for everybody, an old one never for longer than a day", () => {
  check(story, ({ rings, now }) => {
    const ring = merged(rings[0], rings[1], now);
    const [first, ...older] = ring.keys;
    assertEquals([first.acceptedUntil, first.onlyFor], [undefined, undefined]);
    for (const { acceptedUntil } of older) {
      assert(acceptedUntil !== undefined && acceptedUntil <= now + DAY);
    }
  });
});

Deno.test("a key that counts for a while is not given longer by what others hand", () => {
  check(story, ({ rings: [a, b], now }) => {
    const result = merged(a, b, now);
    for (const { key, acceptedUntil } of a.keys) {
      const after = result.keys.find((one) => one.key.tag === key.tag);
      if (acceptedUntil === undefined || after === undefined) continue;
      assert(after.acceptedUntil! <= acceptedUntil);
    }
  });
});

Deno.test("whoever may not come with a key before a merge may not afterwards", () => {
  check(story, ({ rings: [a, b], now }) => {
    const result = merged(a, b, now);
    for (const { key } of a.keys) {
      for (let one = 0; one < 10; one++) {
        if (admits(a, key.tag, identity(one), now) || newest(result) === key.tag) continue;
        assert(!admits(result, key.tag, identity(one), now));
      }
    }
  });
});

Deno.test("a rotation puts a new key in front, and the old one counts until the grace ends", () => {
  const ring = newKeyring("home");
  const next = rotate(ring, NOW, 5 * MINUTE);
  assertEquals(next.networkName, "home");
  assertEquals(next.keys.map(({ epoch }) => epoch), [2, 1]);
  assertNotEquals(newest(next), newest(ring));
  const tags = (now: number) => acceptedKeys(next, now).map(({ key }) => key.tag);
  assertEquals(tags(NOW + 5 * MINUTE - 1), [newest(next), newest(ring)]);
  assertEquals(tags(NOW + 5 * MINUTE), [newest(next)]);
  assertEquals(tags(NOW + 1_000 * DAY), [newest(next)]);
  assert(admits(next, newest(ring), identity(7), NOW));
  assert(!admits(next, newest(ring), identity(7), NOW + 5 * MINUTE));
  assert(!admits(next, "0123456789abcdef", identity(7), NOW), "a key that nobody knows");
});

Deno.test("a grace is a day at most, and ten seconds at least for those who are connected", () => {
  for (
    const [asked, granted] of [
      [0, 10_000],
      [-5, 10_000],
      [MINUTE, MINUTE],
      [Infinity, DAY],
      [2 * DAY, DAY],
    ]
  ) {
    const [, old] = rotate(newKeyring("home"), NOW, asked).keys;
    assertEquals(old.acceptedUntil, NOW + granted, `${asked}`);
  }
  assertEquals([MIN_GRACE_MS, MAX_GRACE_MS], [10_000, DAY]);
});

Deno.test("a second rotation with a shorter grace shortens that of the first, not the other way", () => {
  const twice = rotate(rotate(newKeyring("home"), NOW, DAY), NOW, MINUTE);
  assertEquals(twice.keys.map((one) => one.acceptedUntil), [undefined, NOW + MINUTE, NOW + MINUTE]);
  const longer = rotate(rotate(newKeyring("home"), NOW, MINUTE), NOW, DAY);
  assertEquals(longer.keys.map((one) => one.acceptedUntil), [undefined, NOW + DAY, NOW + MINUTE]);
});

Deno.test("keys that count no more are dropped at the next rotation, and more than 16 never kept", () => {
  let ring = rotate(newKeyring("home"), NOW, MINUTE);
  ring = rotate(ring, NOW + 2 * MINUTE);
  assertEquals(ring.keys.map(({ epoch }) => epoch), [3, 2]);
  for (let i = 0; i < 30; i++) ring = rotate(ring, NOW + 2 * MINUTE);
  assertEquals([ring.keys.length, ring.keys[0].epoch, ring.keys[15].epoch], [16, 33, 18]);
  decodeKeyring(new TextEncoder().encode(encodeKeyring(ring)));
});

Deno.test("an evicted node counts under no old key, everybody else under all of them", () => {
  const ring = evict(rotate(newKeyring("home")), 3);
  const [first, ...older] = ring.keys;
  assertEquals(older.length, 2);
  for (const { key } of older) {
    assert(!admits(ring, key.tag, identity(3), NOW));
    assert(admits(ring, key.tag, identity(4), NOW));
    assert(!admits(ring, key.tag, identity(99), NOW), "who was never seen could be anybody");
  }
  assert(admits(ring, first.key.tag, identity(99), NOW), "who has the new key was handed it");
});

Deno.test("of two evictions one after the other both count", () => {
  const ring = evict(evict(newKeyring("home"), 3), 4);
  const [, second, first] = ring.keys;
  const admitted = (key: RingKey) =>
    [2, 3, 4].filter((one) => admits(ring, key.key.tag, identity(one), NOW));
  assertEquals(admitted(first), [2]);
  assertEquals(admitted(second), [2, 3], "who was handed that key is of the network");
});

Deno.test("an eviction is not undone by any number of rotations made at the same time", () => {
  const evicted = 3;
  for (let rotations = 1; rotations <= 5; rotations++) {
    const ring = newKeyring("home");
    const mine = evict(ring, evicted);
    let theirs = ring;
    for (let i = 0; i < rotations; i++) theirs = rotate(theirs);
    // All of these keys the evicted one was handed.
    const known = theirs.keys.map(({ key }) => key.tag);
    for (const result of exchanged(mine, theirs)) {
      assertEquals(newest(result), newest(mine));
      for (const tag of known) {
        assert(!admits(result, tag, identity(evicted), NOW), "it comes back by a rotated key");
        assert(admits(result, tag, identity(4), NOW), "others are not locked out");
      }
    }
    const later = rotate(exchanged(mine, theirs)[0]);
    assertEquals(newest(merged(theirs, later, NOW)), newest(later), "nor is what follows from it");
    assertEquals(newest(merged(later, theirs, NOW)), newest(later));
  }
});

Deno.test("of two rotations at the same time the greater epoch wins, of equals the smaller tag", () => {
  const ring = newKeyring("home");
  const [once, other, twice] = [rotate(ring), rotate(ring), rotate(rotate(ring))];
  assertEquals(exchanged(once, twice).map(newest), [newest(twice), newest(twice)]);
  const smaller = [newest(once), newest(other)].sort()[0];
  assertEquals(exchanged(once, other).map(newest), [smaller, smaller]);
  const [result] = exchanged(once, other);
  assertEquals(result.keys.length, 3, "the other one counts for a while, with the one before");
});

Deno.test("who has joined by the key alone does not set the count of keys back", () => {
  let ring = newKeyring("home");
  for (let i = 0; i < 4; i++) ring = evict(ring, i);
  const joined = newKeyring("home", ring.keys[0].key);
  assertEquals([ring.keys[0].epoch, joined.keys[0].epoch], [5, 1]);
  for (const result of exchanged(ring, joined)) {
    assertEquals([newest(result), result.keys[0].epoch], [newest(ring), 5]);
  }
  assertStrictEquals(merged(ring, joined, NOW), ring, "it brings nothing");
  const rotatedThere = rotate(joined);
  assertStrictEquals(newest(merged(rotatedThere, ring, NOW)), newest(rotatedThere));
  for (const result of exchanged(ring, rotatedThere)) {
    assertEquals([newest(result), result.keys[0].epoch], [newest(rotatedThere), 6]);
  }
  const evictedThere = evict(joined, 5);
  for (const result of exchanged(ring, evictedThere)) {
    assertEquals(newest(result), newest(evictedThere));
    assert(!admits(result, newest(ring), identity(5), NOW));
  }
});

Deno.test("a keyring without a key in common is refused, with what to do about it", () => {
  const [mine, theirs] = [newKeyring("home"), newKeyring("home")];
  const error = assertThrows(() => merged(mine, theirs, NOW), NetworkError);
  assertEquals(error.code, "PERMISSION_DENIED");
  assertStringIncludes(error.message, "of another network");
  assertStringIncludes(error.message, "hanzo-network join");
  assert(!isBelieved(mine, theirs, NOW));
});

Deno.test("a keyring that is ahead by more rotations than there can be is refused", () => {
  const ring = newKeyring("home");
  const [old] = rotate(ring).keys.slice(1);
  const far = (epoch: number, shift = 0): Keyring => ({
    networkName: "home",
    keys: [{ key: NetworkKey.generate(), epoch, evictions: 0 }, { ...old, epoch: 1 + shift }],
  });
  merged(ring, far(1_000_000), NOW);
  for (const theirs of [far(2 ** 31), far(2 ** 52), far(2 ** 31, 2 ** 31 - 5)]) {
    const error = assertThrows(() => merged(ring, theirs, NOW), NetworkError);
    assertEquals(error.code, "PERMISSION_DENIED");
  }
  let last = merged(ring, far(1_000_000), NOW);
  for (let i = 0; i < 3; i++) last = evict(last, 1);
  decodeKeyring(new TextEncoder().encode(encodeKeyring(last)));
});

/** A successor of the ring's newest key, with old keys that each count for thousands. */
function swollen(ring: Keyring, keys: number, identities: number): Keyring {
  const [base] = ring.keys;
  const old = { epoch: base.epoch, evictions: base.evictions, acceptedUntil: NOW + DAY };
  const made = Array.from({ length: keys }, (_, i): RingKey => ({
    key: NetworkKey.generate(),
    ...old,
    epoch: base.epoch + 1,
    onlyFor: new Set(Array.from({ length: identities }, (_, j) => identity(i * identities + j))),
  })).sort((a, b) => a.key.tag < b.key.tag ? -1 : 1);
  const newest = { key: NetworkKey.generate(), epoch: base.epoch + 2, evictions: base.evictions };
  return { ...ring, keys: [newest, ...made, { key: base.key, ...old }] };
}

/** The ring as it is after it was written and read. */
function reread(ring: Keyring): Keyring {
  return decodeKeyring(new TextEncoder().encode(encodeKeyring(ring)));
}

Deno.test("whatever a member hands in, what follows from it can be written and read again", () => {
  let ring = newKeyring("home");
  // Each is small enough to be read; what follows from all of them must be, too.
  for (let i = 0; i < 4; i++) ring = merged(ring, reread(swollen(ring, 6, 4_096)), NOW);
  assertEquals(ring.keys.length, 5, "four old keys of 4,096 each");
  const own = new Set(Array.from({ length: 4_096 }, (_, i) => identity(i)));
  for (let i = 0; i < 20; i++) {
    reread(ring);
    ring = rotated(ring, { now: NOW, graceMs: DAY, ...(i % 2 === 0 && { onlyFor: own }) });
  }
  assert(ring.keys.length > 1, "the newest of the old keys stay");
  assertEquals(ring.keys[1].epoch, ring.keys[0].epoch - 1);
});

Deno.test("the keys of a thousand devices are all kept, as many as there may be", () => {
  let ring = newKeyring("home");
  const everybody = new Set(Array.from({ length: 1_024 }, (_, i) => identity(i)));
  for (let i = 0; i < 20; i++) {
    ring = rotated(ring, { now: NOW, graceMs: DAY, onlyFor: everybody });
  }
  assertEquals([ring.keys.length, reread(ring).keys.length], [16, 16]);
});

Deno.test("a keyring that counts more evictions than there can be is refused, also of old keys", () => {
  const ring = newKeyring("home");
  const far = 2 ** 52;
  const [key, epoch] = [NetworkKey.generate(), 2];
  const common = { ...ring.keys[0], acceptedUntil: NOW + DAY, onlyFor: new Set<string>() };
  const old = { key: NetworkKey.generate(), acceptedUntil: NOW + DAY, onlyFor: new Set<string>() };
  const made: Keyring[] = [
    { ...ring, keys: [{ key, epoch, evictions: far }, common] },
    { ...ring, keys: [{ key, epoch, evictions: 1 }, { ...old, epoch: far, evictions: 0 }, common] },
  ];
  for (const theirs of made) {
    const error = assertThrows(() => merged(ring, reread(theirs), NOW), NetworkError);
    assertEquals(error.code, "PERMISSION_DENIED");
  }
});

Deno.test("an old key counts for a day at most, also when the clock was years ahead of it", () => {
  const years = 365 * DAY;
  const made = rotate(newKeyring("home"), NOW + 12 * years);
  const ring = limited(made, NOW);
  assertEquals(ring.keys.map((one) => one.acceptedUntil), [undefined, NOW + DAY]);
  assertEquals(acceptedKeys(ring, NOW + 11 * years).length, 1);
  assertStrictEquals(limited(ring, NOW), ring, "once");
  const usual = rotate(newKeyring("home"), NOW, DAY);
  assertStrictEquals(limited(usual, NOW), usual);
  assertStrictEquals(limited(usual, 12_345), usual, "a clock that was never set says nothing");
});

Deno.test("a clock that is wrong elsewhere ends no key before those are told who have it", () => {
  const ring = newKeyring("home");
  const woken1970 = rotate(ring, 12_345, MAX_GRACE_MS);
  const result = merged(ring, woken1970, NOW);
  assertEquals(result.keys.map((one) => one.acceptedUntil), [undefined, NOW + MIN_GRACE_MS]);
  assertStrictEquals(merged(result, woken1970, NOW + 5_000), result, "once, not again and again");
  const later = merged(result, woken1970, NOW + MIN_GRACE_MS);
  assertEquals(later.keys.length, 1, "and then it is over");
  const from2099 = rotate(ring, Date.UTC(2099), MAX_GRACE_MS);
  assertEquals(merged(ring, from2099, NOW).keys[1].acceptedUntil, NOW + DAY);
  // Also of a key that was made and given up there, and is not known here.
  const twice = rotate(rotate(ring, Date.UTC(2099)), Date.UTC(2099));
  assertEquals(merged(ring, twice, NOW).keys.map((one) => one.acceptedUntil), [
    undefined,
    NOW + DAY,
    NOW + DAY,
  ]);
});

Deno.test("what somebody hands who knows only keys that an eviction has restricted is not believed", () => {
  const ring = newKeyring("home");
  const mine = evict(ring, 3);
  const ofEvicted = rotate(ring);
  assert(!isBelieved(mine, ofEvicted, NOW));
  assert(isBelieved(ring, ofEvicted, NOW), "who has not heard of it cannot know");
  assert(isBelieved(mine, rotate(mine), NOW), "a successor of the new key comes from a member");
  assert(isBelieved(mine, mine, NOW));
  const later = rotate(mine, NOW, MINUTE);
  assert(isBelieved(later, mine, NOW), "an old key that is not restricted is good, too");
  assert(!isBelieved(later, mine, NOW + MINUTE), "until it ends");
});

Deno.test("an evicted node that feeds one that was away with keys of its own gains nothing", () => {
  const ring = newKeyring("home");
  const home = evict(ring, 3);
  for (const made of [rotate(rotate(ring)), rotate(ring)]) {
    const fooled = merged(ring, made, NOW);
    assertEquals(newest(fooled), newest(made));
    assert(isBelieved(fooled, home, NOW));
    const healed = merged(fooled, home, NOW);
    assertEquals(newest(healed), newest(home));
    for (const { key } of made.keys) assert(!admits(healed, key.tag, identity(3), NOW));
    assertEquals(newest(merged(home, healed, NOW)), newest(home));
  }
  // It may also evict everybody else there, and then that one believes nobody else: but nobody
  // believes it.
  const fooled = merged(ring, rotated(ring, { now: NOW, graceMs: DAY, onlyFor: new Set() }), NOW);
  assert(!isBelieved(fooled, home, NOW) && !isBelieved(home, fooled, NOW));
});

/** The text of a keyring, and of the keys in it. */
function written(): { text: string; secrets: string[] } {
  const ring = evict(rotate(newKeyring("Zürich »home«")), 3);
  const secrets = ring.keys.map(({ key }) => Buffer.from(key.reveal()).toString("base64url"));
  return { text: encodeKeyring(ring), secrets };
}

/** Reads bytes that may be anything; what it throws must be ours and give nothing away. */
function assertReadOrRefused(bytes: Uint8Array, secrets: readonly string[]): Keyring | undefined {
  try {
    return decodeKeyring(bytes);
  } catch (thrown) {
    assert(thrown instanceof NetworkError, String(thrown));
    assertEquals(thrown.code, "PROTOCOL");
    assertStringIncludes(thrown.message, "Cannot read the keyring: ");
    for (const secret of secrets) {
      assertShowsNoPieceOf(Deno.inspect(thrown), secret);
      assertShowsNoPieceOf(Deno.inspect(thrown.cause), secret);
    }
    return undefined;
  }
}

Deno.test("a keyring that is cut off anywhere is refused, and no piece of a key is told", () => {
  const { text, secrets } = written();
  const bytes = new TextEncoder().encode(text);
  for (let length = 0; length < bytes.length; length++) {
    assertEquals(assertReadOrRefused(bytes.subarray(0, length), secrets), undefined, `${length}`);
  }
  assert(assertReadOrRefused(bytes, secrets) !== undefined);
});

Deno.test("whatever is changed in a keyring, it is read or refused, and no piece of a key is told", () => {
  const { text, secrets } = written();
  const original = new TextEncoder().encode(text);
  const change = fc.record({
    at: fc.nat({ max: original.length - 1 }),
    type: fc.constantFrom("flip", "set", "cut", "insert", "double"),
    byte: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(...Buffer.from('{}[]",:\\0-e'))),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      let bytes: Uint8Array = original.slice();
      for (const { at: place, type, byte } of changes) {
        const at = Math.min(place, bytes.length - 1);
        const [before, after] = [bytes.subarray(0, at), bytes.subarray(at + 1)];
        if (type === "flip") bytes[at] ^= 1 << (byte % 8);
        if (type === "set") bytes[at] = byte;
        if (type === "cut") bytes = Uint8Array.of(...before, ...after);
        if (type === "insert") bytes = Uint8Array.of(...before, byte, ...bytes.subarray(at));
        if (type === "double") {
          bytes = Uint8Array.of(...bytes.subarray(0, at + 1), ...bytes.subarray(at));
        }
      }
      const ring = assertReadOrRefused(bytes, secrets);
      // What is read must be fit for use.
      if (ring === undefined) return;
      assert(acceptedKeys(ring, NOW).length > 0);
      decodeKeyring(new TextEncoder().encode(encodeKeyring(rotate(ring))));
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("any bytes at all are refused", () => {
  check(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    assertEquals(assertReadOrRefused(bytes, []), undefined);
  });
  check(fc.json(), (text) => {
    assertEquals(assertReadOrRefused(new TextEncoder().encode(text), []), undefined);
  });
});

interface Body {
  version: number;
  network: string;
  keys: Record<string, unknown>[];
}

Deno.test("a keyring beyond its bounds, or in no order, is refused", () => {
  const secret = () => Buffer.from(NetworkKey.generate().reveal()).toString("base64url");
  const one = { key: secret(), epoch: 3 };
  const old = { key: secret(), epoch: 2, acceptedUntil: NOW };
  const refused = (change: Partial<Body>, why = JSON.stringify(change).slice(0, 200)) => {
    const body: Body = { version: 1, network: "home", keys: [one, old], ...change };
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    assertEquals(assertReadOrRefused(bytes, [one.key, old.key]), undefined, why);
  };
  assert(assertReadOrRefused(
    new TextEncoder().encode(JSON.stringify({ version: 1, network: "home", keys: [one, old] })),
    [],
  ));
  refused({ version: 2 });
  refused({ network: "" });
  refused({ network: "\u200b\u0007" });
  refused({ network: "x".repeat(513) });
  refused({ keys: [] });
  const many = Array.from({ length: 17 }, (_, i) => ({ ...old, key: secret(), epoch: 99 - i }));
  assert(assertReadOrRefused(
    new TextEncoder().encode(
      JSON.stringify({
        version: 1,
        network: "home",
        keys: [{ ...one, epoch: 100 }, ...many.slice(2)],
      }),
    ),
    [],
  ));
  refused({ keys: [{ ...one, epoch: 100 }, ...many.slice(1)] }, "seventeen keys");
  for (const epoch of [0, -1, 1.5, "3", null, 2 ** 53, 1e300]) {
    refused({ keys: [{ ...one, epoch }] });
  }
  for (const evictions of [-1, 0.5, "1", 2 ** 53]) refused({ keys: [{ ...one, evictions }] });
  for (const key of ["", "x", one.key.slice(1), `${one.key}=`, one.key.replace(/./, "+")]) {
    refused({ keys: [{ ...one, key }] });
  }
  for (const acceptedUntil of ["x", null, {}]) refused({ keys: [one, { ...old, acceptedUntil }] });
  refused({ keys: [one, { ...old, onlyFor: ["x"] }] });
  refused({ keys: [one, { ...old, onlyFor: [identity(1).toUpperCase().replace("0", "A")] }] });
  refused({ keys: [one, { ...old, onlyFor: Array(16_385).fill(identity(1)) }] });
  refused({ keys: [old, one] }, "the oldest first");
  refused({ keys: [one, { ...old, key: secret(), epoch: 1 }, old] }, "old ones in no order");
  refused({ keys: [{ ...one, epoch: 1 }, old] }, "one that stays and is older than another");
  refused({ keys: [one, { ...old, key: one.key }] }, "the same twice");
  refused({ keys: [one, { key: old.key, epoch: 2 }] }, "an old one that never ends");
  refused({ keys: [{ ...one, acceptedUntil: NOW }] }, "no key that stays");
  refused({ keys: [{ ...one, onlyFor: [] }] }, "a newest one for nobody");
  refused({ keys: [{ ...one, evictions: 1 }, old] }, "an eviction that restricts nobody");
  refused({
    keys: [{ ...one, extra: "[".repeat(10) }, { ...old, acceptedUntil: [[[[[[[[]]]]]]]] }],
  });
});

Deno.test("a keyring too long to be one is refused before it is read", () => {
  const bytes = new TextEncoder().encode(`"${"x".repeat(2 * 1024 * 1024)}"`);
  assertStringIncludes(assertThrows(() => decodeKeyring(bytes), NetworkError).message, "too long");
});

Deno.test("the name of a network comes through clean, and the one of the winning key is kept", () => {
  const ring = { ...newKeyring("home"), networkName: "ho\u001b[31mme\u202e" };
  const read = decodeKeyring(new TextEncoder().encode(encodeKeyring(ring)));
  assertEquals(read.networkName, "ho[31mme");
  const renamed = { ...rotate(read), networkName: "office" };
  for (const result of exchanged(read, renamed)) assertEquals(result.networkName, "office");
});
