/**
 * A real node with a key, and everything that people could come to it with: what its network has
 * given away, and what strangers make up.
 *
 * @module
 */

import { silentLogger } from "../src/base/log.ts";
import { decodeJoinCode } from "../src/security/join_code.ts";
import { type Credentials, NodeIdentity } from "../src/security/identity.ts";
import type { InviteCode } from "../src/link/joining.ts";
import { KeyringFile } from "../src/security/keyring_file.ts";
import type { NetworkKey } from "../src/security/network_key.ts";
import { runningNodes } from "../src/network/data_directory.ts";
import { hanzo, peerEvent, ready, TestMachine } from "../tests/support/nodes.ts";
import type { TestProcess } from "../tests/support/process.ts";

/** What the member whose place others would like to take is called. */
export const VICTIM = "victim";
/** What the member is called that was put out. */
export const EVICTED = "evicted";

/** See the top of the file. */
export class Fortress implements AsyncDisposable {
  readonly #nodes: TestProcess[];
  /** Where links are accepted. */
  readonly grpc: { host: string; port: number };
  /** The base URL of the HTTP API, and its token. */
  readonly api: string;
  readonly token: string;
  /** Tokens of other nodes: of another network, and of an earlier start of this one. */
  readonly otherTokens: { foreign: string; former: string; evicted: string };
  /** The newest key, the one before the last eviction, and one whose grace has ended. */
  readonly key: NetworkKey;
  readonly keyBeforeEviction: NetworkKey;
  readonly rotatedOut: NetworkKey;
  /** What the evicted node showed. */
  readonly evicted: Credentials;
  /** What programs in other languages show: one that counts, and one from before the eviction. */
  readonly client: Credentials;
  readonly formerClient: Credentials;
  /** Invites: one that was used, and those that are good. */
  readonly usedInvite: InviteCode;
  readonly goodInvites: InviteCode[];

  private constructor(nodes: TestProcess[], parts: Omit<Fortress, keyof Methods>) {
    this.#nodes = nodes;
    this.grpc = parts.grpc;
    this.api = parts.api;
    this.token = parts.token;
    this.otherTokens = parts.otherTokens;
    this.key = parts.key;
    this.keyBeforeEviction = parts.keyBeforeEviction;
    this.rotatedOut = parts.rotatedOut;
    this.evicted = parts.evicted;
    this.client = parts.client;
    this.formerClient = parts.formerClient;
    this.usedInvite = parts.usedInvite;
    this.goodInvites = parts.goodInvites;
  }

  /** Starts the node, lets it meet others, and takes away again what some of them had. */
  static async build(directory: string): Promise<Fortress> {
    const [here, there, elsewhere] = ["here", "there", "elsewhere"].map((name) =>
      `${directory}/${name}`
    );
    const machine = new TestMachine(here);
    const first = machine.up("fortress");
    await ready(first);
    const former = (await runningNodes(here))[0].token;
    first.kill();
    await first.status;

    const fortress = machine.up("fortress");
    const { api, grpc } = await ready(fortress);
    const [host, port] = grpc.split(":");
    const keyOf = async (dataDirectory: string) =>
      (await new KeyringFile(dataDirectory, silentLogger).read())!.keys[0].key;
    const rotatedOut = await keyOf(here);
    await machine.askJson("fortress", "key", "rotate", "--grace=0");

    const invite = async () => {
      const { uri } = await machine.askJson<{ uri: string }>("fortress", "invite");
      const code = decodeJoinCode(uri);
      if (code.kind !== "invite") throw new Error("It is no invite.");
      return { uri, code };
    };
    const used = await invite();
    // The machine that will be put out joins as any does.
    const joined = await hanzo(["join", used.uri, `--data-dir=${there}`]);
    if (joined.code !== 0) throw new Error(`It could not join: ${joined.stderr}`);
    const other = new TestMachine(there, machine.broadcastPort);
    const [victim, evictedNode] = [machine.up(VICTIM), other.up(EVICTED)];
    await Promise.all([
      peerEvent(fortress, "peer-joined", VICTIM),
      peerEvent(fortress, "peer-joined", EVICTED),
    ]);
    const keyBeforeEviction = await keyOf(there);
    const clientFiles = async (name: string): Promise<Credentials> => {
      const files = `${directory}/${name}`;
      await machine.askJson("fortress", "key", "client", name, `--dir=${files}`);
      const [serverName, authority, certificate, privateKey] = await Promise.all(
        ["server-name", "ca.pem", "client.pem", "client.key"].map((file) =>
          Deno.readTextFile(`${files}/${file}`)
        ),
      );
      return { tag: serverName.split(".")[0], serverName, authority, certificate, privateKey };
    };
    const formerClient = await clientFiles("former-client");
    const identity = await NodeIdentity.keep(`${there}/nodes/${EVICTED}/identity.json`);
    const evicted = await identity.credentials(keyBeforeEviction, EVICTED);
    const evictedToken = (await runningNodes(there))[0].token;
    await machine.askJson("fortress", "key", "evict", EVICTED);
    evictedNode.kill();
    await evictedNode.status;
    // A label is its owner's also while that one is away.
    victim.kill();
    await victim.status;

    const stranger = new TestMachine(elsewhere).up("stranger");
    await ready(stranger);
    const foreign = (await runningNodes(elsewhere))[0].token;
    const running = (await runningNodes(here)).find(({ nodeId }) => nodeId === "fortress")!;
    return new Fortress([fortress, stranger], {
      grpc: { host, port: Number(port) },
      api,
      token: running.token,
      otherTokens: { foreign, former, evicted: evictedToken },
      key: await keyOf(here),
      keyBeforeEviction,
      rotatedOut,
      evicted,
      client: await clientFiles("client"),
      formerClient,
      usedInvite: used.code,
      goodInvites: [(await invite()).code, (await invite()).code],
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) await node[Symbol.asyncDispose]();
  }
}

type Methods = { [Symbol.asyncDispose](): Promise<void> };
