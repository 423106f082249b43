/** What a network key shows of itself, which is its tag, and what is derived from it. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import { format, inspect } from "node:util";
import { NetworkError } from "../../src/base/errors.ts";
import {
  AUTHORITY_SECRET_BYTES,
  deriveSecret,
  KEY_BYTES,
  NetworkKey,
  sha256Hex,
  TAG_BYTES,
} from "../../src/security/network_key.ts";
import { newKeyring } from "../../src/security/keyring.ts";
import { hkdf } from "../support/certificates.ts";
import { assertShowsNothingOf } from "../support/secrets.ts";

const SECRET = Uint8Array.from({ length: KEY_BYTES }, (_, i) => i * 7 + 1);

/** What the console writes, instead of writing it. */
function consoleOutput(write: () => void): string {
  const lines: string[] = [];
  const { log, error, info, debug, warn, dir } = console;
  const keep = (...values: unknown[]) => void lines.push(values.map((v) => Deno.inspect(v)).join());
  Object.assign(console, {
    log: keep,
    error: keep,
    info: keep,
    debug: keep,
    warn: keep,
    dir: keep,
  });
  try {
    write();
  } finally {
    Object.assign(console, { log, error, info, debug, warn, dir });
  }
  return lines.join("\n");
}

Deno.test("a key that is printed by mistake, in whatever way, shows its tag and nothing else", () => {
  const key = NetworkKey.from(SECRET);
  const ring = newKeyring("home", key);
  const shown = [
    String(key),
    `${key}`,
    key + "",
    JSON.stringify(key),
    JSON.stringify({ deep: [{ key }] }),
    Deno.inspect(key),
    Deno.inspect({ deep: [{ key }] }, { depth: 100, showHidden: true, getters: true }),
    inspect(key),
    inspect({ deep: [key] }, { depth: null, showHidden: true, getters: true }),
    format("%s %o %O %j", key, key, key, key),
    String(new Error(`with ${key}`)),
    Deno.inspect(new NetworkError("INTERNAL", `with ${key}`, { cause: key })),
    String(new Map([[key, key]]).keys().next().value),
    JSON.stringify(ring),
    Deno.inspect(ring, { depth: 100, showHidden: true }),
    consoleOutput(() => {
      console.log(key, [key], { key });
      console.error("%o", key);
      console.dir(key);
    }),
  ];
  for (const text of shown) {
    assertShowsNothingOf(text, SECRET);
    assertStringIncludes(text, key.tag);
  }
});

Deno.test("a key has no property, shown or hidden, that holds the secret", () => {
  const key = NetworkKey.from(SECRET);
  for (const name of [...Reflect.ownKeys(key), ...Reflect.ownKeys(NetworkKey.prototype)]) {
    const value: unknown = Reflect.get(key, name);
    if (typeof value !== "function") assertShowsNothingOf(Deno.inspect(value), SECRET);
  }
  assertEquals(Reflect.ownKeys(key), ["tag"]);
  assertShowsNothingOf(Deno.inspect({ ...key }), SECRET);
});

Deno.test("a key can be cloned by nobody who does not reveal it", () => {
  const clone: unknown = structuredClone(NetworkKey.from(SECRET));
  assertShowsNothingOf(Deno.inspect(clone, { depth: 100, showHidden: true }), SECRET);
});

Deno.test("what is revealed is a copy: who writes into it changes no key", () => {
  const bytes = Uint8Array.from(SECRET);
  const key = NetworkKey.from(bytes);
  bytes.fill(0);
  assertEquals(key.reveal(), SECRET);
  key.reveal().fill(0);
  assertEquals(key.reveal(), SECRET);
  assertEquals(NetworkKey.from(key.reveal()).tag, key.tag);
});

Deno.test("the tag is 16 hexadecimal digits, another one for each key", () => {
  const tags = Array.from({ length: 200 }, () => NetworkKey.generate().tag);
  for (const tag of tags) assertMatch(tag, /^[0-9a-f]{16}$/);
  assertEquals(new Set(tags).size, 200);
  assertEquals(TAG_BYTES * 2, 16);
});

Deno.test("bytes that are no key are refused without being shown", () => {
  for (const length of [0, 1, 31, 33, 64]) {
    const bytes = new Uint8Array(length).fill(0xa7);
    const error = assertThrows(() => NetworkKey.from(bytes), NetworkError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, `it has ${length} bytes, expected 32`);
    assert(!error.message.includes("a7a7") && !error.message.includes("167"), error.message);
  }
});

Deno.test("what is derived is HKDF-SHA256 of RFC 5869, as WebCrypto has it", async () => {
  const key = NetworkKey.from(SECRET);
  for (
    const [purpose, length] of [["tag", 8], ["authority", 48], ["beacons", 32], ["", 1]] as const
  ) {
    assertEquals(key.derive(purpose, length), await hkdf(SECRET, purpose, length), purpose);
    assertEquals(deriveSecret(SECRET, purpose, length), await hkdf(SECRET, purpose, length));
  }
  assertEquals(key.tag, Buffer.from(await hkdf(SECRET, "tag", TAG_BYTES)).toString("hex"));
  assertEquals(sha256Hex(new TextEncoder().encode("abc")).slice(0, 16), "ba7816bf8f01cfea");
});

Deno.test("the derivations of a known key do not change from one version to the next", () => {
  // Another version of the program, with other values, would not find its network any more.
  const key = NetworkKey.from(SECRET);
  assertEquals(key.tag, "9ef26ac1248b69a5");
  assertEquals(Buffer.from(key.derive("authority", 8)).toString("hex"), "9a68f6057c143d26");
});

Deno.test("what is derived for one purpose is not part of what is derived for another, or of the key", () => {
  const purposes = fc.uniqueArray(fc.string({ maxLength: 40 }), { minLength: 2, maxLength: 2 });
  const secrets = fc.uint8Array({ minLength: KEY_BYTES, maxLength: KEY_BYTES });
  fc.assert(
    fc.property(secrets, purposes, (secret, [one, other]) => {
      const key = NetworkKey.from(secret);
      const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
      const short = hex(key.derive(one, 16));
      const long = hex(key.derive(other, AUTHORITY_SECRET_BYTES));
      assertNotEquals(short, long);
      // Four bytes in common by chance: once in 2³² pairs of places.
      for (let at = 0; at + 12 <= short.length; at += 2) {
        assert(!long.includes(short.slice(at, at + 12)), `${one} and ${other}`);
      }
      const shown = `${key.tag} ${short} ${long}`;
      for (let at = 0; at + 12 <= 64; at += 2) {
        assert(!shown.includes(hex(secret).slice(at, at + 12)));
      }
    }),
    { numRuns: 300 },
  );
});
