/** `invite`: the code as people and programs get it, and the files that it is written to. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { decodeJoinCode } from "../../src/security/join_code.ts";
import { newKeyring } from "../../src/security/keyring.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { scanQr } from "../../src/security/scan.ts";
import { commandLine } from "../support/command_line.ts";
import { LocalNode } from "../support/local_node.ts";
import { CLI, hanzo, keepKeyring } from "../support/nodes.ts";
import { skipUnless } from "../support/skip.ts";
import { cannotMount, withSmallDisk } from "../support/small_disk.ts";
import { withTempDir } from "../support/temp.ts";

const hasModes = Deno.build.os !== "windows";

/** What `--json` prints. */
interface Printed {
  uri: string;
  kind: string;
  expiresAt: number | null;
  networkName: string;
  files: string[];
}

/** Runs the command with a node that is up; `here` is its data directory, as an option. */
async function withNode(use: (here: string, directory: string) => Promise<void>): Promise<void> {
  await withTempDir(async (directory) => {
    const dataDirectory = `${directory}/data`;
    await keepKeyring(dataDirectory, newKeyring("home"));
    await using _node = await LocalNode.start({ nodeId: "A", dataDirectory });
    await use(`--data-dir=${dataDirectory}`, directory);
  });
}

async function invite(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await commandLine(["invite", ...args]);
  assertEquals([code, stderr], [0, ""]);
  return stdout;
}

async function failure(code: number, ...args: string[]): Promise<string> {
  const outcome = await commandLine(["invite", ...args]);
  assertEquals([outcome.code, outcome.stdout], [code, ""], outcome.stderr);
  assertEquals(outcome.stderr.split("\n").length, 2, `one line: ${outcome.stderr}`);
  return outcome.stderr;
}

function modeOf(path: string): string {
  return (Deno.lstatSync(path).mode! & 0o777).toString(8);
}

Deno.test("an invite is a line to type and a picture, with what to do and how long it is good", async () => {
  await withNode(async (here) => {
    const shown = (await invite(here)).trimEnd().split("\n");
    assertEquals(
      shown[0],
      "To join home: hanzo-network join --camera, or type after hanzo-network join",
    );
    const code = decodeJoinCode(shown[1]);
    assertEquals([code.kind, code.networkName, code.nodeId], ["invite", "home", "A"]);
    assertMatch(shown[2], /^Good for one device, until .*\d.*\.$/);
    const drawing = shown.slice(3);
    assert(drawing.length > 15 && drawing.every((line) => /^[ █▀▄]+$/.test(line)));
    assert(shown.every((line) => line.length <= 203), "nothing but the code is long");
  });
});

Deno.test("each invite is another one", async () => {
  await withNode(async (here) => {
    const uris = [await invite(here, "--json"), await invite(here, "--json")]
      .map((text): string => JSON.parse(text).uri);
    assert(uris[0] !== uris[1]);
  });
});

Deno.test("for programs it is one JSON value, with when it ends", async () => {
  await withNode(async (here) => {
    for (const [args, minutes] of [[[], 10], [["--valid=1"], 1], [["--valid", "1440"], 1_440]]) {
      const before = Date.now();
      const printed: Printed = JSON.parse(await invite(here, "--json", ...args as string[]));
      const { uri, kind, expiresAt, networkName, files, ...rest } = printed;
      assertEquals([kind, networkName, files, rest], ["invite", "home", [], {}]);
      assertEquals(decodeJoinCode(uri).kind, "invite");
      const madeAt = expiresAt! - (minutes as number) * 60_000;
      assert(madeAt >= before && madeAt <= Date.now(), `${minutes}: ${madeAt - before} ms`);
    }
  });
});

Deno.test("what it cannot do it says in one line, and ends with 2", async () => {
  await withNode(async (here) => {
    const cases: [string[], string][] = [
      [["now"], 'Cannot do anything with "now"'],
      [["--valid=0"], '--valid is "0", expected a whole number from 1 to 1440'],
      [["--valid=1441"], "expected a whole number from 1 to 1440"],
      [["--valid=1.5"], "expected a whole number"],
      [["--valid=soon"], "expected a whole number"],
      [["--static", "--valid=5"], "A static code is good as long as the key is"],
      [["--png"], "--png needs a value"],
      [["--colour"], "Unknown option --colour"],
    ];
    for (const [args, message] of cases) {
      assertStringIncludes(await failure(2, ...args, here), message);
    }
  });
});

