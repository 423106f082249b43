/** Joining: what is kept when it works, and that nothing is lost or spoilt when it does not. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/log.ts";
import { joinNetwork, type JoinOptions } from "../../src/network/join_network.ts";
import { decodeJoinCode, encodeJoinCode, type JoinCode } from "../../src/security/join_code.ts";
import { encodeKeyring, type Keyring, newKeyring, rotated } from "../../src/security/keyring.ts";
import { KeyringFile } from "../../src/security/keyring_file.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { LocalNode } from "../support/local_node.ts";
import { keepKeyring, programArgs } from "../support/nodes.ts";
import { skipUnless } from "../support/skip.ts";
import { cannotMount, withSmallDisk } from "../support/small_disk.ts";
import { withTempDir } from "../support/temp.ts";

const hasModes = Deno.build.os !== "windows";

/** An inviter, and machines that may join it. */
class Scene {
  readonly directory: string;
  readonly inviter: LocalNode;

  constructor(directory: string, inviter: LocalNode) {
    this.directory = directory;
    this.inviter = inviter;
  }

  at(machine: string): string {
    return `${this.directory}/${machine}`;
  }

  async invite(): Promise<string> {
    return (await this.inviter.network.generateJoinQr()).uri;
  }

  async fixed(): Promise<string> {
    return (await this.inviter.network.generateJoinQr({ kind: "static" })).uri;
  }

  join(machine: string, code: string, options: Partial<JoinOptions> = {}) {
    return joinNetwork(code, { dataDirectory: this.at(machine), ...options });
  }

  async kept(machine: string): Promise<Keyring> {
    return (await new KeyringFile(this.at(machine), silentLogger).read())!;
  }

  /** The keyring's file as it is. */
  async text(machine: string): Promise<string | undefined> {
    return await Deno.readTextFile(`${this.at(machine)}/keyring.json`).catch(() => undefined);
  }

  /** A machine that is of another network. */
  async stranger(machine: string, ring: Keyring, met: readonly string[] = []): Promise<void> {
    await keepKeyring(this.at(machine), ring);
    const own = `${this.at(machine)}/nodes/own`;
    await Deno.mkdir(own, { recursive: true });
    const nodes = met.map((nodeId, i) => ({
      nodeId,
      identity: `${i}`.repeat(64),
      firstSeen: 1,
      lastSeen: 1,
    }));
    await Deno.writeTextFile(`${own}/known_nodes.json`, JSON.stringify({ version: 1, nodes }));
  }
}

async function withInviter(use: (scene: Scene) => Promise<void>): Promise<void> {
  await withTempDir(async (directory) => {
    const dataDirectory = `${directory}/home`;
    await keepKeyring(dataDirectory, newKeyring("home"));
    await using inviter = await LocalNode.start({ nodeId: "inviter", dataDirectory });
    await use(new Scene(directory, inviter));
  });
}

async function refusal(attempt: Promise<unknown>, code: ErrorCode): Promise<string> {
  const error = await assertRejects(() => attempt, NetworkError);
  assertEquals(error.code, code, error.message);
  return error.message;
}

/** A code that somebody made by hand. */
function codeOf(change: Partial<JoinCode> = {}): string {
  return encodeJoinCode({
    kind: "invite",
    secret: new Uint8Array(16),
    networkTag: "0123456789abcdef",
    networkName: "home",
    nodeId: "inviter",
    fingerprint: new Uint8Array(16),
    addresses: [],
    capabilities: { chip: "", memoryMB: 0, fp16Tflops: 0 },
    ...change,
  } as JoinCode);
}

Deno.test("a machine that joins keeps the inviter's keyring for itself alone, and nothing besides", async () => {
  await withInviter(async (scene) => {
    const joined = await scene.join("guest/of/mine", await scene.invite());
    assertEquals(joined, { networkName: "home", inviter: "inviter", wasMember: false });
    assertEquals(await scene.text("guest/of/mine"), await scene.text("home"));
    const names = [...Deno.readDirSync(scene.at("guest/of/mine"))].map(({ name }) => name);
    assertEquals(names, ["keyring.json"]);
    if (!hasModes) return;
    const mode = (path: string) => (Deno.lstatSync(scene.at(path)).mode! & 0o777).toString(8);
    assertEquals(mode("guest/of/mine/keyring.json"), "600");
    assertEquals(mode("guest/of/mine"), "700");
  });
});

