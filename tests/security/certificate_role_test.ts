/** Who may be a node, and who may only call, by the certificate. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createPublicKey, X509Certificate } from "node:crypto";
import { NetworkError } from "../../src/base/errors.ts";
import { certificateRole } from "../../src/security/certificate_role.ts";
import { clientCertificate } from "../../src/security/client_certificate.ts";
import { newPrivateKey, NodeIdentity } from "../../src/security/identity.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { makeAuthority, mint, type Minting } from "../support/certificates.ts";

const roleOf = (pem: string) => certificateRole(new X509Certificate(pem).raw);
const minted = async (minting: Minting) => roleOf((await mint(minting)).certificate);

function publicKey(): Uint8Array {
  return createPublicKey(newPrivateKey()).export({ type: "spki", format: "der" });
}

Deno.test("a certificate for servers is a node's, one for clients alone a client's", async () => {
  assertEquals(await minted({ usages: ["server", "client"] }), "node");
  assertEquals(await minted({ usages: ["server"] }), "node");
  assertEquals(await minted({ usages: ["client"] }), "client");
  const authority = await makeAuthority();
  assertEquals(await minted({ usages: ["client"], authority, kind: "RSA" }), "client");
  // Without any usage named it is good for all.
  assertEquals(roleOf(authority.certificate), "node");
});

Deno.test("what the network signs is one or the other", async () => {
  const key = NetworkKey.generate();
  const node = await NodeIdentity.create().credentials(key, "pi");
  assertEquals(roleOf(node.certificate), "node");
  const client = await clientCertificate(key, "script", publicKey());
  assertEquals(roleOf(client.certificate), "client");
  assertEquals([client.authority, client.serverName].length, 2);
  const [signed, by] = [client.certificate, node.authority].map((one) => new X509Certificate(one));
  assert(signed.verify(by.publicKey));
  assertEquals([signed.subject, client.serverName], ["CN=script", node.serverName]);
});

Deno.test("what cannot be read has the least rights", async () => {
  const { raw } = new X509Certificate((await mint({ usages: ["server"] })).certificate);
  assertEquals(certificateRole(new Uint8Array()), "client");
  for (let length = 1; length < raw.length; length += 7) {
    assertEquals(certificateRole(raw.subarray(0, length)), "client");
  }
  assertEquals(certificateRole(new Uint8Array(64).fill(0xff)), "client");
});

Deno.test("a client's key that is not on P-256 is refused when it is certified", async () => {
  const key = NetworkKey.generate();
  const { keys } = await mint({ kind: "P-384" });
  const other = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
  for (const wrong of [other, new Uint8Array(91), publicKey().subarray(1)]) {
    const error = await assertRejects(() => clientCertificate(key, "x", wrong), NetworkError);
    assertEquals(error.code, "INVALID_ARGUMENT");
  }
});