Deno.test("its help names every option, and has an example", async () => {
  const help = await invite("--help");
  for (const option of ["--static", "--valid MINUTES", "--png FILE", "--svg FILE", "--json"]) {
    assertStringIncludes(help, option);
  }
  assertStringIncludes(help, "Example: hanzo-network invite --png code.png");
});

Deno.test("without a node there is no invite, and without a network no static code either", async () => {
  await withTempDir(async (directory) => {
    const here = `--data-dir=${directory}`;
    assertStringIncludes(await failure(1, here), "Start one: hanzo-network up");
    assertStringIncludes(await failure(1, "--static", here), "this machine is in no network yet");
    assertEquals([...Deno.readDirSync(directory)], [], "and none is made by asking");
    const { code, stdout } = await commandLine(["invite", "--json", here]);
    assertEquals([code, JSON.parse(stdout).error.code], [1, "UNAVAILABLE"]);
  });
});

Deno.test("an open node cannot invite, and says why", async () => {
  await withTempDir(async (directory) => {
    await using _node = await LocalNode.start({
      nodeId: "A",
      dataDirectory: directory,
      open: true,
    });
    const message = await failure(1, `--data-dir=${directory}`);
    assertStringIncludes(message, "no network key, because it was started with --open");
  });
});

Deno.test("a static code needs no node, is the key, and warns on stderr of what it is", async () => {
  await withTempDir(async (directory) => {
    const key = NetworkKey.generate();
    await keepKeyring(directory, newKeyring("home", key));
    const here = `--data-dir=${directory}`;
    const { code, stdout, stderr } = await commandLine(["invite", "--static", here]);
    assertEquals(code, 0);
    assertStringIncludes(stderr, "This code is the key of the network");
    assertStringIncludes(stderr, "hanzo-network key rotate");
    const [, uri] = stdout.split("\n");
    const read = decodeJoinCode(uri);
    assert(read.kind === "static" && read.key.tag === key.tag);
    assertStringIncludes(stdout, "Good for as long as the key.");
    const printed: Printed = JSON.parse(await invite("--static", "--json", here));
    assertEquals(printed, { uri, kind: "static", expiresAt: null, networkName: "home", files: [] });
  });
});

Deno.test("a static code of a network with a long name is refused, with what to do instead", async () => {
  await withTempDir(async (directory) => {
    await keepKeyring(directory, newKeyring("n".repeat(100)));
    const message = await failure(1, "--static", `--data-dir=${directory}`);
    assertStringIncludes(message, "name is too long for it. Use an invite");
  });
});

Deno.test("files are for their owner alone, and what another device reads there is the code", async () => {
  await withNode(async (here, directory) => {
    const [png, svg] = [`${directory}/code.png`, `${directory}/code.svg`];
    const shown = await invite(here, "--png", png, "--svg", svg);
    assertEquals(shown.split("\n")[1], `On the other device: hanzo-network join ${png}`);
    assertStringIncludes(shown, `Wrote ${png} and ${svg}, good for one device, until`);
    assert(!shown.includes("HANZO:"), "the code itself is in the files alone");
    if (hasModes) assertEquals([modeOf(png), modeOf(svg)], ["600", "600"]);
    assertEquals(decodeJoinCode(await scanQr(png)).nodeId, "A");
    assertMatch(await Deno.readTextFile(svg), /^<svg .*<\/svg>\n$/s);

    const printed: Printed = JSON.parse(await invite(here, "--json", "--png", png));
    assertEquals(printed.files, [png]);
    assertEquals(await scanQr(png), printed.uri, "the new one took the place of the old one");
    assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name).sort(), [
      "code.png",
      "code.svg",
      "data",
    ]);
  });
});

