/**
 * Names and texts that want to be more than shown: whatever comes from a member, a stranger, a code,
 * a certificate or a person, none of it does anything to a terminal.
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { NetworkError } from "../../src/base/errors.ts";
import type { NodeDescription } from "../../src/membership/node_description.ts";
import { Kind } from "../../src/link/frame.ts";
import type { FrameListener, LinkTransport } from "../../src/link/frame_stream.ts";
import { grpcTransport } from "../../src/link/grpc_transport.ts";
import { joinByInvite } from "../../src/link/joining.ts";
import { decodeJoinCode, encodeJoinCode, type JoinCode } from "../../src/security/join_code.ts";
import { newKeyring } from "../../src/security/keyring.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { memberCredentials, type Minting } from "../../tests/support/certificates.ts";
import { systemDatagrams } from "../../src/transport/system_datagrams.ts";
import { commandLine } from "../../tests/support/command_line.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { Lan, lanUnavailable } from "../../tests/support/lan.ts";
import { LocalNode } from "../../tests/support/local_node.ts";
import { freeUdpPort, keepKeyring, programArgs } from "../../tests/support/nodes.ts";
import { makePool, RawPeer } from "../../tests/support/pool_lan.ts";
import { skipUnless } from "../../tests/support/skip.ts";
import { withTempDir } from "../../tests/support/temp.ts";
import { Witness, type Witnessed } from "../../tests/support/witness.ts";

/** A title, colours, both kinds of control sequences, directions, lines of its own, markup. */
const HOSTILE = "gpu\x1b]0;owned\x07\x1b[31m\x9b2J\x9d0;x\x9c\x7f\u202egnp.exe\u2066\u200f\u061c" +
  "\r\nhanzo-network: forged\n✓ forged\tline\b<script>alert(1)</script>";
/** What a terminal acts upon: all controls but the newline, and what turns the direction. */
const RAW =
  // deno-lint-ignore no-control-regex
  /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

/** Fails when a text does more than being shown, or has a line that somebody else has written. */
function assertHarmless(what: string, text: string): void {
  const found = RAW.exec(text);
  if (found !== null) {
    const code = found[0].charCodeAt(0).toString(16);
    const around = text.slice(Math.max(0, found.index - 100), found.index + 50);
    throw new Error(`${what} has a raw U+${code.padStart(4, "0")}: ${JSON.stringify(around)}`);
  }
  const forged = text.split("\n").find((line) => /^(hanzo-network: |✓ )?forged/.test(line));
  if (forged !== undefined) throw new Error(`${what} has a forged line: ${forged}`);
}

/** Fails when a text that is kept would do more than being shown: it is cleaned before. */
function assertCleaned(what: string, value: unknown): void {
  if (typeof value === "string") {
    // A reason and a description may have several lines.
    return assertHarmless(what, value.replaceAll(/[\t\n]/g, " "));
  }
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    assertHarmless(what, key);
    assertCleaned(`${key} in ${what}`, inner);
  }
}

/** Runs a command, also for programs; says what it printed for people. */
async function harmless(args: readonly string[], stdin?: string): Promise<string> {
  const name = args.join(" ").replaceAll(HOSTILE, "HOSTILE");
  const { stdout, stderr } = await commandLine(args, stdin);
  assertHarmless(`stdout of ${name}`, stdout);
  assertHarmless(`stderr of ${name}`, stderr);
  const forPrograms = await commandLine([...args, "--json"], stdin);
  assertHarmless(`stdout of ${name} --json`, forPrograms.stdout);
  assertHarmless(`stderr of ${name} --json`, forPrograms.stderr);
  if (forPrograms.stdout !== "") JSON.parse(forPrograms.stdout);
  return stdout + stderr;
}

