/** Joining by a code, from the outside: devices on hosts of their own, and one that was not asked. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { RunResult } from "../../src/agents/run_event.ts";
import type { Finding } from "../../src/network/diagnosis_facts.ts";
import type { KeyList } from "../../src/network/network_keys.ts";
import type { NetworkStatus } from "../../src/network/status.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { Lan, lanUnavailable } from "../../tests/support/lan.ts";
import { Fleet } from "../../tests/support/lan_fleet.ts";
import { hanzo, ready, shareNetwork, TestMachine } from "../../tests/support/nodes.ts";
import { skipUnless } from "../../tests/support/skip.ts";
import { withTempDir } from "../../tests/support/temp.ts";

const unavailable = await lanUnavailable();
const ignore = skipUnless(unavailable === undefined, `nodes on a LAN: ${unavailable}`);
const MEETING_MS = 5_000;

Deno.test({
  name: "two devices work together by a picture of a code, and a third sees nothing of them",
  ignore,
  fn: () =>
    withTempDir(async (directory) => {
      await using lan = await Lan.of();
      const fleet = new Fleet(lan, directory);
      await Promise.all(["A", "B", "C"].map((host) => lan.addHost(host)));
      const a = await fleet.upStrange("A");
      const c = await fleet.upStrange("C");
      const picture = `${directory}/code.png`;
      await fleet.ask(a, "invite", "--png", picture);
      const joined = await fleet.command<{ inviter: string }>("B", "B", "join", picture);
      assertEquals(joined.inviter, "A");
      const b = await fleet.upStrange("B");
      await fleet.untilAllSeeAll([a, b], MEETING_MS);
      for (const [from, to] of [[a, b], [b, a]]) {
        const run = ["run", "now", "--agent=monitor", `--node=${to.nodeId}`, "--timeout=10"];
        assertEquals((await fleet.ask<RunResult>(from, ...run)).nodeId, to.nodeId);
      }
      // It hears them, and learns nothing but that somebody is there.
      await eventually(async () => {
        const found = await fleet.ask<Finding[]>(c, "doctor");
        return found.some(({ message }) => message.includes("another network"));
      }, { what: "the doctor of C to hear of another network", timeoutMs: 8_000 });
      const statuses = await Promise.all(
        [a, b, c].map((node) => fleet.ask<NetworkStatus>(node, "status")),
      );
      assertEquals(statuses.map(({ peers }) => Object.keys(peers)), [["B"], ["A"], []]);
      assertEquals(statuses.map(({ security }) => security.mode), ["keyed", "keyed", "keyed"]);
      const text = JSON.stringify([statuses[2], await fleet.ask<Finding[]>(c, "doctor")]);
      assert(!/"A"|"B"/.test(text), text);
      // A code is good for one device.
      const again = await fleet.command<{ error: { message: string } }>("C", "C", "join", picture);
      assertStringIncludes(again.error.message, "has been used");
    }),
});

Deno.test("a node that runs follows its machine into another network", async () => {
  await withTempDir(async (directory) => {
    const home = new TestMachine(`${directory}/home`);
    const guest = new TestMachine(`${directory}/guest`, home.broadcastPort);
    await using a = home.up("A");
    await using b = guest.up("B");
    await Promise.all([ready(a), ready(b)]);
    const { uri } = await home.askJson<{ uri: string }>("A", "invite");
    const { code, stderr } = await hanzo(["join", uri, `--data-dir=${directory}/guest`]);
    assertEquals([code, stderr], [0, ""]);
    await b.waitForLine((line) => line.includes('"peer-joined","nodeId":"A"'), { what: "A at B" });
  });
});

Deno.test("a machine that has met others leaves their network only when told to", async () => {
  await withTempDir(async (directory) => {
    const [here, there] = [`${directory}/here`, `${directory}/there`];
    await shareNetwork(here, there);
    const [one, other] = [new TestMachine(here), new TestMachine(there)];
    await using away = new TestMachine(`${directory}/away`).up("away");
    await ready(away);
    const { uri } = await new TestMachine(`${directory}/away`)
      .askJson<{ uri: string }>("away", "invite");
    {
      await using b = other.up("B");
      const { grpc } = await ready(b);
      await using a = one.up("A", `--peer=${grpc}`);
      await a.waitForLine((line) => line.includes('"peer-joined","nodeId":"B"'), { what: "B" });
      a.kill("SIGTERM");
      await a.status;
    }
    const refused = await hanzo(["join", uri, `--data-dir=${here}`]);
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.stderr, 'this machine is in "hanzo", with B');
    assertStringIncludes(refused.stderr, "add --leave");
    const joined = await hanzo(["join", uri, "--leave", `--data-dir=${here}`]);
    assertEquals([joined.code, joined.stderr], [0, ""]);
  });
});

Deno.test("a static code is taken from standard input, while nobody is up, and never an argument", async () => {
  await withTempDir(async (directory) => {
    const [home, guest] = [`${directory}/home`, `${directory}/guest`];
    await shareNetwork(home);
    const { stdout, code } = await hanzo(["invite", "--static", "--json", `--data-dir=${home}`]);
    assertEquals(code, 0);
    const { uri } = JSON.parse(stdout);
    const argument = await hanzo(["join", uri, `--data-dir=${guest}`]);
    assertEquals(argument.code, 2);
    assertStringIncludes(argument.stderr, "Give it on standard input: hanzo-network join -");
    assert(!argument.stderr.includes(uri.slice(8)));
    const piped = await hanzo(["join", "-", `--data-dir=${guest}`], { stdin: `${uri}\n` });
    assertEquals([piped.code, piped.stderr], [0, ""]);
    const read = (path: string) => Deno.readTextFile(`${path}/keyring.json`);
    assertEquals(await read(guest), await read(home));
  });
});

Deno.test("an evicted node is out, at once and for good, and the others go on", async () => {
  await withTempDir(async (directory) => {
    const paths = ["a", "b", "c"].map((name) => `${directory}/${name}`);
    await shareNetwork(...paths);
    const port = new TestMachine("").broadcastPort;
    const [one, two, three] = paths.map((path) => new TestMachine(path, port));
    await using a = one.up("A");
    await using b = two.up("B");
    await using c = three.up("C");
    await Promise.all([ready(a), ready(b), ready(c)]);
    const sees = (node: typeof a, peer: string) =>
      node.waitForLine((line) => line.includes(`"peer-joined","nodeId":"${peer}"`), { what: peer });
    await Promise.all([sees(a, "B"), sees(a, "C"), sees(b, "C")]);
    const { keys } = await one.askJson<KeyList>("A", "key", "evict", "C", "--keep=B");
    assertEquals(keys.map(({ epoch, acceptedFor }) => [epoch, acceptedFor]), [[2, null], [1, 2]]);
    const peersOf = async (machine: TestMachine, nodeId: string) =>
      Object.values((await machine.askJson<NetworkStatus>(nodeId, "status")).peers)
        .filter(({ healthy }) => healthy).map((peer) => peer.nodeId);
    await eventually(async () => {
      const seen = await Promise.all([peersOf(one, "A"), peersOf(two, "B"), peersOf(three, "C")]);
      return JSON.stringify(seen) === '[["B"],["A"],[]]';
    }, { what: "C to be alone" });
    // Both that stay have moved to the new key.
    await eventually(async () => {
      const { keys: [newest], members } = await two.askJson<KeyList>("B", "key", "list");
      return members.find(({ nodeId }) => nodeId === "A")?.tag === newest.tag;
    }, { what: "the link under the new key" });
    c.kill("SIGTERM");
    await c.status;
    await using again = three.up("C");
    await ready(again);
    const run = await one.ask("A", "run", "now", "--agent=monitor", "--node=C");
    assertEquals(run.code, 1);
  });
});
