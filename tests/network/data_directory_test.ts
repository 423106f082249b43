/** The data directory: who holds a node's label, how commands find it, and what others may read. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import {
  type ClaimedNode,
  claimNode,
  dataDirectory,
  type NodeEndpoint,
  runningNodes,
} from "../../src/network/data_directory.ts";
import { startProcess } from "../support/process.ts";
import { skipUnless } from "../support/skip.ts";
import { withTempDir } from "../support/temp.ts";

const CHILD = new URL("claiming_child.ts", import.meta.url).pathname;
const hasModes = Deno.build.os !== "windows";

function endpoint(nodeId: string, startedAt = 1): NodeEndpoint {
  return {
    nodeId,
    network: "home",
    api: `http://127.0.0.1:5680`,
    grpc: "127.0.0.1:5681",
    pid: Deno.pid,
    startedAt,
  };
}

/** Claims a node and publishes it, as `up` does. */
async function up(directory: string, nodeId: string, startedAt = 1): Promise<ClaimedNode> {
  const claimed = await claimNode(directory, nodeId, "unused");
  await claimed.publish(endpoint(nodeId, startedAt), `token of ${nodeId}`);
  return claimed;
}

/** Every file and folder below `path`, with its permissions in octal. */
async function modesBelow(path: string, prefix = ""): Promise<Record<string, string>> {
  const modes: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    const { mode } = await Deno.lstat(`${path}/${name}`);
    modes[`${prefix}${name}`] = (mode! & 0o777).toString(8);
    if (isDirectory) Object.assign(modes, await modesBelow(`${path}/${name}`, `${prefix}${name}/`));
  }
  return modes;
}

Deno.test("a running node is found with its endpoint and token, the longest-running first", async () => {
  await withTempDir(async (directory) => {
    assertEquals(await runningNodes(directory), []);
    const claims = [await up(directory, "a", 30), await up(directory, "b", 10)];
    assertEquals(await runningNodes(directory), [
      { ...endpoint("b", 10), token: "token of b" },
      { ...endpoint("a", 30), token: "token of a" },
    ]);
    await claims[1].release();
    assertEquals((await runningNodes(directory)).map(({ nodeId }) => nodeId), ["a"]);
    await claims[0].release();
    assertEquals(await runningNodes(directory), []);
  });
});

Deno.test({
  name: "nobody else on the machine can read a node's files or list its folder",
  ignore: skipUnless(hasModes, "Windows has no such modes"),
  fn: () =>
    withTempDir(async (parent) => {
      const directory = `${parent}/data`;
      const named = await up(directory, "a");
      const auto = await claimNode(directory, undefined, "made-up");
      await auto.publish(endpoint("made-up"), "token");
      assertEquals(await modesBelow(parent), {
        "data": "700",
        "data/nodes": "700",
        "data/nodes/a": "700",
        "data/nodes/a/lock": "600",
        "data/nodes/a/node.json": "600",
        "data/nodes/a/token": "600",
        "data/nodes/made-up": "700",
        "data/nodes/made-up/auto": "600",
        "data/nodes/made-up/lock": "600",
        "data/nodes/made-up/node.json": "600",
        "data/nodes/made-up/token": "600",
      });
      await named.release();
      await auto.release();
    }),
});

Deno.test({
  name: "a token file that somebody else had made readable does not stay so",
  ignore: skipUnless(hasModes, "Windows has no such modes"),
  fn: () =>
    withTempDir(async (directory) => {
      const claimed = await claimNode(directory, "a", "unused");
      for (const file of ["token", "token.new"]) {
        await Deno.writeTextFile(`${claimed.path}/${file}`, "", { mode: 0o666 });
        await Deno.chmod(`${claimed.path}/${file}`, 0o666);
      }
      await claimed.publish(endpoint("a"), "secret");
      assertEquals((await modesBelow(claimed.path)).token, "600");
      assertEquals(await Deno.readTextFile(`${claimed.path}/token`), "secret");
      await claimed.release();
    }),
});

Deno.test("a label whose node runs is refused, and free again when that node has stopped", async () => {
  await withTempDir(async (directory) => {
    const first = await up(directory, "a");
    const error = await assertRejects(() => claimNode(directory, "a", "unused"), NetworkError);
    assertEquals(error.code, "FAILED_PRECONDITION");
    assertEquals(
      error.message,
      'Cannot start node "a": it runs already on this machine. ' +
        "Stop that one, or choose another --node-id.",
    );
    assertEquals((await runningNodes(directory)).length, 1, "the refused one has broken nothing");
    await first.release();
    await first.release();
    const second = await up(directory, "a");
    await first.release();
    assertEquals((await runningNodes(directory)).length, 1, "a late release is not the new one's");
    await second.release();
  });
});

