/** Who may call what of a whole node, with a key, with certificates of one's own, and without. */

import { assert, assertEquals } from "@std/assert";
import { createPublicKey } from "node:crypto";
import { createAgent } from "../../src/agents/agent.ts";
import { HEALTH_SERVICE } from "../../src/link/health_service.ts";
import type { DistributedNetwork } from "../../src/network/distributed_network.ts";
import { newPrivateKey, NodeIdentity, serverNameOf } from "../../src/security/identity.ts";
import { newKeyring } from "../../src/security/keyring.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { makeAuthority, mint } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { LocalNode, type LocalNodeOptions } from "../support/local_node.ts";
import { keepKeyring } from "../support/nodes.ts";
import { all, failureOf, Program, type ShownFiles } from "../support/program.ts";
import { withTempDir } from "../support/temp.ts";

const NEIGHBOUR = "ab".repeat(32);

/** What `key client` would write. */
async function clientFiles(network: DistributedNetwork): Promise<ShownFiles> {
  const privateKey = newPrivateKey();
  const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  return { ...await network.keys.certifyClient("script", publicKey), privateKey };
}

async function withNode(
  options: Partial<LocalNodeOptions>,
  use: (node: LocalNode, address: { host: string; port: number }) => Promise<void>,
  prepare: (directory: string) => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  await withTempDir(async (directory) => {
    await prepare(directory);
    await using node = await LocalNode.start({ nodeId: "a", dataDirectory: directory, ...options });
    const [host, port] = node.address.split(":");
    await use(node, { host, port: Number(port) });
  });
}

/** How each kind of call ends: `"OK"`, or the code. */
async function outcomes(
  address: { host: string; port: number },
  shown?: ShownFiles,
): Promise<Record<string, string>> {
  using program = new Program(address, shown);
  using health = new Program(address, shown, HEALTH_SERVICE);
  const link = program.talk("Link");
  link.write({});
  const calls = {
    Run: all(program.stream("Run", { agent: "calculator", prompt: "6*7" })),
    ListAgents: program.ask("ListAgents"),
    GetStatus: program.ask("GetStatus"),
    Check: health.ask("Check"),
    Link: all(link),
  };
  const ends = Object.entries(calls).map(async ([name, call]) => {
    const end = await call.then(() => "OK", () => failureOf(call).then(({ code }) => code));
    return [name, end];
  });
  return Object.fromEntries(await Promise.all(ends));
}

