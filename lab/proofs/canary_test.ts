/**
 * Secrets stay where they belong: a network with a known key is used in every way there is, and
 * whatever anybody could see of that is searched for the key, and for all that follows from it.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { createPrivateKey } from "node:crypto";
import { decodeJoinCode, encodeJoinCode } from "../../src/security/join_code.ts";
import { encodeKeyring, type Keyring, newKeyring } from "../../src/security/keyring.ts";
import { KeyringFile } from "../../src/security/keyring_file.ts";
import {
  AUTHORITY_SECRET_BYTES,
  deriveSecret,
  NetworkKey,
} from "../../src/security/network_key.ts";
import { silentLogger } from "../../src/base/log.ts";
import { networkAuthority } from "../../tests/support/certificates.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { freeUdpPort, keepKeyring } from "../../tests/support/nodes.ts";
import { type Secret, SecretSearch } from "../../tests/support/secret_search.ts";
import { skipUnless } from "../../tests/support/skip.ts";
import { withTempDir } from "../../tests/support/temp.ts";
import { Witness, type Witnessed } from "../../tests/support/witness.ts";

const ignore = skipUnless(Deno.build.os === "linux", "other systems have no /proc to look into");

/** Half of it is text, so that it also shows where bytes are taken for UTF-8. */
const CANARY = Uint8Array.from([
  ...new TextEncoder().encode("Canary/7Gh#pQ2v!"),
  ...[
    0xf1,
    0x80,
    0x1b,
    0xc3,
    0xff,
    0x9d,
    0x02,
    0xae,
    0xd4,
    0x6b,
    0x97,
    0xe8,
    0x05,
    0xba,
    0xcc,
    0x91,
  ],
]);
/** Of the network that it is the key of. */
const KEY = "the network's key";

/** What follows from a network key, and how much of it; the tag is public. */
const PURPOSES: Record<string, number> = {
  authority: AUTHORITY_SECRET_BYTES,
  beacon: 32,
  "beacon check": 8,
};

/** Nodes and commands of this program, and who sees them. */
class Scene implements AsyncDisposable {
  readonly directory: string;
  readonly witness: Witness;
  readonly #port = freeUdpPort();
  readonly #secrets = new Map<string, Secret>();

  constructor(directory: string) {
    this.directory = directory;
    this.witness = new Witness(`${directory}/temporary`);
  }