Deno.test("of many that claim a label at the same time exactly one gets it", async () => {
  await withTempDir(async (directory) => {
    const claims = await Promise.allSettled(
      Array.from({ length: 10 }, () => claimNode(directory, "a", "unused")),
    );
    const winners = claims.filter((claim) => claim.status === "fulfilled");
    assertEquals(winners.length, 1);
    await winners[0].value.release();
  });
});

Deno.test("commands that look at the same time see the node, and do not take its label from it", async () => {
  await withTempDir(async (directory) => {
    const first = await up(directory, "a");
    const seen = await Promise.all(Array.from({ length: 10 }, () => runningNodes(directory)));
    assertEquals(seen.map((nodes) => nodes.length), Array(10).fill(1));
    await first.release();
    // A command looks while the next one starts: it shares the lock for that moment.
    const path = `${directory}/nodes/a/lock`;
    const looking = await Deno.open(path, { write: true });
    await looking.lock(false);
    const claiming = claimNode(directory, "a", "unused");
    claiming.catch(() => {});
    for (let i = 0; i < 50; i++) await Deno.stat(path);
    looking.close();
    await (await claiming).release();
  });
});

Deno.test("a node that was killed is not found any more, and leaves its label to the next", async () => {
  await withTempDir(async (directory) => {
    await using child = startProcess(Deno.execPath(), ["run", "-A", CHILD, directory, "a"]);
    await child.waitForLine((line) => line === "claimed", {
      what: "the claim",
      timeoutMs: 15_000,
    });
    assertEquals((await runningNodes(directory)).map(({ pid }) => pid), [child.pid]);
    await assertRejects(() => claimNode(directory, "a", "unused"), NetworkError, "it runs already");

    child.kill("SIGKILL");
    await child.status;
    const left = await modesBelow(`${directory}/nodes/a`);
    assert("token" in left && "node.json" in left, "it had no time to clean up");
    assertEquals(await runningNodes(directory), []);
    const looking = await Deno.open(`${directory}/nodes/a/lock`, { write: true });
    await looking.lock(false);
    assertEquals(await runningNodes(directory), [], "another command that looks is no node");
    looking.close();

    const next = await claimNode(directory, "a", "unused");
    assertEquals(await runningNodes(directory), [], "nobody is sent to the dead one's address");
    await next.publish(endpoint("a"), "new");
    assertEquals((await runningNodes(directory)).map(({ token }) => token), ["new"]);
    await next.release();
  });
});

Deno.test("what a process left half written is gone at the next start, and only that", async () => {
  await withTempDir(async (directory) => {
    await (await claimNode(directory, "a", "unused")).release();
    const long = new Date(Date.now() - 61_000);
    const write = async (name: string, at: Date) => {
      await Deno.writeTextFile(`${directory}/${name}`, "");
      await Deno.utime(`${directory}/${name}`, at, at);
    };
    await write("keyring.json.0123abcd.new", long);
    await write("nodes/a/identity.json.89abcdef.new", long);
    await write("keyring.json.aaaaaaaa.new", new Date());
    await write("mine.new", long);
    await (await claimNode(directory, "a", "unused")).release();
    const left = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
    assertEquals(left, ["keyring.json.aaaaaaaa.new", "mine.new", "nodes"]);
    assertEquals([...Deno.readDirSync(`${directory}/nodes/a`)].map(({ name }) => name), ["lock"]);
  });
});

Deno.test("a node that is starting is not found before it can be asked", async () => {
  await withTempDir(async (directory) => {
    const claimed = await claimNode(directory, "a", "unused");
    assertEquals(await runningNodes(directory), []);
    await claimed.release();
  });
});

Deno.test("a label that was made up is kept for the next start, and each node has its own", async () => {
  await withTempDir(async (directory) => {
    const first = await claimNode(directory, undefined, "mac-0001");
    const second = await claimNode(directory, undefined, "mac-0002");
    assertEquals([first.nodeId, second.nodeId], ["mac-0001", "mac-0002"]);
    await first.release();
    await second.release();
    const again = await claimNode(directory, undefined, "mac-0003");
    const other = await claimNode(directory, undefined, "mac-0004");
    const third = await claimNode(directory, undefined, "mac-0005");
    assertEquals([again, other, third].map(({ nodeId }) => nodeId), [
      "mac-0001",
      "mac-0002",
      "mac-0005",
    ]);
    for (const claimed of [again, other, third]) await claimed.release();
  });
});