Deno.test("with a key a client certificate runs, lists and asks, until somebody is evicted", async () => {
  let begun = 0;
  let ended = 0;
  const endless = createAgent({
    name: "endless",
    description: "",
    run: async function* ({ signal }) {
      begun++;
      try {
        while (!signal.aborted) {
          yield ".";
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      } finally {
        ended++;
      }
    },
  });
  const key = NetworkKey.generate();
  await withNode({ agents: [endless] }, async ({ network }, address) => {
    const shown = await clientFiles(network);
    assertEquals(shown.serverName, serverNameOf(key.tag));
    const served = { Run: "OK", ListAgents: "OK", GetStatus: "OK", Check: "OK" };
    assertEquals(await outcomes(address, shown), { ...served, Link: "PERMISSION_DENIED" });

    // Of a node: one that is not known, and one that another device is known as.
    const stranger = await NodeIdentity.create().credentials(key, "b");
    assertEquals((await outcomes(address, stranger)).Run, "OK");
    const impostor = await NodeIdentity.create().credentials(key, "neighbour");
    const denied = "PERMISSION_DENIED";
    const all4 = await outcomes(address, impostor);
    assertEquals([all4.Run, all4.ListAgents, all4.GetStatus, all4.Check], Array(4).fill(denied));

    await network.keys.rotate();
    assertEquals((await outcomes(address, shown)).Run, "OK", "to the end of the grace");

    using program = new Program(address, shown);
    const run = failureOf(all(program.stream("Run", { agent: "endless" })));
    await eventually(() => begun === 1, { what: "the run" });
    await network.keys.evict("neighbour");
    assertEquals((await run).code, denied);
    await eventually(() => ended === 1, { what: "the end of the run" });
    assertEquals((await failureOf(program.ask("ListAgents"))).code, denied);
    assertEquals((await outcomes(address, shown)).Run, "UNAVAILABLE", "TLS refuses it now");
    assertEquals((await outcomes(address, await clientFiles(network))).Run, "OK");
  }, async (directory) => {
    await keepKeyring(directory, newKeyring("home", key));
    await Deno.mkdir(`${directory}/nodes/a`, { recursive: true });
    const nodes = [{ nodeId: "neighbour", identity: NEIGHBOUR, firstSeen: 1, lastSeen: 2 }];
    await Deno.writeTextFile(
      `${directory}/nodes/a/known_nodes.json`,
      JSON.stringify({ version: 1, nodes }),
    );
  });
});

Deno.test("a program goes on with a thread, and without a prompt only where a run broke off", async () => {
  const echo = createAgent({
    name: "echo",
    description: "",
    run: ({ state }) => state.messages.map(({ content }) => content).join(" "),
  });
  await withNode({ agents: [echo] }, async ({ network }, address) => {
    using program = new Program(address, await clientFiles(network));
    const run = (prompt: string) =>
      all(program.stream("Run", { agent: "echo", prompt, thread: "trip" }));
    await run("Hello");
    await run("again");
    assertEquals(network.thread("trip").agentResults.at(-1)?.output, "Hello Hello again");
    const nothing = await failureOf(all(program.stream("Run", { thread: "trip" })));
    assertEquals(nothing.code, "FAILED_PRECONDITION");
  });
});

Deno.test("an open node answers strangers for its health, and works for them only when told to", async () => {
  const denied = { Run: "PERMISSION_DENIED", ListAgents: "PERMISSION_DENIED" };
  await withNode({ open: true }, async ({ network }, address) => {
    const { Run, ListAgents, GetStatus, Check } = await outcomes(address);
    assertEquals({ Run, ListAgents }, denied);
    assertEquals([GetStatus, Check], ["PERMISSION_DENIED", "OK"]);
    using program = new Program(address);
    const { details } = await failureOf(program.ask("GetStatus"));
    assert(details.includes("--open-accept-tasks"), details);
    const refused = await clientFiles(network).catch((thrown) => thrown.code);
    assertEquals(refused, "FAILED_PRECONDITION");
  });
  await withNode({ open: true, openAcceptTasks: true }, async (_, address) => {
    const { Run, ListAgents, GetStatus, Check } = await outcomes(address);
    assertEquals({ Run, ListAgents, GetStatus, Check }, {
      Run: "OK",
      ListAgents: "OK",
      GetStatus: "OK",
      Check: "OK",
    });
  });
});

Deno.test("with own certificates, one that is good for clients alone calls and never links", async () => {
  const authority = await makeAuthority("CN=ours");
  const files: Record<string, string> = {};
  const options = {
    get tlsCert() {
      return files.cert;
    },
    get tlsKey() {
      return files.key;
    },
    get tlsCa() {
      return files.ca;
    },
  };
  await withNode(options, async (_, address) => {
    const shown = async (usages: ("server" | "client")[]) => ({
      authority: authority.certificate,
      serverName: "a",
      ...await mint({ authority, label: "script", usages }),
    });
    const served = { Run: "OK", ListAgents: "OK", GetStatus: "OK", Check: "OK" };
    const client = await outcomes(address, await shown(["client"]));
    assertEquals(client, { ...served, Link: "PERMISSION_DENIED" });
    const { Link: _link, ...node } = await outcomes(address, await shown(["client", "server"]));
    assertEquals(node, served);
    const stranger = await mint({ label: "script", usages: ["client"] });
    const foreign = { ...await shown(["client"]), ...stranger };
    assertEquals((await outcomes(address, foreign)).Check, "UNAVAILABLE");
  }, async (directory) => {
    const own = await mint({ authority, label: "a", dnsNames: ["a"] });
    const texts = { cert: own.certificate, key: own.privateKey, ca: authority.certificate };
    for (const [name, text] of Object.entries(texts)) {
      await Deno.writeTextFile(files[name] = `${directory}/${name}.pem`, text);
    }
  });
});
