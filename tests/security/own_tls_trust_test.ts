/** Certificates of the operator's own authority: what is wrong with them is said, and renewed ones are used. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { identityOf } from "../../src/security/identity.ts";
import { OwnTlsTrust } from "../../src/security/own_tls_trust.ts";
import {
  asVersion1,
  makeAuthority,
  mint,
  type Minted,
  newKeys,
  type TestAuthority,
} from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { recordingLogger } from "../support/recording_logger.ts";
import { assertShowsNoPieceOf } from "../support/secrets.ts";
import { skipUnless } from "../support/skip.ts";
import { withTempDir } from "../support/temp.ts";

const authority = await makeAuthority("CN=our authority");
const minted = await mint({ authority, label: "node", dnsNames: ["node.example.com"] });

interface Contents {
  cert: string;
  key: string;
  ca: string;
}

const GOOD: Contents = {
  cert: minted.certificate,
  key: minted.privateKey,
  ca: authority.certificate,
};

function contents(of: Minted, by: TestAuthority = authority): Contents {
  return { cert: of.certificate, key: of.privateKey, ca: by.certificate };
}

/** Three files in a directory, and a trust that reads them. */
class Files {
  readonly clock = new ManualClock();
  readonly log = recordingLogger();
  readonly paths: Contents;
  changes = 0;
  #trust: OwnTlsTrust | undefined;

  constructor(directory: string) {
    this.paths = { cert: `${directory}/cert`, key: `${directory}/key`, ca: `${directory}/ca` };
  }

  async write(content: Partial<Contents>): Promise<void> {
    for (const [name, text] of Object.entries(content)) {
      const path = this.paths[name as keyof Contents];
      await Deno.writeTextFile(`${path}.new`, text);
      await Deno.rename(`${path}.new`, path);
    }
  }

  async open(nodeId = "node", verifyPeers = true): Promise<OwnTlsTrust> {
    const { paths: files, clock, log: { logger } } = this;
    this.#trust = await OwnTlsTrust.open({ files, verifyPeers, nodeId, clock, logger });
    this.#trust.start(() => this.changes++);
    return this.#trust;
  }

  /** Waits for the end of a look that may be under way. */
  async seen(): Promise<void> {
    const end = performance.now() + 100;
    await eventually(() => performance.now() > end, { what: "the end of a look" });
  }

  /** Lets the files be looked at until something holds. */
  async until(what: string, holds: () => boolean): Promise<void> {
    await eventually(async () => {
      await this.clock.advance(2_000);
      return holds();
    }, { what });
  }
}

async function refusal(attempt: () => Promise<unknown>): Promise<string> {
  const error = await assertRejects(attempt, NetworkError);
  assertEquals(error.code, "INVALID_ARGUMENT");
  assertShowsNoPieceOf(Deno.inspect(error), minted.privateKey.split("\n")[1]);
  return error.message;
}

function withFiles(use: (files: Files, directory: string) => Promise<void>): Promise<void> {
  return withTempDir((directory) => use(new Files(directory), directory));
}

Deno.test("the three files are what is shown and believed", () =>
  withFiles(async (files) => {
    await files.write(GOOD);
    const trust = await files.open();
    const [{ certificate, privateKey, authority }] = trust.credentials();
    assertEquals({ cert: certificate, key: privateKey, ca: authority }, GOOD);
    assertEquals(trust.credentials().length, 1);
    assertEquals(trust.identity, identityOf(new X509Certificate(minted.certificate).raw));
    assertEquals([trust.mode, trust.verifiesPeers, trust.keys()], ["tls", true, undefined]);
    await trust.stop();
  }));

Deno.test("a file that is missing, empty, too long or no PEM is named with its option", () =>
  withFiles(async (files) => {
    for (
      const [name, flag] of [["cert", "--tls-cert"], ["key", "--tls-key"], [
        "ca",
        "--tls-ca",
      ]] as const
    ) {
      const path = files.paths[name];
      await files.write(GOOD);
      await Deno.remove(path);
      assertStringIncludes(await refusal(() => files.open()), `Cannot use ${path} as ${flag}: `);
      await Deno.mkdir(path);
      assertStringIncludes(await refusal(() => files.open()), `Cannot use ${path} as ${flag}: `);
      await Deno.remove(path);
      for (
        const [content, reason] of [
          ["", "it is no PEM"],
          ["not a certificate", "it is no PEM"],
          ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it cannot be read"],
          [GOOD[name].slice(0, 100), "it cannot be read"],
          ["x".repeat(1024 * 1024 + 1), "it is longer than"],
        ]
      ) {
        await files.write({ [name]: content });
        assertStringIncludes(
          await refusal(() => files.open()),
          `Cannot use ${path} as ${flag}: ${reason}`,
        );
      }
    }
  }));