Deno.test("a label that somebody chose is not given to a node without one", async () => {
  await withTempDir(async (directory) => {
    await (await claimNode(directory, "chosen", "unused")).release();
    const claimed = await claimNode(directory, undefined, "mac-0001");
    assertEquals(claimed.nodeId, "mac-0001");
    await claimed.release();
  });
});

Deno.test("a label that was made up and is taken is refused, not shared", async () => {
  await withTempDir(async (directory) => {
    const chosen = await claimNode(directory, "mac-0001", "unused");
    await assertRejects(
      () => claimNode(directory, undefined, "mac-0001"),
      NetworkError,
      'Cannot start node "mac-0001": it runs already.',
    );
    await chosen.release();
  });
});

Deno.test("a label is no path: nothing is made outside the directory", async () => {
  await withTempDir(async (parent) => {
    const directory = `${parent}/data`;
    for (const nodeId of ["../escaped", "a/b", "..", "", ".hidden", "/tmp/x", "a\u0000b"]) {
      const error = await assertRejects(
        () => claimNode(directory, nodeId, "unused"),
        NetworkError,
      );
      assertEquals(error.code, "INVALID_ARGUMENT", JSON.stringify(nodeId));
    }
    assertEquals(await modesBelow(parent), {});
  });
});

Deno.test("what else lies in the directory is left alone", async () => {
  await withTempDir(async (directory) => {
    const claimed = await up(directory, "a");
    await Deno.mkdir(`${directory}/nodes/not a label`);
    await Deno.mkdir(`${directory}/nodes/empty`);
    await Deno.writeTextFile(`${directory}/nodes/file`, "");
    assertEquals((await runningNodes(directory)).map(({ nodeId }) => nodeId), ["a"]);
    await claimed.release();
    const modes = await modesBelow(`${directory}/nodes`);
    assertEquals(Object.keys(modes).toSorted(), [
      "a",
      "a/lock",
      "empty",
      "file",
      "not a label",
    ]);
  });
});

Deno.test("a directory that is a file says so, and how to use another", async () => {
  await withTempDir(async (parent) => {
    const directory = `${parent}/file`;
    await Deno.writeTextFile(directory, "");
    for (const attempt of [() => claimNode(directory, "a", ""), () => runningNodes(directory)]) {
      const error = await assertRejects(attempt, NetworkError);
      assertEquals(error.code, "FAILED_PRECONDITION");
      assertStringIncludes(error.message, `Cannot use the data directory ${directory}`);
      assertStringIncludes(error.message, "--data-dir");
    }
  });
});

Deno.test({
  name: "a directory that Deno may not use names the flags that are missing",
  permissions: { read: false, write: false },
  async fn() {
    const directory = "/somewhere/hanzo-network";
    for (const attempt of [() => claimNode(directory, "a", ""), () => runningNodes(directory)]) {
      const error = await assertRejects(attempt, NetworkError);
      assertEquals(error.code, "PERMISSION_DENIED");
      assertStringIncludes(error.message, "Grant --allow-read=/somewhere/hanzo-network");
    }
  },
});

Deno.test({
  name: "a directory that the system denies says so, and how to use another",
  ignore: skipUnless(hasModes && Deno.uid() !== 0, "the system denies root nothing"),
  fn: () =>
    withTempDir(async (directory) => {
      await Deno.chmod(directory, 0o500);
      const error = await assertRejects(() => claimNode(directory, "a", ""), NetworkError);
      assertEquals(error.code, "PERMISSION_DENIED");
      assertStringIncludes(error.message, "the system denies it. Give another with --data-dir.");
    }),
});

Deno.test("the data directory is the chosen one, or the platform's usual place", () => {
  const env = (values: Record<string, string>) => (name: string) => values[name];
  assertEquals(dataDirectory("/my/own", env({ HOME: "/home/z" })), "/my/own");
  const error = (() => {
    try {
      dataDirectory(undefined, env({}));
    } catch (thrown) {
      return thrown;
    }
  })();
  assert(error instanceof NetworkError);
  assertEquals(error.code, "FAILED_PRECONDITION");
  assertStringIncludes(error.message, "Give one with --data-dir.");
});

Deno.test({
  name: "on Linux the usual place follows XDG_DATA_HOME, then HOME",
  ignore: skipUnless(Deno.build.os === "linux", "this is not Linux"),
  fn() {
    const at = (values: Record<string, string>) => dataDirectory(undefined, (name) => values[name]);
    assertEquals(at({ HOME: "/home/z" }), "/home/z/.local/share/hanzo-network");
    assertEquals(at({ HOME: "/home/z", XDG_DATA_HOME: "/data" }), "/data/hanzo-network");
    assertEquals(at({ HOME: "/home/z", XDG_DATA_HOME: "" }), "/home/z/.local/share/hanzo-network");
  },
});
