/** Sealed datagrams: who can read them, how often, and what is refused at what price. */

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { createCipheriv, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { NetworkError } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import {
  DatagramOpener,
  DatagramSealer,
  type Opened,
  SEAL_BYTES,
} from "../../src/security/sealed_datagram.ts";
import { halfSipHash } from "../../src/security/half_sip_hash.ts";

const KEY = NetworkKey.generate();
const HERE = "10.0.0.1";
const COUNTER_AT = 28;
const CIPHERTEXT_AT = 40;
const CHECK_BYTES = 8;

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** What was said, or why nothing was read. */
function outcome(opened: Opened): string {
  return opened.type === "opened" ? `"${new TextDecoder().decode(opened.plaintext)}"` : opened.type;
}

/** A datagram that was tampered with by somebody who knows how to make the check. */
function withRightCheck(bytes: Uint8Array, key: NetworkKey = KEY): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const at = bytes.length - CHECK_BYTES;
  const [low, high] = halfSipHash(key.derive("beacon check", 8), bytes, at);
  view.setInt32(at, low, true);
  view.setInt32(at + 4, high, true);
  return bytes;
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3] ^= 1 << (bit & 7);
  return copy;
}

Deno.test("what is sealed is read by who has the key, from where it was sent, once", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 1_500 }), fc.ipV4(), (said, origin) => {
    const sealed = new DatagramSealer().seal(KEY, said, origin);
    assertEquals(sealed.length, said.length + SEAL_BYTES);
    const opener = new DatagramOpener();
    const opened = opener.open(sealed, [KEY], origin);
    assert(opened.type === "opened");
    assertEquals([...opened.plaintext], [...said]);
    assertEquals(opened.keyTag, KEY.tag);
    assertEquals(opener.open(sealed, [KEY], origin).type, "replayed");
  }));
});

Deno.test("a datagram shows the tag of its key and the address, and nothing of what it says", () => {
  const sealer = new DatagramSealer();
  const said = bytesOf("the same words, twice");
  const [one, other] = [sealer.seal(KEY, said, HERE), sealer.seal(KEY, said, HERE)];
  assertNotEquals(one[0], "{".charCodeAt(0));
  assertEquals(one.slice(4, 12).toHex(), KEY.tag);
  assertEquals([...one.slice(36, 40)], [10, 0, 0, 1]);
  const secret = (bytes: Uint8Array) => bytes.slice(CIPHERTEXT_AT).toHex();
  assertNotEquals(secret(one), secret(other));
  assert(!one.toHex().includes(said.slice(0, 4).toHex()));
});

Deno.test("each start of a node has a salt of its own", () => {
  const salts = Array.from({ length: 100 }, () => {
    return new DatagramSealer().seal(KEY, bytesOf("x"), HERE).slice(12, COUNTER_AT).toHex();
  });
  assertEquals(new Set(salts).size, 100);
});

const FIXED_KEY = NetworkKey.from(Uint8Array.from({ length: 32 }, (_, i) => i));
/** The second datagram of a start, which says "hello", from 10.0.0.1. */
const FIXED =
  "d5484e01295edf2e5a7aa86432ebae95224ad4c5bec4aea61c14277000000000000000010a0000014259" +
  "85e866dc5394ad03677f69c6d7b3726470e64fb1bb8841e3ab2b59";