Deno.test("a key that is not the certificate's is refused, naming both files", () =>
  withFiles(async (files) => {
    await files.write({ ...GOOD, key: (await mint()).privateKey });
    const message = await refusal(() => files.open());
    assertStringIncludes(message, `Cannot use ${files.paths.key} as --tls-key`);
    assertStringIncludes(message, `it is not the key of the certificate in ${files.paths.cert}`);
  }));

Deno.test("a certificate for another name is refused, with the name that would do", () =>
  withFiles(async (files) => {
    await files.write(GOOD);
    const message = await refusal(() => files.open("other"));
    assertStringIncludes(message, 'it is for "node", and this node is "other"');
    assertStringIncludes(message, "--node-id node");
    await (await files.open("other", false)).stop();
    const dns = await mint({ authority, label: "", dnsNames: ["a.example.com", "b"] });
    await files.write(contents(dns));
    for (const nodeId of ["a", "b"]) await (await files.open(nodeId)).stop();
    assertStringIncludes(await refusal(() => files.open("node")), 'it is for "a", "b"');
    await files.write(contents(await mint({ authority, label: "" })));
    assertStringIncludes(await refusal(() => files.open()), "--node-id NAME");
  }));

Deno.test("a chain of certificates and keys of any kind are taken", () =>
  withFiles(async (files) => {
    for (const kind of ["P-256", "P-384", "Ed25519", "RSA"] as const) {
      const one = await mint({ authority, kind });
      await files.write({ ...contents(one), cert: one.certificate + "\n" + authority.certificate });
      await (await files.open()).stop();
    }
  }));

Deno.test("a certificate of version 1, which nobody would link to, is refused with what to do", () =>
  withFiles(async (files) => {
    const old = await asVersion1(minted.certificate, authority);
    const { subject, publicKey } = new X509Certificate(old);
    assertEquals(subject, "CN=node");
    assert(publicKey.equals(new X509Certificate(minted.certificate).publicKey));
    assert(new X509Certificate(old).verify(new X509Certificate(authority.certificate).publicKey));
    for (const cert of [old, `${GOOD.cert}\n${old}`]) {
      await files.write({ ...GOOD, cert });
      const message = await refusal(() => files.open());
      assertStringIncludes(message, `Cannot use ${files.paths.cert} as --tls-cert: it is of X.509`);
      assertStringIncludes(message, "Issue it as version 3, with a subjectAltName: openssl x509");
      assertStringIncludes(message, "subjectAltName=DNS:node");
    }
  }));

Deno.test("what TLS could not use is refused now, not by the end of the process at the first connection", () =>
  withFiles(async (files) => {
    const damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (const [name, flag] of [["cert", "--tls-cert"], ["ca", "--tls-ca"]] as const) {
      await files.write({ ...GOOD, [name]: GOOD[name] + "\n" + damaged });
      const message = await refusal(() => files.open());
      assertStringIncludes(
        message,
        `Cannot use ${files.paths[name]} as ${flag}: it cannot be read`,
      );
    }
    const rsa = {
      name: "RSASSA-PKCS1-v1_5",
      hash: "SHA-256",
      publicExponent: new Uint8Array([1, 0, 1]),
    };
    const keys = await crypto.subtle.generateKey({ ...rsa, modulusLength: 1_024 }, true, [
      "sign",
      "verify",
    ]);
    await files.write(contents(await mint({ authority, kind: "RSA", keys })));
    assertStringIncludes(await refusal(() => files.open()), "TLS cannot use it: it is too short");
    const locked = createPrivateKey(GOOD.key).export({
      type: "pkcs8",
      format: "pem",
      cipher: "aes-256-cbc",
      passphrase: "sesame",
    });
    await files.write({ ...GOOD, key: locked as string });
    assertStringIncludes(await refusal(() => files.open()), "as --tls-key: it has a passphrase.");
    await files.write({
      cert: `Subject: CN=node\n${GOOD.cert}`,
      key: `# the key\n${GOOD.key}`,
      ca: `# ours\n${GOOD.ca}`,
    });
    await (await files.open()).stop();
  }));

Deno.test({
  name: "without Deno's permission it says which flag is missing",
  permissions: { read: false },
  async fn() {
    assertStringIncludes(await refusal(() => new Files("/x").open()), "grant --allow-read for it");
  },
});

