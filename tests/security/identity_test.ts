/** Who a node is: a key pair for good, and a certificate under each key of its network. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { createPublicKey, X509Certificate } from "node:crypto";
import { NetworkError } from "../../src/base/errors.ts";
import {
  identityOf,
  newPrivateKey,
  NodeIdentity,
  serverNameOf,
} from "../../src/security/identity.ts";
import { NetworkKey, sha256Hex } from "../../src/security/network_key.ts";
import { mint } from "../support/certificates.ts";
import { assertShowsNoPieceOf } from "../support/secrets.ts";
import { withTempDir } from "../support/temp.ts";

const KEY = NetworkKey.generate();
const OTHER = NetworkKey.generate();

/** Whether the holder of the first credentials believes the certificate of the second. */
function believes(one: { authority: string }, other: { certificate: string }): boolean {
  const { publicKey } = new X509Certificate(one.authority);
  return new X509Certificate(other.certificate).verify(publicKey);
}

/** The lines of a private key as PEM, without its frame. */
function pemBody(pem: string): string {
  return pem.split("\n").filter((line) => !line.startsWith("-----")).join("");
}

Deno.test("nodes of one network believe each other, of two networks they do not", async () => {
  const [a, b] = [NodeIdentity.create(), NodeIdentity.create()];
  const [ofA, ofB] = [await a.credentials(KEY, "a"), await b.credentials(KEY, "b")];
  assert(believes(ofA, ofB) && believes(ofB, ofA));
  const elsewhere = await b.credentials(OTHER, "b");
  assert(!believes(ofA, elsewhere) && !believes(elsewhere, ofA));
  assertEquals([ofA.serverName, ofA.tag], [serverNameOf(KEY.tag), KEY.tag]);
  assertEquals(ofA.serverName, `${KEY.tag}.hanzo-network`);
});

Deno.test("a node is known by its public key, whatever it is called and under whichever key", async () => {
  const node = NodeIdentity.create();
  assertMatch(node.id, /^[0-9a-f]{64}$/);
  assertEquals(node.id, sha256Hex(node.publicKey));
  for (const [key, label] of [[KEY, "a"], [KEY, "b"], [OTHER, "a"]] as const) {
    const { certificate, privateKey } = await node.credentials(key, label);
    const parsed = new X509Certificate(certificate);
    assertEquals(identityOf(parsed.raw), node.id);
    assertEquals(parsed.subject, `CN=${label}`);
    const der = createPublicKey(privateKey).export({ type: "spki", format: "der" }) as Uint8Array;
    assertEquals(sha256Hex(der), node.id, "the private key is the certificate's");
  }
  assertNotEquals(NodeIdentity.create().id, node.id);
});

Deno.test("labels with underscores, dots and 63 characters are certified as they are", async () => {
  const node = NodeIdentity.create();
  for (const label of ["my_node", "rack.1.node-2", "x".repeat(63)]) {
    const { certificate } = await node.credentials(KEY, label);
    assertEquals(new X509Certificate(certificate).subject, `CN=${label}`);
  }
});

Deno.test("a certificate is signed once for each key and label, and found again by the next start", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/identity.json`;
    const first = await NodeIdentity.keep(path);
    const signed = await first.credentials(KEY, "node");
    assertEquals(await first.credentials(KEY, "node"), signed);
    const again = await NodeIdentity.keep(path);
    assertEquals(again.id, first.id);
    assertEquals(await again.credentials(KEY, "node"), signed);
    assertNotEquals((await again.credentials(KEY, "renamed")).certificate, signed.certificate);
    assertNotEquals((await again.credentials(OTHER, "node")).certificate, signed.certificate);
    assertEquals(await (await NodeIdentity.keep(path)).credentials(KEY, "node"), signed);
  });
});

Deno.test("certificates under keys that count no more are forgotten, the others kept", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/identity.json`;
    const node = await NodeIdentity.keep(path);
    const [kept, gone] = [await node.credentials(KEY, "a"), await node.credentials(OTHER, "a")];
    await node.retain(new Set([KEY.tag]));
    const again = await NodeIdentity.keep(path);
    assertEquals(await again.credentials(KEY, "a"), kept);
    assertNotEquals((await again.credentials(OTHER, "a")).certificate, gone.certificate);
    const { ino } = await Deno.stat(path);
    await again.retain(new Set([KEY.tag, OTHER.tag]));
    assertEquals((await Deno.stat(path)).ino, ino, "nothing to write");
  });
});

