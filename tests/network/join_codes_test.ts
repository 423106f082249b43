/** Codes and keys are those of a network that runs. */

import { assertEquals, assertRejects } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { newKeyring } from "../../src/security/keyring.ts";
import { LocalNode } from "../support/local_node.ts";
import { keepKeyring } from "../support/nodes.ts";
import { withTempDir } from "../support/temp.ts";

Deno.test("a network that was stopped hands out no code and changes no key", async () => {
  await withTempDir(async (dataDirectory) => {
    await keepKeyring(dataDirectory, newKeyring("home"));
    const node = await LocalNode.start({ nodeId: "a", dataDirectory });
    const { network } = node;
    const code = await network.generateJoinQr();
    assertEquals(code.networkName, "home");
    await node[Symbol.asyncDispose]();
    const before = await Deno.readTextFile(`${dataDirectory}/keyring.json`);
    const ways: (() => unknown)[] = [
      () => network.generateJoinQr(),
      () => network.generateJoinQr({ kind: "static" }),
      () => network.keys.list(),
      () => network.keys.rotate(),
      () => network.keys.evict("b"),
      () => network.keys.forget("b"),
    ];
    for (const way of ways) {
      const error = await assertRejects(async () => await way(), NetworkError);
      assertEquals(error.code, "FAILED_PRECONDITION", error.message);
    }
    assertEquals(await Deno.readTextFile(`${dataDirectory}/keyring.json`), before);
  });
});