Deno.test("what is no code is refused before anything is written", async () => {
  await withInviter(async (scene) => {
    const code = await scene.invite();
    for (const text of ["", "HANZO:1/", code.slice(0, -1), `${code}A`, "HANZO:2/ABC", "a.png"]) {
      await refusal(scene.join("guest", text), "INVALID_ARGUMENT");
    }
    await assertRejects(() => Deno.lstat(scene.at("guest")), Deno.errors.NotFound);
    await scene.join("guest", code);
  });
});

Deno.test("of two machines that come with one invite at the same moment, one joins", async () => {
  await withInviter(async (scene) => {
    const code = await scene.invite();
    const outcomes = await Promise.allSettled(
      ["b", "c", "d"].map((machine) => scene.join(machine, code)),
    );
    const refused = outcomes.filter(({ status }) => status === "rejected");
    assertEquals(refused.length, 2);
    for (const one of refused) {
      assertStringIncludes((one as PromiseRejectedResult).reason.message, "has been used");
    }
    const texts = await Promise.all(["b", "c", "d"].map((machine) => scene.text(machine)));
    assertEquals(texts.filter((text) => text !== undefined), [await scene.text("home")]);
  });
});

Deno.test("a machine that joins two networks at the same moment is in one of them", async () => {
  await withInviter((scene) =>
    withInviter(async (other) => {
      const [here, there] = [await scene.invite(), await other.invite()];
      const guest = scene.at("guest");
      const outcomes = await Promise.allSettled([
        scene.join("guest", here),
        joinNetwork(there, { dataDirectory: guest }),
      ]);
      assertEquals(outcomes.map(({ status }) => status), ["fulfilled", "fulfilled"]);
      const texts = [await scene.text("home"), await other.text("home")];
      assert(texts.includes(await scene.text("guest")));
      assertEquals([...Deno.readDirSync(guest)].map(({ name }) => name), ["keyring.json"]);
    })
  );
});

Deno.test({
  name: "an invite is not used up by a machine whose disk is full",
  ignore: skipUnless(cannotMount() === undefined, `a full disk: ${cannotMount()}`),
  fn: () =>
    withInviter((scene) =>
      withSmallDisk(64, async (disk) => {
        const code = await scene.invite();
        await Deno.writeFile(`${disk}/ballast`, new Uint8Array(65_536)).catch(() => {});
        const message = await refusal(
          joinNetwork(code, { dataDirectory: disk }),
          "RESOURCE_EXHAUSTED",
        );
        assertStringIncludes(message, "the disk is full");
        await refusal(joinNetwork(code, { dataDirectory: `${disk}/new` }), "RESOURCE_EXHAUSTED");
        const names = [...Deno.readDirSync(disk)].map(({ name }) => name).sort();
        assertEquals(names.filter((name) => name !== "new"), ["ballast"], "nothing is left there");
        await Deno.remove(`${disk}/ballast`);
        await joinNetwork(code, { dataDirectory: disk });
        assertEquals(await Deno.readTextFile(`${disk}/keyring.json`), await scene.text("home"));
      })
    ),
});

Deno.test("a place that can hold no files is named, with what is in the way", async () => {
  await withInviter(async (scene) => {
    const code = await scene.invite();
    await Deno.writeTextFile(scene.at("file"), "");
    for (const machine of ["file", "file/below"]) {
      const message = await refusal(scene.join(machine, code), "FAILED_PRECONDITION");
      assertStringIncludes(message, `Cannot write ${scene.at(machine)}: `);
    }
    await Deno.mkdir(`${scene.at("guest")}/keyring.json`, { recursive: true });
    await refusal(scene.join("guest", code), "FAILED_PRECONDITION");
    await scene.join("guest2", code);
  });
});

Deno.test({
  name: "without Deno's permission it says which flags are missing, and asks nobody",
  permissions: { read: true, write: false, net: true, sys: true, env: true },
  async fn() {
    const attempt = joinNetwork(codeOf(), { dataDirectory: "/somewhere/hanzo-network" });
    assertStringIncludes(await refusal(attempt, "PERMISSION_DENIED"), "--allow-write");
  },
});