Deno.test("nothing that is typed on a command line comes back raw", async () => {
  await withTempDir(async (directory) => {
    await using _node = await LocalNode.start({ nodeId: "A", dataDirectory: directory });
    const here = `--data-dir=${directory}`;
    const file = `${directory}/${HOSTILE.replaceAll("/", "")}`;
    const typed: string[][] = [
      [HOSTILE],
      ["join", HOSTILE, here],
      ["join", `HANZO:1/${HOSTILE}`, here],
      ["join", "-", `--data-dir=${file}`],
      ["join", "one", HOSTILE, here],
      ["key", HOSTILE, here],
      ["key", "evict", HOSTILE, here],
      ["key", "forget", HOSTILE, here],
      ["key", "rotate", `--grace=${HOSTILE}`, here],
      ["invite", HOSTILE, here],
      ["invite", `--valid=${HOSTILE}`, here],
      ["invite", `--png=${file}`, here],
      ["invite", `--svg=${file}/code.svg`, here],
      ["invite", "--static", `--data-dir=${file}`],
      ["status", `--${HOSTILE}`, here],
      ["status", `--node-id=${HOSTILE}`, here],
      ["status", `--api=${HOSTILE}`, here],
      ["status", `--data-dir=${file}`],
      ["peers", HOSTILE, here],
      ["doctor", HOSTILE, here],
      ["run", HOSTILE, here],
      ["run", HOSTILE, "--agent=calculator", here],
      ["run", "x", `--agent=${HOSTILE}`, here],
      ["run", "x", "--agent=calculator", `--node=${HOSTILE}`, here],
      ["run", "x", `--strategy=${HOSTILE}`, here],
      ["run", "x", `--context=${HOSTILE}`, here],
      ["detect", `--capabilities=${HOSTILE}`],
    ];
    for (const args of typed) await harmless(args);
    assertHarmless("help", (await commandLine(["help", HOSTILE])).stdout);
  });
});

Deno.test("the hostile names of a code are cleaned before they are kept", async () => {
  await withTempDir(async (directory) => {
    const here = `--data-dir=${directory}`;
    const names = {
      networkName: "\x1b[31mho\u202em\ne\x9b",
      nodeId: HOSTILE,
      capabilities: { chip: HOSTILE, memoryMB: 1, fp16Tflops: 1 },
      fingerprint: new Uint8Array(16),
      networkTag: "0123456789abcdef",
    };
    const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const addresses = [{ host: "127.0.0.1", port: closed.addr.port }];
    closed.close();
    const invite: JoinCode = { kind: "invite", secret: new Uint8Array(16), addresses, ...names };
    await harmless(["join", encodeJoinCode(invite), here]);
    const key = NetworkKey.generate();
    const code = encodeJoinCode({ kind: "static", key, ...names, addresses: [] });
    const { stdout } = await commandLine(["join", "-", here], code);
    assertStringIncludes(stdout, "This machine is in [31mhome now");
    assertHarmless("the file", await Deno.readTextFile(`${directory}/keyring.json`));
    await harmless(["join", "-", here], code);
    assertStringIncludes(await harmless(["invite", "--static", here]), "To join [31mhome");
  });
});

/** Hostile members of a network, and the nodes that they meet. */
class Scene implements AsyncDisposable {
  readonly directory: string;
  readonly witness: Witness;
  readonly key = NetworkKey.generate();
  readonly #port = freeUdpPort();
  readonly #stack = new AsyncDisposableStack();

  constructor(directory: string) {
    this.directory = directory;
    this.witness = this.#stack.use(new Witness(directory));
  }

  /** The data directory of a machine. */
  at(machine: string): string {
    return `${this.directory}/${machine}`;
  }

  get broadcastPort(): number {
    return this.#port;
  }

  /** A node as people start it, that says all it can. */
  up(nodeId: string, ...args: string[]): Witnessed {
    return this.witness.start([
      "up",
      "--log-level=debug",
      `--node-id=${nodeId}`,
      `--data-dir=${this.at(nodeId)}`,
      `--broadcast-port=${this.#port}`,
      "--network-interface=lo",
      "--listen-port=0",
      "--api-port=0",
      ...args,
    ]);
  }