Deno.test("a picture in the working directory, also of a static code, is written and read", async () => {
  await withNode(async (here, cwd) => {
    for (const options of [[], ["--static"]]) {
      const made = await hanzo(["invite", ...options, here, "--png=code.png"], { cwd });
      assertEquals(made.code, 0, made.stderr);
      if (hasModes) assertEquals(modeOf(`${cwd}/code.png`), "600");
      const guest = `--data-dir=guest${options}`;
      const { code, stdout } = await hanzo(["join", "code.png", guest, "--json"], { cwd });
      assertEquals([code, JSON.parse(stdout).networkName], [0, "home"]);
    }
  });
});

Deno.test("a file that is there is replaced, also its mode; where it led to stays as it was", async () => {
  await withNode(async (here, directory) => {
    const [file, link] = [`${directory}/code.png`, `${directory}/link.png`];
    await Deno.writeTextFile(file, "mine", { mode: 0o644 });
    await Deno.writeTextFile(`${directory}/target`, "mine", { mode: 0o644 });
    if (hasModes) await Deno.symlink(`${directory}/target`, link);
    await invite(here, "--png", file);
    await invite(here, "--png", link);
    assertEquals(await Deno.readTextFile(`${directory}/target`), "mine");
    if (hasModes) assertEquals([modeOf(file), modeOf(link)], ["600", "600"]);
    assert((await Deno.lstat(link)).isFile);
  });
});

Deno.test({
  name: "what is no file is not replaced by one, and standard output takes a picture as it is",
  ignore: skipUnless(Deno.build.os === "linux", "other systems have no /dev/full"),
  fn: () =>
    withNode(async (here, directory) => {
      const link = `${directory}/device`;
      await Deno.symlink("/dev/full", link);
      for (const path of [link, directory]) {
        for (const kind of ["png", "svg"]) {
          assertStringIncludes(await failure(1, here, `--${kind}=${path}`), `Cannot write ${path}`);
        }
      }
      assertEquals(await Deno.readLink(link), "/dev/full");

      const cli = ["run", "-A", CLI, "invite", here];
      const made = await new Deno.Command(Deno.execPath(), { args: [...cli, "--png", "-"] })
        .output();
      assertEquals(decodeJoinCode(await scanQr(made.stdout)).networkName, "home");
      assertMatch(await invite(here, "--svg", "-"), /^<svg .*<\/svg>\n$/s);
      assertStringIncludes(await failure(2, here, "--png=-", "--svg=-"), "takes one of");
      assertEquals((await commandLine(["invite", here, "--png=-", "--json"])).code, 2);
    }),
});

Deno.test("where no file can be written, that is said, and nothing is left", async () => {
  await withNode(async (here, directory) => {
    await Deno.mkdir(`${directory}/folder`);
    await Deno.writeTextFile(`${directory}/file`, "");
    for (const path of ["folder", "none/code.png", "file/code.png"]) {
      for (const kind of ["png", "svg"]) {
        const message = await failure(1, here, `--${kind}=${directory}/${path}`);
        assertStringIncludes(message, `Cannot write ${directory}/${path}: `);
      }
    }
    assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name).sort(), [
      "data",
      "file",
      "folder",
    ]);
  });
});

Deno.test({
  name: "a directory that may not be written to, and a full disk, are named",
  ignore: skipUnless(cannotMount() === undefined, `a disk of its own: ${cannotMount()}`),
  fn: () =>
    withNode((here) =>
      withSmallDisk(64, async (disk) => {
        await Deno.writeFile(`${disk}/ballast`, new Uint8Array(65_536)).catch(() => {});
        const full = await failure(1, here, `--png=${disk}/code.png`);
        assertStringIncludes(full, `Cannot write ${disk}/code.png: the disk is full`);
        await Deno.remove(`${disk}/ballast`);
        const args = ["-o", "remount,ro", disk];
        assert((await new Deno.Command("mount", { args }).output()).success);
        const closed = await failure(1, here, `--png=${disk}/code.png`);
        assertStringIncludes(closed, `Cannot write ${disk}/code.png: `);
        assertMatch(closed, /read-only/i);
      })
    ),
});