Deno.test("a peer is who its certificate says, also when its key pair is a new one", () =>
  withFiles(async (files) => {
    await files.write(GOOD);
    const trust = await files.open();
    const refused = (nodeId: string, names?: string[]): [ErrorCode, string] => {
      const peer = names && { identity: "1", names, tag: "tls" };
      const { code, message } = assertThrows(() => trust.vouch(nodeId, peer), NetworkError);
      return [code, message];
    };
    trust.vouch("b", { identity: "1", names: ["b"], tag: "tls" });
    trust.vouch("b", { identity: "2", names: ["x", "b"], tag: "tls" });
    const [code, message] = refused("b", ["c", "d"]);
    assertEquals(code, "PERMISSION_DENIED");
    assertStringIncludes(message, 'its certificate is for "c", "d"');
    assertStringIncludes(message, 'certify it for "b"');
    assertEquals(refused("b")[0], "PERMISSION_DENIED");
    await trust.stop();
    const lax = await files.open("node", false);
    lax.vouch("b", undefined);
    await lax.stop();
  }));

Deno.test("certificates that are renewed, one file after the other, are used without a restart", () =>
  withFiles(async (files) => {
    await files.write(GOOD);
    const trust = await files.open();
    const before = trust.credentials();
    const next = await makeAuthority("CN=our next authority");
    const renewed = contents(await mint({ authority: next }), next);

    await files.write({ cert: renewed.cert });
    await files.until("a warning", () => files.log.lines("warn").length === 1);
    assertStringIncludes(files.log.lines("warn")[0], "The certificates that are in use stay: ");
    assertStringIncludes(files.log.lines("warn")[0], "it is not the key of the certificate");
    await files.write({ ca: renewed.ca });
    await files.clock.advance(10_000);
    assertEquals(trust.credentials(), before, "what does not fit yet is left out of use");
    assertEquals(files.changes, 0);
    await files.write({ key: renewed.key });
    await files.until("the new ones", () => files.changes > 0);
    const [{ certificate, privateKey, authority: ca }] = trust.credentials();
    assertEquals({ cert: certificate, key: privateKey, ca }, renewed);
    assertEquals(trust.identity, identityOf(new X509Certificate(renewed.cert).raw));
    assertEquals(files.log.lines("warn").length, 1, "one complaint is told once");
    assertEquals(files.log.lines("info")[0], "The certificate files have changed and are in use");
    await trust.stop();
  }));

Deno.test("a file that goes away for a moment, or is half-written, leaves the others in use", () =>
  withFiles(async (files) => {
    await files.write(GOOD);
    const trust = await files.open();
    const before = trust.credentials();
    await Deno.remove(files.paths.cert);
    await files.until("a warning", () => files.log.lines("warn").length === 1);
    await files.write({ cert: GOOD.cert.slice(0, 200) });
    await files.until("another warning", () => files.log.lines("warn").length === 2);
    assert(trust.credentials() === before);
    await files.write({ cert: GOOD.cert });
    await files.until("all three again", () => files.changes > 0);
    assertEquals(trust.credentials(), before);
    await trust.stop();
  }));

Deno.test({
  name: "symbolic links are followed, also when they are moved to a renewed certificate",
  ignore: skipUnless(Deno.build.os !== "windows", "Windows has links for administrators only"),
  fn: () =>
    withFiles(async (files, directory) => {
      const renewed = contents(await mint({ authority }));
      for (const [name, content] of [["old", GOOD], ["new", renewed]] as const) {
        await Deno.mkdir(`${directory}/${name}`);
        await new Files(`${directory}/${name}`).write(content);
      }
      await Deno.symlink("old", `${directory}/live`);
      const linked = new Files(`${directory}/live`);
      const trust = await linked.open();
      assertEquals(trust.credentials()[0].certificate, GOOD.cert);
      // As certbot and Kubernetes do: all three at once.
      await Deno.symlink("new", `${directory}/live.new`);
      await Deno.rename(`${directory}/live.new`, `${directory}/live`);
      await linked.until("the renewed ones", () => linked.changes > 0);
      assertEquals(trust.credentials()[0].certificate, renewed.cert);
      assertEquals(linked.log.lines("warn"), []);
      // As others do: the links stay, and what they lead to is another file.
      await new Files(`${directory}/new`).write(GOOD);
      for (const name of ["cert", "key", "ca"]) {
        await Deno.symlink(`new/${name}`, `${directory}/${name}`);
      }
      const each = await files.open();
      await new Files(`${directory}/new`).write(renewed);
      await files.until("what the links lead to", () =>
        each.credentials()[0].certificate === renewed.cert);
      await each.stop();
      await trust.stop();
    }),
});

