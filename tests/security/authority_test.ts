/** The certificate authority that a secret is: everybody who knows it derives the same one. */

import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { certify } from "../../src/security/authority.ts";
import { NodeIdentity, serverNameOf } from "../../src/security/identity.ts";
import { AUTHORITY_SECRET_BYTES, NetworkKey } from "../../src/security/network_key.ts";
import { networkAuthority } from "../support/certificates.ts";

const KEY = NetworkKey.from(new Uint8Array(32).fill(9));
const SECRET = KEY.derive("authority", AUTHORITY_SECRET_BYTES);
const { publicKey } = NodeIdentity.create();

async function certified(label = "node", secret = SECRET) {
  const made = await certify({ secret, serverName: serverNameOf(KEY.tag), label, publicKey });
  return {
    authority: new X509Certificate(made.authority),
    certificate: new X509Certificate(made.certificate),
  };
}

function spki({ publicKey }: X509Certificate): string {
  return (publicKey.export({ type: "spki", format: "der" }) as Buffer).toString("hex");
}

Deno.test("two that know the secret derive one authority, and believe what the other signs", async () => {
  const [a, b] = [await certified("a"), await certified("b")];
  assertEquals(spki(a.authority), spki(b.authority));
  assert(a.certificate.verify(b.authority.publicKey));
  assert(b.certificate.verify(a.authority.publicKey));
  assert(a.authority.verify(a.authority.publicKey));
});

Deno.test("the authority is the one that anybody else derives by the same recipe", async () => {
  const { authority, certificate } = await certified();
  const other = new X509Certificate((await networkAuthority(KEY)).certificate);
  assertEquals(spki(authority), spki(other));
  assertEquals(authority.subject, other.subject);
  assert(certificate.verify(other.publicKey));
});

Deno.test("another secret is another authority, which believes nothing of it", async () => {
  const { certificate, authority } = await certified();
  const other = await certified("node", SECRET.with(0, SECRET[0] ^ 1));
  assertNotEquals(spki(authority), spki(other.authority));
  assert(!certificate.verify(other.authority.publicKey));
  assert(!other.certificate.verify(authority.publicKey));
});

Deno.test("every secret has an authority, the smallest and the greatest too", async () => {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const secretOf = (value: bigint) =>
    Uint8Array.from(Buffer.from(value.toString(16).padStart(96, "0"), "hex"));
  const keys = new Map<string, string>();
  for (
    const [what, value] of [
      ["zero", 0n],
      ["one", 1n],
      ["the greatest scalar", order - 2n],
      ["as zero again", order - 1n],
      ["as one again", order],
      ["the greatest", 2n ** 384n - 1n],
    ] as const
  ) {
    const { authority, certificate } = await certified("node", secretOf(value));
    assert(certificate.verify(authority.publicKey), what);
    keys.set(what, spki(authority));
  }
  assertEquals(keys.get("as zero again"), keys.get("zero"));
  assertEquals(keys.get("as one again"), keys.get("one"));
  assertEquals(new Set(keys.values()).size, 4);
});

Deno.test("certificates hold from 1970 to 9999: a machine that wakes without a clock can join", async () => {
  for (const certificate of Object.values(await certified())) {
    assertEquals(Date.parse(certificate.validFrom), 0);
    assertEquals(Date.parse(certificate.validTo), Date.UTC(9999, 11, 31, 23, 59, 59));
  }
});

Deno.test("a certificate is for one label and one network, to serve and to dial, and signs nothing", async () => {
  const { authority, certificate } = await certified("my-node");
  assertEquals(certificate.subject, "CN=my-node");
  assertEquals(certificate.subjectAltName, `DNS:${KEY.tag}.hanzo-network`);
  assertEquals(certificate.issuer, authority.subject);
  assertEquals([authority.ca, certificate.ca], [true, false]);
  // To serve and to dial, as DER has it.
  const der = Buffer.from(certificate.raw).toString("hex");
  for (const usage of ["06082b06010505070301", "06082b06010505070302"]) assert(der.includes(usage));
  assertEquals(spki(certificate), Buffer.from(publicKey).toString("hex"));
});

Deno.test("any label that a node may have can be certified", async () => {
  const labels = ["a", "9", "with_underscore", "with.dots.in.it", "a-b_c.d", "A".repeat(63)];
  for (const label of labels) {
    const { authority, certificate } = await certified(label);
    assertEquals(certificate.subject, `CN=${label}`);
    assert(certificate.verify(authority.publicKey));
  }
});

Deno.test("no two certificates have one serial number, and none is negative", async () => {
  const serials = new Set<string>();
  for (let i = 0; i < 20; i++) {
    for (const { serialNumber } of Object.values(await certified())) {
      assertMatch(serialNumber, /^[0-9A-F]{1,40}$/);
      assert(serialNumber.length < 40 || parseInt(serialNumber[0], 16) < 8, serialNumber);
      serials.add(serialNumber);
    }
  }
  assertEquals(serials.size, 40);
});