  static async open(directory: string): Promise<Scene> {
    const scene = new Scene(directory);
    for (const name of ["temporary", "cwd", "told"]) await Deno.mkdir(`${directory}/${name}`);
    await scene.witness.listen(scene.#port);
    await scene.addKey(KEY, NetworkKey.from(CANARY));
    return scene;
  }

  /** The data directory of a machine. */
  at(machine: string): string {
    return `${this.directory}/${machine}`;
  }

  /** Makes a machine one of the network. */
  async keep(machine: string): Promise<void> {
    await keepKeyring(this.at(machine), newKeyring("hanzo", NetworkKey.from(CANARY)));
  }

  up(machine: string, nodeId: string, ...args: string[]): Witnessed {
    return this.witness.start([
      "up",
      "--log-level=debug",
      `--node-id=${nodeId}`,
      `--data-dir=${this.at(machine)}`,
      `--broadcast-port=${this.#port}`,
      "--network-interface=lo",
      "--listen-port=0",
      "--api-port=0",
      ...args,
    ], { cwd: this.at("cwd") });
  }

  /** Runs commands on a machine; says what each of them printed. */
  async on(
    machine: string,
    commands: readonly string[][],
    options: { mayShow?: readonly string[]; stdin?: string; code?: number | "any" } = {},
  ): Promise<string[]> {
    const outcomes = await Promise.all(
      commands.map((command) =>
        this.witness.run([...command, `--data-dir=${this.at(machine)}`], {
          ...options,
          cwd: this.at("cwd"),
        })
      ),
    );
    return outcomes.map(({ code, stdout, stderr }, i) => {
      const expected = options.code === "any" ? code : options.code ?? 0;
      assertEquals(code, expected, `${commands[i].join(" ")}: ${stderr}`);
      return stdout + stderr;
    });
  }

  /** What the API of a node answers to a request. */
  async api(machine: string, nodeId: string, path: string, init: RequestInit = {}) {
    const { api } = JSON.parse(await this.#read(machine, nodeId, "node.json"));
    const token = await this.#read(machine, nodeId, "token");
    const response = await fetch(`${api}${path}`, {
      ...init,
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        ...init.headers,
      },
    });
    const head = JSON.stringify([...response.headers]);
    const note = (body: string) => this.witness.note(`the API's answers`, `${head}\n${body}`);
    return { response, note };
  }

  /** Takes down what a node tells of the network until it stops. */
  async follow(machine: string, nodeId: string): Promise<void> {
    const { response } = await this.api(machine, nodeId, "/control/v1/events");
    try {
      for await (const piece of response.body!) this.witness.note("the API's events", piece);
    } catch {
      // The node has stopped.
    }
  }

  /** Looks for this, too. */
  add(name: string, bytes: Uint8Array): string {
    this.#secrets.set(name, { name, bytes });
    return name;
  }

  async addKey(name: string, key: NetworkKey): Promise<void> {
    this.add(name, key.reveal());
    for (const [purpose, length] of Object.entries(PURPOSES)) {
      this.add(`${name}: ${purpose}`, key.derive(purpose, length));
    }
    const { keys: { privateKey } } = await networkAuthority(key);
    const { d } = await crypto.subtle.exportKey("jwk", privateKey);
    this.add(`${name}: the authority's scalar`, Buffer.from(d!, "base64url"));
  }

  /** Whatever an invite's code holds. */
  addInvite(uri: string): string {
    const code = decodeJoinCode(uri);
    assert(code.kind === "invite");
    const name = this.add(`invite ${this.#secrets.size}`, code.secret);
    const authority = deriveSecret(code.secret, "invite-authority", AUTHORITY_SECRET_BYTES);
    this.add(`${name}: authority`, authority);
    return name;
  }

  /** What is a running node's own. */
  async addNode(machine: string, nodeId: string): Promise<void> {
    const { privateKey } = JSON.parse(await this.#read(machine, nodeId, "identity.json"));
    const { d } = createPrivateKey(privateKey).export({ format: "jwk" });
    this.add(`${nodeId}'s private key`, Buffer.from(d!, "base64url"));
    const token = await this.#read(machine, nodeId, "token");
    this.add(`${nodeId}'s token`, Buffer.from(token, "base64url"));
  }

  /** The keys that a machine has by now. */
  async addKeysOf(machine: string): Promise<Keyring> {
    const ring = await new KeyringFile(this.at(machine), silentLogger).read();
    assert(ring !== undefined);
    for (const { key } of ring.keys) {
      if (!Buffer.from(key.reveal()).equals(CANARY)) await this.addKey(`key ${key.tag}`, key);
    }
    return ring;
  }

  /** Files with what may be in them: keys in a keyring, a node's own key pair where it is kept. */
  async noteFiles(): Promise<void> {
    const names = [...this.#secrets.keys()];
    await this.witness.noteFiles(this.directory, (path) => {
      const [, nodeId, file] = /nodes\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
      if (path.endsWith("/keyring.json")) {
        return names.filter((name) => name === KEY || /^key [0-9a-f]+$/.test(name));
      }
      if (file === "identity.json") return [`${nodeId}'s private key`];
      return file === "token" ? [`${nodeId}'s token`] : [];
    });
  }

  /** What was seen that should not have been, and where. */
  findings(pieceBytes?: number): string[] {
    const search = new SecretSearch([...this.#secrets.values()], pieceBytes);
    return this.witness.sights().flatMap(({ where, bytes, mayShow }) => {
      const names = search.find(bytes).filter((name) => !mayShow.includes(name));
      if (names.length === 0) return [];
      const lines = Buffer.from(bytes).toString("utf8").split("\n");
      const shown = lines.filter((line) => search.find(line).length > 0);
      return [`${where} shows ${names.join(", ")}: ${shown.join("\n")}`];
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.witness[Symbol.asyncDispose]();
  }

  async #read(machine: string, nodeId: string, file: string): Promise<string> {
    return await Deno.readTextFile(`${this.at(machine)}/nodes/${nodeId}/${file}`);
  }
}

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return (bits.match(/.{1,5}/g) ?? []).map((five) => BASE32[parseInt(five.padEnd(5, "0"), 2)])
    .join("");
}

/** How a secret may come to stand somewhere. */
const WRITINGS: Record<string, (bytes: Uint8Array) => string | Uint8Array> = {
  "as it is": (bytes) => bytes,
  "as text of one byte a letter": (bytes) => Buffer.from(bytes).toString("latin1"),
  "as such a text in JSON": (bytes) => JSON.stringify(Buffer.from(bytes).toString("latin1")),
  "as such a text, inspected": (bytes) => Deno.inspect([Buffer.from(bytes).toString("latin1")]),
  hexadecimal: (bytes) => bytes.toHex(),
  "hexadecimal, capital": (bytes) => bytes.toHex().toUpperCase(),
  "hexadecimal with colons": (bytes) => bytes.toHex().match(/../g)!.join(":"),
  "hexadecimal with blanks": (bytes) => bytes.toHex().match(/../g)!.join(" "),
  "hexadecimal numbers": (bytes) =>
    [...bytes].map((byte) => `0x${byte.toString(16).padStart(2, "0")}`)
      .join(", "),
  "as of a shell": (bytes) => bytes.toHex().replaceAll(/../g, "\\x$&"),
  "as of a URL": (bytes) => bytes.toHex().replaceAll(/../g, "%$&"),
  base64: (bytes) => bytes.toBase64(),
  "base64 without padding": (bytes) => bytes.toBase64({ omitPadding: true }),
  base64url: (bytes) => bytes.toBase64({ alphabet: "base64url", omitPadding: true }),
  base32,
  "base32 in small letters": (bytes) => base32(bytes).toLowerCase(),
  decimal: (bytes) => [...bytes].join(","),
  "decimal with blanks": (bytes) => [...bytes].join(", "),
  "a JSON array": (bytes) => JSON.stringify([...bytes]),
  "a JSON object": (bytes) => JSON.stringify(bytes),
  "bytes, inspected": (bytes) => Deno.inspect(bytes, { iterableLimit: 999 }),
  reversed: (bytes) => bytes.toReversed(),
  "reversed, then hexadecimal": (bytes) => bytes.toReversed().toHex(),
  "hexadecimal, then reversed": (bytes) => [...bytes.toHex()].reverse().join(""),
  "base64, then reversed": (bytes) => [...bytes.toBase64()].reverse().join(""),
};

Deno.test("the search finds a secret, and any twelve bytes of it, however they are written", () => {
  const search = new SecretSearch([{ name: "it", bytes: CANARY }]);
  for (const [how, write] of Object.entries(WRITINGS)) {
    for (let at = 0; at + 12 <= CANARY.length; at++) {
      // What stands before it moves it to every place within a character of the writing.
      for (const before of [0, 1, 2, 3, 4]) {
        const other = new Uint8Array(before).fill(0xe5);
        const written = write(Buffer.concat([other, CANARY.subarray(at, at + 12), other]));
        const around = [Buffer.from("key: "), Buffer.from(written), Buffer.from("\n")];
        assertEquals(search.find(Buffer.concat(around)), ["it"], `${how}, from byte ${at}`);
      }
    }
    assertEquals(search.find(write(CANARY)), ["it"], how);
  }
  const keen = new SecretSearch([{ name: "it", bytes: CANARY }], 6);
  const [, snippet] = /^(.{10})/.exec(CANARY.toBase64())!;
  assertEquals([search.find(snippet), keen.find(`"key":${snippet}"...`)], [[], ["it"]]);
  assertEquals(search.find(BigInt(`0x${CANARY.toHex()}`).toString()), ["it"], "one number");
  assertEquals(search.find(`{"id":"${CANARY.slice(0, 9).toHex()}"}`), [], "nine bytes are chance");
  const others = crypto.getRandomValues(new Uint8Array(10_000));
  for (const write of Object.values(WRITINGS)) assertEquals(search.find(write(others)), []);
});

Deno.test("everything that is derived from a key or an invite is looked for", async () => {
  const purposes = new Set<string>();
  const look = async (directory: URL): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(directory)) {
      if (isDirectory) await look(new URL(`${name}/`, directory));
      else {
        const source = await Deno.readTextFile(new URL(name, directory));
        const calls = source.matchAll(/\bderive(?:Secret)?\((?:\s*[\w.#]+,)?\s*"([^"]+)"/g);
        for (const [, purpose] of calls) purposes.add(purpose);
      }
    }
  };
  await look(new URL("../../src/", import.meta.url));
  const known = [...Object.keys(PURPOSES), "invite-authority"];
  // Both tags are what a key and an invite are called in public.
  assertEquals([...purposes].sort(), [...known, "tag", "invite-tag"].sort());
});

/** A stand-in for Tailscale's command: it tells whom it was called by, and as what. */
const TAILSCALE = `#!/bin/sh
{ tr '\\0' '\\n' < /proc/$$/environ; tr '\\0' ' ' < /proc/$$/cmdline; ls -l /proc/$$/fd
  tr '\\0' '\\n' < /proc/$PPID/environ; tr '\\0' ' ' < /proc/$PPID/cmdline; } > "$(dirname "$0")/seen"
echo '{"BackendState":"Running","Self":{"TailscaleIPs":["100.64.0.1"]},"Peer":{}}'
`;

Deno.test({
  name: "whatever two nodes and their commands do, no secret is seen where it does not belong",
  ignore,
  fn: () =>
    withTempDir(async (directory) => {
      await using scene = await Scene.open(directory);
      const { witness } = scene;
      await Promise.all([scene.keep("home"), scene.keep("away")]);
      await Deno.writeTextFile(`${directory}/told/tailscale`, TAILSCALE, { mode: 0o755 });
      const a = scene.up("home", "A", "--json", `--tailscale=${directory}/told/tailscale`);
      const b = scene.up("away", "B");
      await Promise.all([a.until('"peer-joined","nodeId":"B"'), b.until("joined A")]);
      await Promise.all([scene.addNode("home", "A"), scene.addNode("away", "B")]);
      const told = scene.follow("home", "A");

      const asked = [
        ["status"],
        ["peers"],
        ["doctor"],
        ["agents"],
        ["key", "list"],
        ["run", "2^10", "--agent=calculator", "--node=B"],
        ["run", "now", "--agent=monitor", "--all"],
      ];
      await scene.on("home", asked);
      await scene.on("away", asked.map((command) => [...command, "--json"]));
      await scene.on("home", [["run", "x", "--agent=nobody"], ["key", "evict", "nobody"]], {
        code: 1,
      });
      for (const route of ["status", "peers", "agents", "doctor", "tasks", "keys", "nowhere"]) {
        const { response, note } = await scene.api("home", "A", `/control/v1/${route}`);
        note(await response.text());
      }
      const wrong: Record<string, string>[] = [
        { authorization: "Bearer wrong" },
        { origin: "http://example.com" },
      ];
      for (const headers of wrong) {
        const { response, note } = await scene.api("home", "A", "/control/v1/keys", { headers });
        note(await response.text());
      }

      // Codes, which show what they are there to show and nothing else.
      const fixed = { mayShow: [KEY] };
      const [asText] = await scene.on("home", [["invite", "--static"]], fixed);
      const [, staticCode] = /^(HANZO:\S+)$/m.exec(asText)!;
      const search = new SecretSearch([{ name: KEY, bytes: CANARY }]);
      assertEquals(search.find(asText), [KEY], "a static code is the key");
      const invites: string[] = [];
      for (const [machine, ...options] of [["home"], ["away", "--json"], ["home", "--json"]]) {
        const mayShow: string[] = [];
        const [shown] = await scene.on(machine, [["invite", ...options]], { mayShow });
        const [uri] = /HANZO:1\/[A-Z2-7]+/.exec(shown)!;
        mayShow.push(scene.addInvite(uri));
        invites.push(uri);
      }
      const pictures = [`--png=${directory}/code.png`, `--svg=${directory}/code.svg`];
      await scene.on("home", [["invite", ...pictures]]);

      // Joining, in every way and in every wrong one.
      await scene.on("guest", [["join", witness.typed(invites[0])]]);
      assertStringIncludes(
        (await scene.on("late", [["join", "-"]], { stdin: invites[0], code: 1 }))[0],
        "has been used",
      );
      await scene.on("second", [["join", "-"]], { stdin: invites[1] });
      await scene.on("third", [["join", "--json", `${directory}/code.png`]]);
      await scene.on("fourth", [["join", "-"]], { stdin: staticCode });
      const mistyped = (code: string) => code.replace(/.(?=.{9}$)/, (c) => c === "A" ? "B" : "A");
      for (const code of [staticCode, invites[2]]) {
        const stdin = [mistyped(code), code.slice(0, -5), `${code}!`, code.slice(8), code.slice(2)];
        for (const text of stdin) await scene.on("late", [["join", "-"]], { stdin: text, code: 1 });
      }
      // What is typed on a command line stands in the list of processes; it is not said again.
      for (const typed of [mistyped(invites[2]), invites[2].slice(8), staticCode.slice(8)]) {
        await scene.on("late", [["join", witness.typed(typed)]], { code: 1 });
      }
      for (const typed of [staticCode, ` ${staticCode}`, staticCode.replace("HANZO", "HAN-ZO")]) {
        await scene.on("late", [["join", witness.typed(typed), "--json"]], { code: 2 });
      }
      const c = scene.up("guest", "C", "--json");
      await c.until('"peer-joined","nodeId":"A"');
      await scene.addNode("guest", "C");

      // New keys, which are no less secret.
      await scene.on("home", [["key", "rotate"]]);
      await eventually(async () => (await scene.addKeysOf("guest")).keys.length === 2, {
        what: "the new key on the guest",
      });
      await scene.on("away", [["key", "evict", "C", "--keep=A", "--json"]]);
      await eventually(async () => (await scene.addKeysOf("home")).keys.length === 3, {
        what: "the new key at home",
      });
      await scene.on("home", [["key", "forget", "B"], ["key", "list"], ["status"]]);
      await scene.on("home", [["doctor"], ["doctor", "C"]], { code: "any" });
      for (const node of [a, b, c]) node.kill("SIGTERM");
      for (const node of [a, b, c]) assertEquals((await node.ended()).code, 0);
      await told;
      await scene.noteFiles();

      const places = witness.places();
      for (
        const place of ["/proc/PID/cmdline", "/proc/PID/environ", "the wire", "the API's answers"]
      ) {
        assert(places.has(place), `${place} was not seen`);
      }
      assert(places.has(`${directory}/told/seen`) && places.has(`${directory}/home/keyring.json`));
      assertStringIncludes(b.output.stderr, "DBG");
      assertEquals(scene.findings(), []);
    }),
});

/** The file of a keyring with one fault each, and the key in it all the same. */
function damagedKeyrings(): string[] {
  const text = encodeKeyring(newKeyring("hanzo", NetworkKey.from(CANARY)));
  const key = CANARY.toBase64({ alphabet: "base64url", omitPadding: true });
  const end = text.indexOf(key) + key.length;
  return [
    text.slice(0, -1),
    text.slice(0, end - 5),
    text.slice(0, end),
    `${text}${text}`,
    text.replace(`"${key}"`, key),
    text.replace(key, `${key}A`),
    text.replace(key, `${key.slice(0, 20)}\n${key.slice(20)}`),
    text.replace('"epoch":1', `"epoch":"${key}"`),
    text.replace('"version":1', `"version":"${key}"`),
    text.replace('"key"', `"${key}"`),
    JSON.stringify(key),
    key,
  ];
}

/** Whatever an agent may do to the process that it is in. */
const BROKEN_AGENTS = `
import { createAgent } from ${JSON.stringify(new URL("../../mod.ts", import.meta.url))};
const agent = (name, run) => createAgent({ name, description: name, run });
export default [
  agent("throws", () => { throw new Error("thrown", { cause: new Error("below") }); }),
  agent("strays", async () => {
    Promise.reject(new Error("not awaited"));
    setTimeout(() => { throw new Error("thrown by a timer"); });
    await new Promise((resolve) => setTimeout(resolve, 10));
    return "on";
  }),
  agent("overflows", function deep() { return deep() + deep(); }),
  agent("circles", () => { const data = {}; data.data = data; return { output: "", data }; }),
];
`;

Deno.test({
  name: "whatever goes wrong, no secret is told: damaged files, broken agents, crashes",
  ignore,
  fn: () =>
    withTempDir(async (directory) => {
      await using scene = await Scene.open(directory);
      const damaged = await Promise.all(
        damagedKeyrings().map(async (text, i) => {
          await Deno.mkdir(scene.at(`damaged${i}`));
          await Deno.writeTextFile(`${scene.at(`damaged${i}`)}/keyring.json`, text, {
            mode: 0o600,
          });
          return `damaged${i}`;
        }),
      );
      const invite = { code: 1 } as const;
      for (let i = 0; i < damaged.length; i += 3) {
        await Promise.all(
          damaged.slice(i, i + 3).map((machine, n) =>
            scene.on(machine, [["invite", "--static", ...n === 0 ? ["--json"] : []]], invite)
          ),
        );
      }
      const code = encodeJoinCode({
        kind: "static",
        key: NetworkKey.generate(),
        networkTag: "",
        networkName: "other",
        nodeId: "",
        fingerprint: new Uint8Array(16),
        addresses: [],
        capabilities: { chip: "", memoryMB: 0, fp16Tflops: 0 },
      });
      await scene.on(damaged[4], [["join", "-"], ["join", "-", "--leave"]], {
        code: 1,
        stdin: code,
      });
      for (const machine of [damaged[1], damaged[4]]) {
        assertEquals((await scene.up(machine, "D").ended()).code, 1);
      }

      // A key that others could read, and a node in whose process everything fails.
      await scene.keep("home");
      await Deno.chmod(`${scene.at("home")}/keyring.json`, 0o644);
      await Deno.writeTextFile(`${directory}/agents.ts`, BROKEN_AGENTS);
      const a = scene.up("home", "A", `--agents=${directory}/agents.ts`);
      await a.until("is up in network");
      assertStringIncludes(a.output.stderr, "could be read by others");
      await scene.addNode("home", "A");
      await scene.on("home", [
        ["run", "x", "--agent=throws"],
        ["run", "x", "--agent=overflows", "--json"],
        ["run", "x", "--agent=circles"],
        ["run", "x", "--agent=strays"],
      ], { code: "any" });
      await a.until("thrown by a timer");

      // Its files are spoilt while it runs.
      const [whole, spoilt] = [damagedKeyrings()[3], damagedKeyrings()[4]];
      await Deno.writeTextFile(`${scene.at("home")}/keyring.json`, spoilt);
      await a.until("Cannot read the network's key");
      await scene.on("home", [["key", "rotate"], ["key", "rotate", "--json"]], { code: 1 });
      await Deno.writeTextFile(
        `${scene.at("home")}/keyring.json`,
        whole.slice(0, whole.length / 2),
      );

      // It crashes, and is started anew with files that are spoilt.
      await scene.keep("home");
      const signals: Deno.Signal[] = ["SIGABRT", "SIGQUIT", "SIGTRAP"];
      a.kill("SIGKILL");
      await a.ended();
      await Promise.all(signals.map(async (signal) => {
        const node = scene.up("home", signal, "--json");
        await node.until('"ready"');
        await scene.addNode("home", signal);
        node.kill(signal);
        await node.ended();
      }));
      const path = `${scene.at("home")}/nodes/A/identity.json`;
      const identity = await Deno.readTextFile(path);
      for (
        const text of [identity.slice(0, 150), identity.replace('"privateKey":"', '"privateKey":')]
      ) {
        await Deno.writeTextFile(path, text);
        assertEquals((await scene.up("home", "A").ended()).code, 1);
      }
      for (const text of ["throw new Error('broken');", "export default {"]) {
        await Deno.writeTextFile(`${directory}/broken.ts`, text);
        await scene.up("home", "E", `--agents=${directory}/broken.ts`).ended();
      }
      for (const machine of damaged) await Deno.remove(scene.at(machine), { recursive: true });
      await scene.noteFiles();
      // Less than elsewhere: what is wrong with a text is often told by a few letters of it.
      assertEquals(scene.findings(6), []);
    }),
});