Deno.test("a datagram of version 1 stays readable, also for another implementation", async () => {
  const bytes = Uint8Array.fromHex(FIXED);
  assertEquals(outcome(new DatagramOpener().open(bytes, [FIXED_KEY], HERE)), '"hello"');

  const secret = await crypto.subtle.importKey(
    "raw",
    new Uint8Array(FIXED_KEY.derive("beacon", 32)),
    "HKDF",
    false,
    ["deriveKey"],
  );
  const info = bytesOf("hanzo-network/1 beacon boot") as Uint8Array<ArrayBuffer>;
  const subkey = await crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: bytes.slice(12, COUNTER_AT), info },
    secret,
    { name: "AES-GCM", length: 256 },
    false,
    ["decrypt"],
  );
  const iv = new Uint8Array(12);
  iv.set(bytes.slice(COUNTER_AT, COUNTER_AT + 8), 4);
  const plaintext = await crypto.subtle.decrypt(
    { name: "AES-GCM", iv, additionalData: bytes.slice(0, CIPHERTEXT_AT) },
    subkey,
    bytes.slice(CIPHERTEXT_AT, -CHECK_BYTES),
  );
  assertEquals(new TextDecoder().decode(plaintext), "hello");
});

Deno.test("the check is HalfSipHash-2-4, as its authors computed it", () => {
  // Of the bytes 0, 1, 2, … up to each length, with the key 0, 1, … 7.
  const expected: [length: number, hash: string][] = [
    [0, "218d1f59b9b83cc8"],
    [1, "be552412f8387315"],
    [2, "064f39ef7c50eb57"],
    [3, "ce0f1a45f7060679"],
    [4, "d5e78a175be52ea1"],
    [7, "ff202728b07bc684"],
    [8, "edfee820bce4858c"],
    [17, "37adc0641c4c4f6a"],
  ];
  const key = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7);
  for (const [length, hash] of expected) {
    const view = new DataView(new ArrayBuffer(8));
    const words = halfSipHash(key, Uint8Array.from({ length }, (_, i) => i));
    words.forEach((word, i) => view.setInt32(4 * i, word, true));
    assertEquals(new Uint8Array(view.buffer).toHex(), hash, `${length} bytes`);
  }
});

Deno.test("any flipped bit is refused", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (said) => {
    const sealed = new DatagramSealer().seal(KEY, said, HERE);
    const opener = new DatagramOpener();
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      assertNotEquals(opener.open(flipped(sealed, bit), [KEY], HERE).type, "opened", `bit ${bit}`);
    }
    assertEquals(opener.open(sealed, [KEY], HERE).type, "opened", "and pushes out nothing");
  }));
});

Deno.test("any flipped bit is refused even to who can make the check: that is only a sieve", () => {
  const sealed = new DatagramSealer().seal(KEY, bytesOf("hello"), HERE);
  const opener = new DatagramOpener();
  const refusals = new Set<string>();
  for (let bit = 0; bit < 8 * (sealed.length - CHECK_BYTES); bit++) {
    refusals.add(outcome(opener.open(withRightCheck(flipped(sealed, bit)), [KEY], HERE)));
  }
  assertEquals(refusals, new Set(["malformed", "foreign-key", "forged", "relocated"]));
});

Deno.test("a datagram is refused when it comes from another address than it was sealed for", () => {
  const sealed = new DatagramSealer().seal(KEY, bytesOf("here"), HERE);
  const opener = new DatagramOpener();
  for (const elsewhere of ["10.0.0.2", "127.0.0.1", "10.0.0.10", "", "host"]) {
    assertEquals(outcome(opener.open(sealed, [KEY], elsewhere)), "relocated");
  }
  assertEquals(outcome(opener.open(sealed, [KEY], HERE)), '"here"', "the true one still counts");
});