Deno.test("a damaged keyring is neither taken nor written over, whatever the code", async () => {
  await withInviter(async (scene) => {
    await keepKeyring(scene.at("guest"), newKeyring("other"));
    const damaged = (await scene.text("guest"))!.slice(0, -5);
    await Deno.writeTextFile(`${scene.at("guest")}/keyring.json`, damaged);
    const code = await scene.invite();
    for (const one of [code, await scene.fixed()]) {
      for (const leave of [false, true]) {
        const message = await refusal(
          scene.join("guest", one, { leave }),
          "FAILED_PRECONDITION",
        );
        assertStringIncludes(message, "remove it and join again");
        assertEquals(await scene.text("guest"), damaged);
      }
    }
    await Deno.remove(`${scene.at("guest")}/keyring.json`);
    await scene.join("guest", code);
  });
});

Deno.test("an invite of one's own network brings the newest key, and takes nothing away", async () => {
  await withInviter(async (scene) => {
    await scene.join("guest", await scene.invite());
    assertEquals((await scene.join("guest", await scene.invite())).wasMember, true);
    assertEquals(await scene.text("guest"), await scene.text("home"));
    // What this machine has rotated is kept, though the inviter has not heard of it.
    const ring = rotated(await scene.kept("guest"), { now: Date.now(), graceMs: 60_000 });
    await keepKeyring(scene.at("guest"), ring);
    assertEquals((await scene.join("guest", await scene.invite())).wasMember, true);
    assertEquals(encodeKeyring(await scene.kept("guest")), encodeKeyring(ring));
    // The inviter's own invite changes nothing at home.
    const before = await scene.text("home");
    assertEquals((await scene.join("home", await scene.invite())).wasMember, true);
    assertEquals(await scene.text("home"), before);
  });
});

Deno.test("who has the newest key already uses up no invite, and is not told that it was used", async () => {
  await withInviter(async (scene) => {
    const code = await scene.invite();
    await scene.join("guest", code);
    assertEquals((await scene.join("guest", code)).wasMember, true, "its own, once more");
    const other = await scene.invite();
    assertEquals((await scene.join("guest", other)).wasMember, true);
    assertEquals((await scene.join("another", other)).wasMember, false);
  });
});

Deno.test("a static code of one's own network changes nothing, not even how many keys there were", async () => {
  await withInviter(async (scene) => {
    await scene.inviter.network.keys.rotate();
    const before = await scene.text("home");
    const joined = await scene.join("home", await scene.fixed());
    assertEquals([joined.wasMember, await scene.text("home")], [true, before]);
    // Elsewhere it is the newest key and no other.
    await scene.join("guest", await scene.fixed());
    const [{ keys: [home] }, { keys: guest }] = [
      await scene.kept("home"),
      await scene.kept("guest"),
    ];
    assertEquals(guest.map(({ key, epoch }) => [key.tag, epoch]), [[home.key.tag, 1]]);
  });
});

Deno.test("a network of this machine alone is left without a word, one with others only on request", async () => {
  await withInviter(async (scene) => {
    const alone = newKeyring("alone");
    await scene.stranger("alone", alone, ["own"]);
    await scene.join("alone", await scene.invite());
    assertEquals(await scene.text("alone"), await scene.text("home"));

    const ring = newKeyring("away");
    await scene.stranger("met", ring, ["own", "pi", "gpu", "mac", "tv"]);
    for (const code of [await scene.invite(), await scene.fixed()]) {
      const message = await refusal(scene.join("met", code), "FAILED_PRECONDITION");
      assertStringIncludes(
        message,
        'is in "away", with gpu, mac, pi, …. To leave that one for good',
      );
      assertEquals(await scene.text("met"), encodeKeyring(ring));
    }
    const code = await scene.invite();
    await refusal(scene.join("met", code), "FAILED_PRECONDITION");
    // The refusal came before the invite was shown.
    assertEquals((await scene.join("met", code, { leave: true })).wasMember, false);
    assertEquals(await scene.text("met"), await scene.text("home"));
  });
});

Deno.test("who was away while the key was changed is told that leaving is how to come back", async () => {
  await withInviter(async (scene) => {
    await scene.stranger("late", newKeyring("home"), ["inviter"]);
    const message = await refusal(scene.join("late", await scene.invite()), "FAILED_PRECONDITION");
    assertStringIncludes(message, "If it is the same, whose key was changed while this machine");
  });
});

