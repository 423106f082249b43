/** Nodes with certificates of an authority of the operator's own. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { RunResult } from "../../src/agents/run_event.ts";
import type { Finding } from "../../src/network/diagnosis_facts.ts";
import type { NetworkStatus } from "../../src/network/status.ts";
import {
  makeAuthority,
  mint,
  type Minting,
  type TestAuthority,
} from "../../tests/support/certificates.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { peerEvent, ready, TestMachine } from "../../tests/support/nodes.ts";
import { withTempDir } from "../../tests/support/temp.ts";

/** Writes what a node shows and believes, and returns the options that name it. */
async function certify(
  directory: string,
  authority: TestAuthority,
  label: string,
  minting: Minting = {},
): Promise<string[]> {
  const path = (what: string) => `${directory}/${label}.${what}.pem`;
  const { certificate, privateKey } = await mint({
    authority,
    label,
    dnsNames: [label],
    ...minting,
  });
  await Deno.writeTextFile(path("key"), privateKey);
  await Deno.writeTextFile(path("cert"), certificate);
  await Deno.writeTextFile(path("ca"), authority.certificate);
  return ["cert", "key", "ca"].map((what) => `--tls-${what}=${path(what)}`);
}

Deno.test("nodes of one authority work together, and one of another authority stays outside", async () => {
  await withTempDir(async (directory) => {
    const [ours, theirs] = [await makeAuthority("CN=ours"), await makeAuthority("CN=theirs")];
    const machine = new TestMachine(directory);
    await using a = machine.up("A", ...await certify(directory, ours, "A"));
    await using b = machine.up("B", ...await certify(directory, ours, "B"));
    await using c = machine.up("C", ...await certify(directory, theirs, "C"));
    await Promise.all([ready(a), ready(b), ready(c)]);
    await peerEvent(a, "peer-joined", "B");
    const result = await machine.askJson<RunResult>(
      "A",
      "run",
      "1+1",
      "--agent=calculator",
      "--node=B",
    );
    assertEquals(result.nodeId, "B");
    const status = await machine.askJson<NetworkStatus>("A", "status");
    const { mode, verifiesPeers, keyTag } = status.security;
    assertEquals([mode, verifiesPeers, keyTag], ["tls", true, null]);
    // C is heard, because beacons are in the clear, and cannot be linked.
    await eventually(async () => {
      const { peers } = await machine.askJson<NetworkStatus>("A", "status");
      return peers.C?.problem?.includes("issued by an authority in the other's --tls-ca");
    }, { what: "A to say why C is not linked" });
    const found = await machine.askJson<Finding[]>("A", "doctor");
    const ofC = found.find(({ subject }) => subject === "peer C");
    assertEquals([ofC?.severity, ofC?.mend], ["error", undefined], "no firewall is in the way");
    const text = JSON.stringify(found);
    assertEquals(/hanzo-network (invite|join)/.test(text), false, text);
    assert((await machine.askJson<NetworkStatus>("C", "status")).peerCount === 0);
  });
});

Deno.test("a certificate that is renewed on the disk is shown without a restart", async () => {
  await withTempDir(async (directory) => {
    const authority = await makeAuthority("CN=ours");
    const machine = new TestMachine(directory);
    const options = await certify(directory, authority, "A");
    await using a = machine.up("A", ...options);
    await ready(a);
    const identity = async () =>
      (await machine.askJson<NetworkStatus>("A", "status")).security.identity;
    const before = await identity();
    await certify(directory, authority, "A");
    await eventually(async () => await identity() !== before, {
      what: "the new certificate",
      timeoutMs: 8_000,
    });
    // Who comes now is linked under it.
    await using b = machine.up("B", ...await certify(directory, authority, "B"));
    await ready(b);
    await peerEvent(b, "peer-joined", "A");
    const { peers } = await machine.askJson<NetworkStatus>("B", "status");
    assertEquals(peers.A.identity, await identity());
  });
});

Deno.test("what is wrong with certificates is said before the node is up", async () => {
  await withTempDir(async (directory) => {
    const authority = await makeAuthority("CN=ours");
    const machine = new TestMachine(directory);
    const options = await certify(directory, authority, "A");
    const refusal = async (args: string[], expected = 1) => {
      await using node = machine.up("B", ...args);
      const { code } = await node.status;
      assertEquals(code, expected);
      return node.stderrText();
    };
    assertStringIncludes(await refusal(options), 'it is for "A", and this node is "B"');
    assertStringIncludes(await refusal(options.slice(0, 2), 2), "belong together");
    const [cert, , ca] = options;
    await certify(directory, authority, "B");
    const key = `--tls-key=${directory}/B.key.pem`;
    assertStringIncludes(await refusal([cert, key, ca]), "it is not the key of the certificate");
    const open = await refusal([...options, "--open"], 2);
    assertStringIncludes(open, "to be open, and to have certificates");
  });
});

Deno.test("without verification links are encrypted, and strangers run nothing here", async () => {
  await withTempDir(async (directory) => {
    const [ours, theirs] = [await makeAuthority("CN=ours"), await makeAuthority("CN=theirs")];
    const machine = new TestMachine(directory);
    const loose = "--verify-peers=false";
    await using a = machine.up("A", loose, ...await certify(directory, ours, "A"));
    await using b = machine.up("B", loose, ...await certify(directory, theirs, "B"));
    await Promise.all([ready(a), ready(b)]);
    await peerEvent(a, "peer-joined", "B");
    assertStringIncludes(a.stderrText(), "WARNING: this node asks NOBODY for a certificate");
    const { security } = await machine.askJson<NetworkStatus>("A", "status");
    assertEquals([security.mode, security.verifiesPeers], ["tls", false]);
    const found = await machine.askJson<Finding[]>("A", "doctor");
    const ofSecurity = found.find(({ subject }) => subject === "security");
    assertEquals([ofSecurity?.severity, ofSecurity?.mend], [
      "warning",
      "start it without --verify-peers=false",
    ]);
    const outcome = await machine.ask("A", "run", "1+1", "--agent=calculator", "--node=B");
    assertEquals(outcome.code, 1);
  });
});

Deno.test("a certificate that has expired, and files that are junk, are told at the start and by the doctor", async () => {
  await withTempDir(async (directory) => {
    const authority = await makeAuthority("CN=ours");
    const machine = new TestMachine(directory);
    const options = await certify(directory, authority, "A", { notAfter: new Date(86_400_000) });
    await using a = machine.up("A", ...options);
    await ready(a);
    assertStringIncludes(a.stderrText(), "has expired on 1970-01-02");
    const problems = async () => {
      const found = await machine.askJson<Finding[]>("A", "doctor");
      return found.filter(({ subject }) => /certificates|security/.test(subject))
        .map(({ severity, subject, message }) => `${severity} ${subject}: ${message}`);
    };
    const until = (what: string, holds: (all: string[]) => boolean) =>
      eventually(async () => holds(await problems()), { what, timeoutMs: 10_000 });
    const [expired, ...others] = await problems();
    assertStringIncludes(expired, "error certificates: the certificate of CN=A in ");
    assertEquals(others, []);
    await certify(directory, authority, "A");
    await until("the renewed one to be well", ([first]) => first.startsWith("ok security"));
    await Deno.writeTextFile(`${directory}/A.key.pem`, "junk");
    await until("the junk", ([first]) => first.includes("A.key.pem as --tls-key: it is no PEM"));
    await certify(directory, authority, "A");
    await until("the mended one to be well", ([first]) => first.startsWith("ok security"));
  });
});