Deno.test("who seals with the salt of another takes nothing away from it", () => {
  const [victim, opener] = [new DatagramSealer(), new DatagramOpener()];
  const heard = victim.seal(KEY, bytesOf("first"), HERE);
  assertEquals(outcome(opener.open(heard, [KEY], HERE)), '"first"');
  // A member, from its own address, with what it has heard and the highest counter that there is.
  const forged = heard.slice();
  forged.fill(0xff, COUNTER_AT, COUNTER_AT + 8);
  forged.set([10, 0, 0, 66], COUNTER_AT + 8);
  const secret = KEY.derive("beacon", 32);
  const salt = heard.subarray(COUNTER_AT - 16, COUNTER_AT);
  const subkey = hkdfSync("sha256", secret, salt, "hanzo-network/1 beacon boot", 32);
  const nonce = new Uint8Array([0, 0, 0, 0, ...forged.subarray(COUNTER_AT, COUNTER_AT + 8)]);
  const cipher = createCipheriv("aes-256-gcm", new Uint8Array(subkey), nonce);
  cipher.setAAD(forged.subarray(0, CIPHERTEXT_AT));
  forged.set(cipher.update(bytesOf("other")), CIPHERTEXT_AT);
  cipher.final();
  forged.set(cipher.getAuthTag(), CIPHERTEXT_AT + "other".length);
  assertEquals(outcome(opener.open(withRightCheck(forged), [KEY], "10.0.0.66")), '"other"');
  const next = victim.seal(KEY, bytesOf("second"), HERE);
  assertEquals(outcome(opener.open(next, [KEY], HERE)), '"second"');
});

Deno.test("an address that no datagram can be sent from is refused where it is sealed", () => {
  for (const origin of ["", "localhost", "::1", "10.0.0", "10.0.0.256"]) {
    const seal = () => new DatagramSealer().seal(KEY, bytesOf("x"), origin);
    assertEquals(assertThrows(seal, NetworkError).code, "INVALID_ARGUMENT");
  }
});

Deno.test("keys may change while a node runs: the newest seals, those accepted open", () => {
  const [older, newer, foreign] = [KEY, NetworkKey.generate(), NetworkKey.generate()];
  const sealer = new DatagramSealer();
  const opener = new DatagramOpener();
  const open = (key: NetworkKey, accepted: NetworkKey[]) => {
    const opened = opener.open(sealer.seal(key, bytesOf("x"), HERE), accepted, HERE);
    return opened.type === "opened" ? opened.keyTag : opened.type;
  };
  assertEquals(open(older, [older]), older.tag);
  assertEquals(open(newer, [older]), "foreign-key");
  assertEquals(open(newer, [newer, older]), newer.tag);
  assertEquals(open(older, [newer, older]), older.tag);
  assertEquals(open(older, [newer]), "foreign-key", "no longer");
  assertEquals(open(newer, [newer]), newer.tag);
  assertEquals(open(foreign, [newer]), "foreign-key");
  assertEquals(open(newer, []), "foreign-key");
});

Deno.test("who has the key can say no to the price of a decryption, and is asked for nothing else", () => {
  let asked = 0;
  let answer = true;
  const opener = new DatagramOpener({ mayDecrypt: () => (asked++, answer) });
  const sealed = new DatagramSealer().seal(KEY, bytesOf("x"), HERE);
  const foreign = new DatagramSealer().seal(NetworkKey.generate(), bytesOf("x"), HERE);
  const open = (bytes: Uint8Array, from = HERE) => outcome(opener.open(bytes, [KEY], from));
  assertEquals(open(flipped(sealed, 400)), "forged");
  assertEquals(open(foreign), "foreign-key");
  assertEquals(open(sealed, "10.0.0.2"), "relocated");
  assertEquals(open(bytesOf("{}")), "malformed");
  assertEquals(asked, 0);
  answer = false;
  assertEquals(open(sealed), "rate");
  answer = true;
  assertEquals([open(sealed), open(sealed), asked], ['"x"', "replayed", 2]);
});

Deno.test("datagrams that overtake each other are all read, each once", () => {
  const order = fc.integer({ min: 2, max: 33 }).chain((count) =>
    fc.shuffledSubarray(Array.from({ length: count }, (_, i) => i), { minLength: count })
  );
  fc.assert(fc.property(order, (indices) => {
    const sealer = new DatagramSealer();
    const sealed = indices.map((_, i) => sealer.seal(KEY, bytesOf(`${i}`), HERE));
    const opener = new DatagramOpener();
    for (const i of indices) {
      assertEquals(outcome(opener.open(sealed[i], [KEY], HERE)), `"${i}"`);
      for (const again of indices.slice(0, indices.indexOf(i) + 1)) {
        assertEquals(outcome(opener.open(sealed[again], [KEY], HERE)), "replayed");
      }
    }
  }));
});

