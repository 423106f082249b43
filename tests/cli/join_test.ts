/** `join`: where the code may come from, and what is said when it does not do. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { newKeyring } from "../../src/security/keyring.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { drawPng } from "../../src/security/qr_drawing.ts";
import { commandLine } from "../support/command_line.ts";
import { eventually } from "../support/eventually.ts";
import { LocalNode } from "../support/local_node.ts";
import { keepKeyring, programArgs } from "../support/nodes.ts";
import { SecretSearch } from "../support/secret_search.ts";
import { skipUnless } from "../support/skip.ts";
import { withTempDir } from "../support/temp.ts";

const KEY = NetworkKey.generate();

/** An inviter, and machines that may join it. */
class Scene {
  readonly directory: string;
  readonly #inviter: LocalNode;

  constructor(directory: string, inviter: LocalNode) {
    this.directory = directory;
    this.#inviter = inviter;
  }

  async code(kind: "invite" | "static" = "invite"): Promise<string> {
    return (await this.#inviter.network.generateJoinQr({ kind })).uri;
  }

  async picture(code: string): Promise<string> {
    const path = `${this.directory}/code.png`;
    await Deno.writeFile(path, await drawPng(code));
    return path;
  }

  /** The command on a machine of that name. */
  async join(machine: string, args: string[], stdin?: string | Uint8Array<ArrayBuffer>) {
    return await commandLine(["join", ...args, `--data-dir=${this.directory}/${machine}`], stdin);
  }

  async isMember(machine: string): Promise<boolean> {
    try {
      const text = await Deno.readTextFile(`${this.directory}/${machine}/keyring.json`);
      return text === await Deno.readTextFile(`${this.directory}/home/keyring.json`);
    } catch {
      return false;
    }
  }

  /** What it fails with, in one line. */
  async failure(code: number, args: string[], stdin?: string | Uint8Array<ArrayBuffer>) {
    const outcome = await this.join("nobody", args, stdin);
    assertEquals([outcome.code, outcome.stdout], [code, ""], `${args}: ${outcome.stderr}`);
    assertEquals(outcome.stderr.split("\n").length, 2, `one line: ${outcome.stderr}`);
    assert(!await this.isMember("nobody"));
    return outcome.stderr;
  }
}

async function withInviter(use: (scene: Scene) => Promise<void>): Promise<void> {
  await withTempDir(async (directory) => {
    const dataDirectory = `${directory}/home`;
    await keepKeyring(dataDirectory, newKeyring("home", KEY));
    await using inviter = await LocalNode.start({ nodeId: "inviter", dataDirectory });
    await use(new Scene(directory, inviter));
  });
}

Deno.test("an invite may be typed, piped, or be in a picture that is named or piped", async () => {
  await withInviter(async (scene) => {
    const typed = async () => (await scene.code()).toLowerCase().match(/.{1,8}/g)!.join(" ");
    const picture = async () => await scene.picture(await scene.code());
    const ways: [string[], (string | Uint8Array<ArrayBuffer>)?][] = [
      [[await scene.code()]],
      [[await typed()]],
      [["-"], `\n${await scene.code()}\n`],
      [[], await typed()],
      [[await picture()]],
      [["-"], await drawPng(await scene.code()) as Uint8Array<ArrayBuffer>],
    ];
    for (const [i, [args, stdin]] of ways.entries()) {
      const { code, stdout, stderr } = await scene.join(`guest${i}`, args, stdin);
      assertEquals([code, stderr], [0, ""], `${i}`);
      assertEquals(stdout, "This machine is in home now. Start it: hanzo-network up\n");
      assert(await scene.isMember(`guest${i}`));
    }
  });
});

Deno.test("for programs it is one JSON value, also when it fails", async () => {
  await withInviter(async (scene) => {
    const code = await scene.code();
    const { stdout } = await scene.join("guest", [code, "--json"]);
    assertEquals(JSON.parse(stdout), { networkName: "home", inviter: "inviter", wasMember: false });
    const again = await scene.join("other", [code, "--json"]);
    assertEquals([again.code, JSON.parse(again.stdout).error.code], [1, "PERMISSION_DENIED"]);
    assertStringIncludes(again.stderr, "the code has been used");
  });
});

Deno.test("who is of the network already is told so, and that its key is the newest", async () => {
  await withInviter(async (scene) => {
    await scene.join("guest", [await scene.code()]);
    for (const stdin of [await scene.code(), await scene.code("static")]) {
      const { stdout } = await scene.join("guest", ["-"], stdin);
      assertEquals(stdout, "This machine was in home already, and has its newest key.\n");
    }
  });
});

Deno.test("what is no code says what it is instead, in one line", async () => {
  await withInviter(async (scene) => {
    const { directory } = scene;
    await Deno.writeTextFile(`${directory}/notes.txt`, "nothing of use");
    await Deno.writeFile(`${directory}/empty.png`, new Uint8Array());
    const plain = await drawPng("https://example.com") as Uint8Array<ArrayBuffer>;
    await Deno.writeFile(`${directory}/foreign.png`, plain);
    const code = await scene.code();
    const cases: [string[], string, string?][] = [
      [[], "Cannot use standard input: it is neither a picture (PNG or JPEG) nor a code", ""],
      [["-"], "Cannot use standard input", "hello"],
      [
        ["no/such.png"],
        "Cannot read no/such.png: there is no such file. A code begins with HANZO:1/",
      ],
      [[directory], `Cannot read ${directory}: it is a directory`],
      [[`${directory}/notes.txt`], "neither a picture (PNG or JPEG) nor a code"],
      [[`${directory}/empty.png`], "neither a picture (PNG or JPEG) nor a code"],
      [[`${directory}/foreign.png`], "Cannot read a code"],
      [["HANZO:2/ABC"], "a later version"],
      [["HANZO:1/"], "cut off"],
      [[code.slice(0, -3)], "3 characters are missing"],
      [["-"], "3 characters are missing", code.slice(0, -3)],
      [[code.replace(/.{5}$/, "AAAAA")], "mistyped"],
    ];
    for (const [args, message, stdin] of cases) {
      assertStringIncludes(await scene.failure(1, args, stdin), message, args.join(" "));
    }
    // It was not used up by that.
    assertEquals((await scene.join("guest", [code])).code, 0);
  });
});

Deno.test("two codes at once, or a code and the camera, are wrong usage", async () => {
  await withInviter(async (scene) => {
    const code = await scene.code();
    for (const args of [[code, code], ["--camera", code], ["--camera", "-"]]) {
      const message = await scene.failure(2, args);
      assertStringIncludes(message, "join takes one CODE, FILE or -, or --camera");
    }
    assertStringIncludes(await scene.failure(2, ["--force", code]), "Unknown option --force");
  });
});

Deno.test("its help names every option, and has an example", async () => {
  const { stdout } = await commandLine(["join", "--help"]);
  assertStringIncludes(stdout, "Usage: hanzo-network join [CODE | FILE | -] [options]");
  for (const option of ["--camera", "--leave", "--data-dir DIR", "--json"]) {
    assertStringIncludes(stdout, option);
  }
  assertStringIncludes(stdout, "Example: hanzo-network join code.png");
});

Deno.test("the network's key is not taken from a command line, however it is typed there", async () => {
  await withInviter(async (scene) => {
    const search = new SecretSearch([{ name: "the key", bytes: KEY.reveal() }]);
    const code = await scene.code("static");
    const ways = [
      code,
      ` ${code}`,
      code.toLowerCase(),
      code.replace("HANZO", "HAN-ZO"),
      code.replaceAll(/(.{7})/g, "$1 "),
    ];
    for (const typed of ways) {
      const message = await scene.failure(2, [typed]);
      assertStringIncludes(message, "Give it on standard input: hanzo-network join -");
      assertEquals(search.find(message), []);
    }
    // What looks like the rest of a code is no name of a file, and is not said again.
    for (
      const typed of [code.slice(8), code.slice(3), `HANZ:${code.slice(6)}`, `x/${code.slice(8)}`]
    ) {
      const message = await scene.failure(1, [typed]);
      assertStringIncludes(message, "Cannot use the code: its beginning is missing, or mistyped");
      assertEquals(search.find(message), []);
    }
  });
});

Deno.test({
  name: "who waits for the code at its standard input stops at the first Ctrl-C",
  ignore: skipUnless(Deno.build.os === "linux", "other systems have no /proc to look into"),
  fn: () =>
    withTempDir(async (directory) => {
      await using child = new Deno.Command(Deno.execPath(), {
        args: programArgs("join", "-", `--data-dir=${directory}/guest`),
        env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
        stdin: "piped",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      const status = `/proc/${child.pid}/status`;
      // The second bit of the last digit: before that, the system ends it.
      const listens = async () => /^SigCgt:\s.*[2367abef]$/m.test(await Deno.readTextFile(status));
      await eventually(listens, { what: "join to listen to SIGINT" });
      child.kill("SIGINT");
      const text = await new Response(child.stderr).text();
      const { code, signal } = await child.status;
      assertEquals([code, signal, text], [1, null, "hanzo-network: Cancelled.\n"]);
      await child.stdin.close().catch(() => {});
    }),
});
