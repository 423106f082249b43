/** The files that `key client` writes, and what becomes of them where they cannot be written. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { writeClientFiles } from "../../src/cli/client_files.ts";
import { skipUnless } from "../support/skip.ts";
import { cannotMount, withSmallDisk } from "../support/small_disk.ts";
import { withTempDir } from "../support/temp.ts";

const NAMES = ["ca.pem", "client.key", "client.pem", "server-name"];

/** A node that certifies whatever it is asked. */
const certify = (certificate: string) => () =>
  Promise.resolve({ authority: "authority", certificate, serverName: "hanzo" });

function textsIn(directory: string): Record<string, string> {
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  return Object.fromEntries(
    names.map((name) => [name, Deno.readTextFileSync(`${directory}/${name}`)]),
  );
}

Deno.test("the files of a client are written together, and again in the place of the old ones", async () => {
  await withTempDir(async (root) => {
    const directory = `${root}/a/client`;
    assertEquals((await writeClientFiles(directory, certify("one"))).toSorted(), NAMES);
    const before = textsIn(directory);
    assertEquals(Object.keys(before), NAMES);
    await writeClientFiles(directory, certify("two"));
    const after = textsIn(directory);
    assertEquals([before["client.pem"], after["client.pem"]], ["one", "two"]);
    assertEquals(before["client.key"] === after["client.key"], false);

    const error = await assertRejects(
      () => writeClientFiles(`${directory}/ca.pem`, certify("one")),
      NetworkError,
    );
    assertStringIncludes(error.message, "that is a file. Name a directory by --dir.");
  });
});

Deno.test({
  name: "where the disk is full, a client keeps the key and the certificate that belong together",
  ignore: skipUnless(cannotMount() === undefined, `a full disk: ${cannotMount()}`),
  fn: () =>
    withSmallDisk(64, async (disk) => {
      const directory = `${disk}/client`;
      await writeClientFiles(directory, certify("one"));
      const before = textsIn(directory);
      // Room for two files more, of four.
      await Deno.writeFile(`${disk}/ballast`, new Uint8Array(40 * 1024));
      for (const where of [directory, `${disk}/new`]) {
        const error = await assertRejects(
          () => writeClientFiles(where, certify("two")),
          NetworkError,
        );
        assertEquals(error.code, "RESOURCE_EXHAUSTED");
        assertStringIncludes(error.message, "the disk is full. Make room there.");
      }
      assertEquals(textsIn(`${disk}/new`), {}, "half of what belongs together");
      assertEquals(textsIn(directory), before);
    }),
});