Deno.test("two that make an identity at the same moment have the same one", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/identity.json`;
    const made = await Promise.all(Array.from({ length: 10 }, () => NodeIdentity.keep(path)));
    assertEquals(new Set(made.map(({ id }) => id)).size, 1);
    if (Deno.build.os !== "windows") {
      assertEquals((Deno.lstatSync(path).mode! & 0o777).toString(8), "600");
    }
  });
});

Deno.test("an identity that is damaged is refused and not replaced, and its key is not shown", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/identity.json`;
    await (await NodeIdentity.keep(path)).credentials(KEY, "node");
    const text = await Deno.readTextFile(path);
    const { privateKey, certificates } = JSON.parse(text);
    const body = { version: 1, privateKey, certificates };
    const half = privateKey.slice(0, privateKey.length / 2);
    const damaged = [
      "",
      "{",
      text.slice(0, 60),
      text.slice(0, text.length / 2),
      text.slice(0, -1),
      text.replace("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\u0007"),
      JSON.stringify({ ...body, version: 2 }),
      JSON.stringify({ ...body, privateKey: half }),
      JSON.stringify({
        ...body,
        privateKey: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
      }),
      JSON.stringify({ ...body, privateKey: [privateKey] }),
      JSON.stringify({ ...body, certificates: [{ ...certificates[0], tag: "../../x" }] }),
      JSON.stringify({ ...body, certificates: Array(65).fill(certificates[0]) }),
      JSON.stringify({ ...body, certificates: [[[[[[]]]]]] }),
    ];
    for (const content of damaged) {
      await Deno.writeTextFile(path, content);
      const error = await assertRejects(
        () => NodeIdentity.keep(path),
        NetworkError,
        undefined,
        content.slice(0, 200),
      );
      assertEquals(error.code, "FAILED_PRECONDITION");
      assertStringIncludes(error.message, `Cannot read the node's identity from ${path}`);
      assertStringIncludes(error.message, "--node-id");
      assertShowsNoPieceOf(Deno.inspect(error).replaceAll(path, ""), pemBody(privateKey));
      assertEquals(await Deno.readTextFile(path), content, "it is left for whoever restores it");
    }
    await Deno.writeTextFile(path, text);
    await NodeIdentity.keep(path);
  });
});

Deno.test("a kept certificate that is damaged or another node's is signed again", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/identity.json`;
    const node = await NodeIdentity.keep(path);
    const good = await node.credentials(KEY, "a");
    const body = JSON.parse(await Deno.readTextFile(path));
    const [kept] = body.certificates;
    const turned = (pem: string, at: number) =>
      pem.slice(0, at) + (pem[at] === "A" ? "B" : "A") + pem.slice(at + 1);
    const ofAnother = await NodeIdentity.create().credentials(KEY, "a");
    for (
      const damaged of [
        { ...kept, certificate: turned(kept.certificate, 40) },
        { ...kept, certificate: turned(kept.certificate, kept.certificate.length - 60) },
        { ...kept, authority: turned(kept.authority, 300) },
        { ...kept, certificate: "-----BEGIN CERTIFICATE-----\n" },
        { ...kept, certificate: ofAnother.certificate },
        { ...kept, authority: (await node.credentials(OTHER, "a")).authority },
      ]
    ) {
      await Deno.writeTextFile(path, JSON.stringify({ ...body, certificates: [damaged] }));
      const again = await NodeIdentity.keep(path);
      const credentials = await again.credentials(KEY, "a");
      assertEquals(again.id, node.id);
      assert(believes(good, credentials) && believes(credentials, good));
      assertEquals(identityOf(new X509Certificate(credentials.certificate).raw), node.id);
    }
  });
});

Deno.test("an identity on another curve is refused: no certificate could be made for it", async () => {
  await withTempDir(async (directory) => {
    const path = `${directory}/identity.json`;
    for (const kind of ["P-384", "Ed25519", "RSA"] as const) {
      const { privateKey } = await mint({ kind });
      await Deno.writeTextFile(path, JSON.stringify({ version: 1, privateKey, certificates: [] }));
      const error = await assertRejects(
        () => NodeIdentity.keep(path),
        NetworkError,
        undefined,
        kind,
      );
      assertEquals(error.code, "FAILED_PRECONDITION");
    }
  });
});

Deno.test("an identity shows its private key to nobody who prints it", async () => {
  const node = NodeIdentity.create();
  const { privateKey } = await node.credentials(KEY, "a");
  for (
    const shown of [Deno.inspect(node, { depth: 100, showHidden: true }), JSON.stringify(node)]
  ) {
    assertShowsNoPieceOf(shown, pemBody(privateKey));
  }
});

Deno.test("the identity of a certificate is that of its public key, on any curve", async () => {
  assertNotEquals(newPrivateKey(), newPrivateKey());
  for (const kind of ["P-256", "P-384", "Ed25519", "RSA"] as const) {
    const minted = await mint({ kind });
    const spki = new Uint8Array(await crypto.subtle.exportKey("spki", minted.keys.publicKey));
    const { raw } = new X509Certificate(minted.certificate);
    assertEquals(identityOf(raw), sha256Hex(spki), kind);
    const renewed = await mint({ kind, keys: minted.keys, label: "another" });
    assertEquals(identityOf(new X509Certificate(renewed.certificate).raw), sha256Hex(spki));
  }
});