Deno.test("where it cannot be known who was met, nothing is left without being told to", async () => {
  await withInviter(async (scene) => {
    await scene.stranger("guest", newKeyring("away"));
    await Deno.writeTextFile(`${scene.at("guest")}/nodes/own/known_nodes.json`, "{");
    const code = await scene.invite();
    const message = await refusal(scene.join("guest", code), "FAILED_PRECONDITION");
    assertStringIncludes(message, "add --leave");
    await scene.join("guest", code, { leave: true });
  });
});

Deno.test("who gives up has not joined, and is told so", async () => {
  await withInviter(async (scene) => {
    // Somebody who takes connections and says nothing.
    using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const accepted: Deno.TcpConn[] = [];
    const stop = new AbortController();
    const accepting = (async () => {
      for await (const connection of silent) {
        accepted.push(connection);
        // The first one only looks whether anybody is there.
        if (accepted.length === 2) stop.abort();
      }
    })().catch(() => {});
    const code = codeOf({ addresses: [{ host: "127.0.0.1", port: silent.addr.port }] });
    const message = await refusal(scene.join("guest", code, { signal: stop.signal }), "CANCELLED");
    assertStringIncludes(message, "this machine has not joined");
    assertEquals([...Deno.readDirSync(scene.at("guest"))], []);
    for (const connection of accepted) connection.close();
    silent.close();
    await accepting;
  });
});

Deno.test("a code that says no address, and one whose inviter is gone, leave the machine as it is", async () => {
  await withInviter(async (scene) => {
    await scene.stranger("guest", newKeyring("alone"));
    const before = await scene.text("guest");
    assertStringIncludes(
      await refusal(scene.join("guest", codeOf()), "UNAVAILABLE"),
      "no address of the inviter",
    );
    const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    closed.close();
    const gone = codeOf({ addresses: [{ host: "127.0.0.1", port: closed.addr.port }] });
    assertStringIncludes(await refusal(scene.join("guest", gone), "UNAVAILABLE"), "refused");
    // Another machine, with another key pair, at the address of the code.
    const code = decodeJoinCode(await scene.invite());
    const elsewhere = encodeJoinCode({ ...code, fingerprint: new Uint8Array(16) });
    assertStringIncludes(
      await refusal(scene.join("guest", elsewhere), "PERMISSION_DENIED"),
      "is not the device that showed the code",
    );
    assertEquals(await scene.text("guest"), before);
  });
});

/** Of writes that a `join` makes in its directory: after so many it is killed. */
const MOMENTS = [1, 2, 3, 4, 6, 8, 10, 12];

Deno.test("a join that is killed at any moment leaves the old network or the new one, and no ruin", async () => {
  await withInviter(async (scene) => {
    const seen = new Set<string>();
    const attempts = MOMENTS.map((moment) => async () => {
      const machine = `guest${moment}`;
      const ring = newKeyring("alone", NetworkKey.generate());
      await keepKeyring(scene.at(machine), ring);
      const code = await scene.invite();
      using changes = Deno.watchFs(scene.at(machine));
      const child = new Deno.Command(Deno.execPath(), {
        args: programArgs("join", code, `--data-dir=${scene.at(machine)}`),
        env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      const ended = child.status.finally(() => changes.close());
      let count = 0;
      for await (const _ of changes) if (++count === moment) break;
      try {
        child.kill("SIGKILL");
      } catch {
        // It was quicker.
      }
      const { signal } = await ended;
      const kept = encodeKeyring(await scene.kept(machine));
      const isOld = kept === encodeKeyring(ring);
      assert(isOld || kept === await scene.text("home"), `after ${moment} changes: ${kept}`);
      seen.add(`${signal} ${isOld}`);
      for (const { name } of Deno.readDirSync(scene.at(machine))) {
        const { mode } = Deno.lstatSync(`${scene.at(machine)}/${name}`);
        if (hasModes) assertEquals((mode! & 0o777).toString(8), "600", name);
      }
      // What was left behind is in nobody's way.
      await scene.join(machine, await scene.invite());
      assertEquals(await scene.text(machine), await scene.text("home"));
    });
    // Two at a time.
    while (attempts.length > 0) await Promise.all(attempts.splice(0, 2).map((run) => run()));
    assert(seen.has("SIGKILL true"), "none was killed while it was of the old network");
  });
});