const DAY = 24 * 60 * 60 * 1_000;

/** What is said of a certificate, by severity. */
const TIMES: Record<string, [from: number, to: number, problem: string | undefined]> = {
  "has expired": [-2 * DAY, -1_000, "error has expired on 2025-12-31T23:59:59.000Z"],
  "is not valid yet": [DAY, 30 * DAY, "error is not valid before 2026-01-02T00:00:00.000Z"],
  "expires within a week": [-DAY, 7 * DAY - 1_000, "warning expires on 2026-01-07T23:59:59.000Z"],
  "is valid for longer": [-DAY, 7 * DAY + 1_000, undefined],
};

for (const [what, [from, to, problem]] of Object.entries(TIMES)) {
  Deno.test(`a certificate that ${what} is ${problem ? "complained of" : "well"}`, () =>
    withFiles(async (files) => {
      const now = files.clock.wallTime();
      const [notBefore, notAfter] = [from, to].map((time) => new Date(now + time));
      const one = await mint({ authority, notBefore, notAfter });
      await files.write(contents(one));
      const trust = await files.open();
      const told = trust.problems().map(({ severity, message }) => `${severity} ${message}`);
      assertEquals(told.length, problem ? 1 : 0);
      assertEquals(files.log.lines("warn").length, told.length, "the log has it at the start");
      if (problem) {
        const [severity, ...words] = problem.split(" ");
        assert(told[0].startsWith(severity));
        assertStringIncludes(told[0], `CN=node in ${files.paths.cert} ${words.join(" ")}`);
        assertStringIncludes(files.log.lines("warn")[0], words.join(" "));
      }
      // A look later it is said no more.
      if (problem) await files.clock.advance(4_000);
      assertEquals(files.log.lines("warn").length, told.length);
      await files.write(GOOD);
      await files.until("the good one", () => files.changes > 0);
      assertEquals(trust.problems(), []);
      await trust.stop();
    }));
}

Deno.test("a certificate that --tls-ca has not issued is complained of, one by way of others is not", () =>
  withFiles(async (files) => {
    const problems = async (content: Contents) => {
      await files.write(content);
      const trust = await files.open();
      await trust.stop();
      return trust.problems();
    };
    const other = await makeAuthority("CN=our authority");
    const [problem] = await problems({ ...GOOD, ca: other.certificate });
    assertEquals(problem.severity, "warning");
    assertStringIncludes(problem.message, `no authority in ${files.paths.ca} has issued`);
    assertEquals(await problems({ ...GOOD, ca: other.certificate + GOOD.ca }), []);

    const keys = await newKeys();
    const between = await mint({ authority, label: "between", keys, isAuthority: true });
    const by = { keys, name: "CN=between", certificate: between.certificate };
    const leaf = await mint({ authority: by });
    const whole = { ...contents(leaf), cert: leaf.certificate + between.certificate };
    assertEquals(await problems(whole), []);
    assertEquals((await problems(contents(leaf))).length, 1);
  }));

Deno.test("files that cannot be used are a problem until they are mended or put back", () =>
  withFiles(async (files) => {
    await files.write(GOOD);
    const trust = await files.open();
    assertEquals(trust.problems(), []);
    await Deno.rename(files.paths.key, `${files.paths.key}.kept`);
    await files.write({ key: "junk" });
    await files.until("a problem", () => trust.problems().length === 1);
    const [{ severity, message }] = trust.problems();
    assertEquals(severity, "warning");
    assertStringIncludes(message, "the certificate files have changed and are not in use: ");
    assertStringIncludes(message, `${files.paths.key} as --tls-key: it is no PEM`);
    await files.seen();
    // The very same file, as if nothing had been.
    await Deno.rename(`${files.paths.key}.kept`, files.paths.key);
    await files.until("none", () => trust.problems().length === 0);
    assertEquals(files.changes, 0);
    await files.write({ key: "junk" });
    await files.until("it again", () => trust.problems().length === 1);
    await files.write(contents(await mint({ authority })));
    await files.until("none with new ones", () => trust.problems().length === 0);
    await trust.stop();
  }));

Deno.test("after the stop nothing is looked at or told", () =>
  withFiles(async (files) => {
    await files.write(GOOD);
    const trust = await files.open();
    await files.write(contents(await mint({ authority })));
    const advancing = files.clock.advance(2_000);
    await trust.stop();
    await advancing;
    const { changes } = files;
    await files.write(contents(await mint({ authority })));
    await files.clock.advance(20_000);
    assertEquals(files.changes, changes);
  }));