Deno.test("what is far behind what was read counts as read", () => {
  const sealer = new DatagramSealer();
  const sealed = Array.from({ length: 200 }, (_, i) => sealer.seal(KEY, bytesOf(`${i}`), HERE));
  const opener = new DatagramOpener();
  const open = (i: number) => outcome(opener.open(sealed[i], [KEY], HERE));
  assertEquals([open(100), open(67), open(68), open(199), open(166), open(167)], [
    '"100"',
    "replayed",
    '"68"',
    '"199"',
    "replayed",
    '"167"',
  ]);
});

Deno.test("of many starts the one that was silent longest is forgotten, by no stranger's doing", () => {
  const opener = new DatagramOpener({ maxStarts: 3 });
  const open = (bytes: Uint8Array) => outcome(opener.open(bytes, [KEY], HERE));
  const sealers = Array.from({ length: 4 }, () => new DatagramSealer());
  const [a, b, c, d] = sealers.map((sealer) => sealer.seal(KEY, bytesOf("x"), HERE));
  for (const bytes of [a, b, c]) assertEquals(open(bytes), '"x"');
  // With salts that nobody has, and a check as good as a member's.
  for (let i = 0; i < 100; i++) {
    const forged = a.slice();
    crypto.getRandomValues(forged.subarray(12, COUNTER_AT));
    assertEquals(open(withRightCheck(forged)), "forged");
  }
  assertEquals([open(a), open(b), open(c)], ["replayed", "replayed", "replayed"]);
  // What is refused does not make it heard of anew, what is read does.
  assertEquals(open(sealers[0].seal(KEY, bytesOf("y"), HERE)), '"y"');
  assertEquals([open(d), open(a), open(c)], ['"x"', "replayed", "replayed"]);
  assertEquals(open(b), '"x"', "forgotten, and so repeated: once");
  assertEquals(open(b), "replayed");
});

Deno.test("a counter that nobody reaches is one number like another", () => {
  const opener = new DatagramOpener();
  const bytes = new DatagramSealer().seal(KEY, bytesOf("x"), HERE).fill(0xff, COUNTER_AT, 36);
  assertEquals(outcome(opener.open(withRightCheck(bytes), [KEY], HERE)), "forged");
});

Deno.test("a million mutated datagrams are refused within seconds, and nothing is thrown", () => {
  const random = seededRandom(2026);
  const pick = (below: number) => Math.floor(random.next() * below);
  const sealer = new DatagramSealer();
  const whole = Array.from({ length: 8 }, (_, i) => sealer.seal(KEY, new Uint8Array(30 * i), HERE));
  const opener = new DatagramOpener();
  const counts: Record<string, number> = {};
  const start = performance.now();
  for (let i = 0; i < 1_000_000; i++) {
    const chosen = whole[pick(whole.length)];
    const bytes = chosen.slice(0, random.next() < 0.1 ? pick(chosen.length) : chosen.length);
    // Mostly behind the tag, so that it passes for this network's.
    for (let n = pick(3); n >= 0 && bytes.length > 0; n--) {
      const at = random.next() < 0.9 ? 12 + pick(bytes.length - 12) : pick(bytes.length);
      bytes[at] ^= 1 + pick(255);
    }
    const { type } = opener.open(bytes, [KEY], HERE);
    counts[type] = (counts[type] ?? 0) + 1;
  }
  const seconds = (performance.now() - start) / 1_000;
  // Three are usual: the bound is for slow machines.
  assert(seconds < 60, `took ${seconds} s`);
  assert(counts.forged > 500_000 && counts["foreign-key"] > 10_000 && counts.malformed > 10_000);
  // Of two changes the second may undo the first.
  assert((counts.opened ?? 0) + (counts.replayed ?? 0) < 1_000, JSON.stringify(counts));
});