  /** Where a node accepts links. */
  async addressOf(nodeId: string): Promise<{ host: string; port: number }> {
    const file = `${this.at(nodeId)}/nodes/${nodeId}/node.json`;
    const { grpc } = JSON.parse(await Deno.readTextFile(file));
    const [host, port] = grpc.split(":");
    return { host, port: Number(port) };
  }

  /** The transport of a member that says of itself what it wants to. */
  async transport(minting: Minting): Promise<LinkTransport> {
    const credentials = [await memberCredentials(this.key, minting)];
    const security = { credentials: () => credentials, verifiesPeers: true, admits: () => true };
    return grpcTransport({ security });
  }

  /** A member that nobody gets a link to, and what it gives for a reason. */
  async refuser(reason: string): Promise<FrameListener> {
    const transport = await this.transport({ label: "refuser" });
    const listener = await transport.listen({ host: "127.0.0.1", port: 0 }, (stream) => {
      new RawPeer(stream).send({
        kind: Kind.Goodbye,
        errorCode: "PERMISSION_DENIED",
        body: reason,
      });
    });
    this.#stack.defer(() => listener.close());
    return listener;
  }

  /** What a node and the commands of its machine say of everything that there is. */
  async askAll(nodeId: string): Promise<string> {
    const here = `--data-dir=${this.at(nodeId)}`;
    const shown: string[] = [];
    for (
      const args of [
        ["status"],
        ["peers"],
        ["agents"],
        ["doctor"],
        ["doctor", "evil"],
        ["key", "list"],
      ]
    ) {
      shown.push(await harmless([...args, here]));
      const { stdout } = await commandLine([...args, "--json", here]);
      assertCleaned(args.join(" "), JSON.parse(stdout));
    }
    // What an agent answers is shown without what acts, and told to programs as it is.
    for (
      const args of [
        ["run", "x", "--agent=liar"],
        ["run", "fail", "--agent=liar"],
        ["run", "data", "--agent=liar"],
        ["run", "data", "--agent=liar", "--all"],
        ["run", "x", "--agent=nobody"],
      ]
    ) shown.push(await harmless([...args, here]));
    return shown.join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** What a hostile member says of itself. */
const DESCRIPTION: Partial<NodeDescription> = {
  network: "hanzo",
  version: HOSTILE,
  capabilities: {
    model: HOSTILE,
    chip: HOSTILE,
    memory: 1_024,
    vram: 1_024,
    unifiedMemory: false,
    flops: { fp32: 1, fp16: 2, int8: 4 },
    cores: 4,
    gpus: [{
      name: HOSTILE,
      vendor: "nvidia",
      memory: 1_024,
      unified: false,
      flops: { fp32: 1, fp16: 2, int8: 4 },
    }],
    os: HOSTILE,
    arch: HOSTILE,
  },
  agents: [{
    name: "liar",
    description: HOSTILE,
    workload: "light",
    idempotent: true,
    tools: [],
    requirements: { chip: undefined },
  }],
};

Deno.test("nothing that a hostile member says of itself, answers or refuses with comes through raw", async () => {
  await withTempDir(async (directory) => {
    await using scene = new Scene(directory);
    const ring = newKeyring("hanzo", scene.key);
    await Promise.all(["A", "B"].map((nodeId) => keepKeyring(scene.at(nodeId), ring)));
    const refuser = await scene.refuser(HOSTILE);
    const peer = `--peer=127.0.0.1:${refuser.address.port}`;
    const list = `--config=${directory}/${HOSTILE.replaceAll("/", "")}.json`;
    const nodes = [scene.up("A", peer, list), scene.up("B", "--json", peer, list)];
    await Promise.all([nodes[0].until("is up in network"), nodes[1].until('"ready"')]);

    const evil = makePool("evil", {
      host: "127.0.0.1",
      transport: await scene.transport({ label: "evil" }),
      clock: systemClock,
      description: DESCRIPTION,
      onCall(call) {
        const { prompt } = JSON.parse(new TextDecoder().decode(call.body));
        call.begin();
        void call.send(JSON.stringify({ type: "token", text: HOSTILE.replaceAll(/[\n\t]/g, "") }));
        void call.send(JSON.stringify({ type: "tool-call", tool: HOSTILE, arguments: HOSTILE }));
        if (prompt === "fail") return call.fail(new NetworkError("AGENT_FAILED", HOSTILE));
        const data = prompt === "data" ? { [HOSTILE]: HOSTILE, state: HOSTILE } : undefined;
        call.end(JSON.stringify({ output: `${HOSTILE.replaceAll(/[\n\t]/g, "")}!`, data }));
      },
    });
    await using stack = new AsyncDisposableStack();
    stack.defer(() => evil.pool.close());
    for (const nodeId of ["A", "B"]) {
      const address = await scene.addressOf(nodeId);
      const link = await evil.pool.dial([address]);
      link.notify("keyring", JSON.stringify({ [HOSTILE]: HOSTILE }));
      link.notify("description", JSON.stringify({ nodeId: HOSTILE }));
      link.notify("membership", HOSTILE);
      link.notify(HOSTILE, HOSTILE);

      // Others that say they are somebody, each with a certificate that says something else.
      const mintings: Minting[] = [
        { label: HOSTILE },
        { label: "evil\x1b[31m" },
        { label: "", dnsNames: ["\x1b[31mevil.example"] },
        { label: "evil" },
      ];
      for (const minting of mintings) {
        const other = makePool("evil", {
          host: "127.0.0.1",
          transport: await scene.transport(minting),
          clock: systemClock,
          description: { ...DESCRIPTION, bootId: "OTHER" },
        });
        await assertRejects(() => other.pool.dial([address]), NetworkError);
        await other.pool.close();
      }

      // Whoever joins says what it is called by its certificate, too.
      const invited = await commandLine(["invite", "--json", `--data-dir=${scene.at(nodeId)}`]);
      const code = decodeJoinCode(JSON.parse(invited.stdout).uri);
      assert(code.kind === "invite");
      const { signal } = new AbortController();
      const keep = () => Promise.resolve();
      const needs = { keep, clock: systemClock, signal };
      await assertRejects(() => joinByInvite(code, { ...needs, name: HOSTILE }), NetworkError);
      await joinByInvite(code, { ...needs, name: "joiner" });

      await eventually(async () =>
        (await commandLine(["agents", `--data-dir=${scene.at(nodeId)}`]))
          .stdout.includes("liar"), { what: "the hostile agent" });
      const shown = await scene.askAll(nodeId);
      // It was there, and it was refused: without that this test would say nothing.
      for (const seen of ["gpu]0;owned", "evil", "liar", "Nobody is linked at 127.0.0.1"]) {
        assertStringIncludes(shown, seen);
      }
    }
    nodes[0].kill("SIGTERM");
    nodes[1].kill("SIGTERM");
    for (const node of nodes) {
      const { stdout, stderr } = await node.ended();
      assertHarmless("stdout of up", stdout);
      assertHarmless("stderr of up", stderr);
      assertStringIncludes(stderr, "joiner");
      assertStringIncludes(stdout + stderr, "evil");
    }
  });
});

Deno.test("a network that was given a hostile name by hand is started under a harmless one", async () => {
  await withTempDir(async (directory) => {
    await using scene = new Scene(directory);
    const ring = newKeyring(HOSTILE.slice(0, 100), scene.key);
    await Promise.all(["A", "B"].map((nodeId) => keepKeyring(scene.at(nodeId), ring)));
    const nodes = [scene.up("A"), scene.up("B", "--json")];
    await Promise.all([nodes[0].until("joined B"), nodes[1].until('"peer-joined","nodeId":"A"')]);
    assertStringIncludes(await scene.askAll("A"), "Network gpu]0;owned");
    for (const node of nodes) node.kill("SIGTERM");
    for (const node of nodes) {
      const { stdout, stderr } = await node.ended();
      assertHarmless("output of up", stdout + stderr);
    }
  });
});

Deno.test("what is typed after up comes back harmless", async () => {
  await withTempDir(async (directory) => {
    await using scene = new Scene(directory);
    const typed = [
      `--name=${HOSTILE}`,
      `--node-id=${HOSTILE}`,
      `--agents=${HOSTILE}`,
      `--peer=${HOSTILE}`,
      `--open=${HOSTILE}`,
      `--tls-cert=${HOSTILE}`,
      `--log-level=${HOSTILE}`,
      `--discovery=${HOSTILE}`,
    ];
    await Promise.all(typed.map(async (option, i) => {
      const json = i % 2 === 0 ? ["--json"] : [];
      const { code, stdout, stderr } = await scene.up(`node${i}`, option, ...json).ended();
      assertEquals(code, 2, `${JSON.stringify(option)}: ${stderr}`);
      assertHarmless(`stdout of up ${option.slice(0, 12)}`, stdout);
      assertHarmless(`stderr of up ${option.slice(0, 12)}`, stderr);
    }));
  });
});

Deno.test("an open node shows what peers of other programs call themselves, and nothing of it acts", async () => {
  await withTempDir(async (directory) => {
    await using scene = new Scene(directory);
    const nodes = [scene.up("A", "--open"), scene.up("B", "--open", "--json")];
    await Promise.all([nodes[0].until("is up in network"), nodes[1].until('"ready"')]);
    const beacon = {
      type: "discovery",
      node_id: HOSTILE.slice(0, 100),
      grpc_port: 9,
      priority: 4,
      interface_name: HOSTILE,
      interface_type: HOSTILE,
      device_capabilities: {
        model: HOSTILE,
        chip: HOSTILE,
        memory: 1_024,
        flops: { fp32: 1, fp16: 2, int8: 4 },
      },
    };
    const here = `--data-dir=${scene.at("A")}`;
    const bytes = new TextEncoder().encode(JSON.stringify(beacon));
    const socket = await systemDatagrams().bind(
      { host: "127.0.0.1", port: 0 },
      { shared: false },
      () => {},
    );
    try {
      await eventually(async () => {
        await socket.send(bytes, { host: "127.255.255.255", port: scene.broadcastPort });
        return (await commandLine(["peers", here])).stdout.includes("exo");
      }, { what: "the peer of another program" });
    } finally {
      socket.close();
    }
    for (const args of [["status"], ["peers"], ["doctor"], ["agents"]]) {
      await harmless([...args, here]);
      const { stdout } = await commandLine([...args, "--json", here]);
      assertCleaned(args.join(" "), JSON.parse(stdout));
    }
    for (const node of nodes) node.kill("SIGTERM");
    for (const node of nodes) {
      const { stdout, stderr } = await node.ended();
      assertHarmless("output of up", stdout + stderr);
    }
  });
});

const unavailable = await lanUnavailable();

Deno.test({
  name: "an interface may be called whatever its owner likes",
  ignore: skipUnless(unavailable === undefined, `hosts on a LAN: ${unavailable}`),
  fn: () =>
    withTempDir(async (directory) => {
      await using lan = await Lan.of("H");
      const called = "\x1b[31m\x9b\u202ex";
      const ip = (...args: string[]) => lan.start("H", "ip", args).status;
      assertEquals((await ip("link", "add", called, "type", "bridge")).code, 0);
      assertEquals((await ip("addr", "add", "10.88.0.1/24", "dev", called)).code, 0);
      assertEquals((await ip("link", "set", called, "up")).code, 0);
      for (const args of [["doctor"], ["doctor", "--json"]]) {
        const process = lan.start(
          "H",
          Deno.execPath(),
          programArgs(...args, `--data-dir=${directory}`),
        );
        const lines = await Array.fromAsync(process.lines());
        assertStringIncludes(lines.join("\n"), "10.88.0.1");
        assertHarmless(args.join(" "), `${lines.join("\n")}${process.stderrText()}`);
      }
    }),
});
