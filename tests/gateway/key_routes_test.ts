/** The routes for keys: what they answer, what they refuse, and that no key is ever in an answer. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { ErrorBody } from "../../src/gateway/control_api.ts";
import type { EvictAnswer, EvictBody } from "../../src/gateway/key_routes.ts";
import type { JoinQrFields } from "../../src/network/join_qr.ts";
import type { KeyList } from "../../src/network/network_keys.ts";
import { silentLogger } from "../../src/base/log.ts";
import { decodeJoinCode } from "../../src/security/join_code.ts";
import { type Keyring, newKeyring } from "../../src/security/keyring.ts";
import { KeyringFile } from "../../src/security/keyring_file.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { LocalNode } from "../support/local_node.ts";
import { keepKeyring } from "../support/nodes.ts";
import { SecretSearch } from "../support/secret_search.ts";
import { withTempDir } from "../support/temp.ts";

const KEY = NetworkKey.generate();
const NEIGHBOUR = "ab".repeat(32);
const ROUTES = ["invite", "keys/rotate", "keys/evict", "keys/forget", "keys/client"];

/** The API of a node whose network has a known key, and that has seen one neighbour before. */
class Api {
  readonly node: LocalNode;
  readonly directory: string;

  constructor(node: LocalNode, directory: string) {
    this.node = node;
    this.directory = directory;
  }

  get(route: string, headers: Record<string, string> = {}): Promise<Response> {
    return this.#fetch(route, { headers });
  }

  post(route: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return this.#fetch(route, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  }

  /** The keys, by the node itself. */
  list(): KeyList {
    return this.node.network.keys.list();
  }

  async kept(): Promise<Keyring> {
    return (await new KeyringFile(this.directory, silentLogger).read())!;
  }

  #fetch(route: string, init: RequestInit): Promise<Response> {
    const { gateway, token } = this.node;
    return fetch(`${gateway.url}/control/v1/${route}`, {
      ...init,
      headers: { authorization: `Bearer ${token}`, ...init.headers },
    });
  }
}

async function withApi(use: (api: Api) => Promise<void>, open = false): Promise<void> {
  await withTempDir(async (directory) => {
    await keepKeyring(directory, newKeyring("home", KEY));
    await Deno.mkdir(`${directory}/nodes/a`, { recursive: true });
    const nodes = [{ nodeId: "neighbour", identity: NEIGHBOUR, firstSeen: 1, lastSeen: 2 }];
    const known = JSON.stringify({ version: 1, nodes });
    await Deno.writeTextFile(`${directory}/nodes/a/known_nodes.json`, known);
    await using node = await LocalNode.start({ nodeId: "a", dataDirectory: directory, open });
    await use(new Api(node, directory));
  });
}

async function errorOf(response: Response): Promise<[number, string, string]> {
  const { error }: ErrorBody = await response.json();
  return [response.status, error.code, error.message];
}

Deno.test("an invite is a code that says where the node is and who, good for as long as was asked", async () => {
  await withApi(async (api) => {
    for (const [body, validMs] of [[{}, 600_000], [{ validMs: 60_000 }, 60_000]] as const) {
      const before = Date.now();
      const answer: JoinQrFields = await (await api.post("invite", body)).json();
      assertEquals([answer.kind, answer.networkName], ["invite", "home"]);
      const madeAt = answer.expiresAt! - validMs;
      assert(madeAt >= before && madeAt <= Date.now(), `${madeAt - before} ms`);
      const code = decodeJoinCode(answer.uri);
      const { identity } = api.list();
      const [host, port] = api.node.address.split(":");
      assertEquals([code.kind, code.networkTag, code.nodeId], ["invite", KEY.tag, "a"]);
      assertEquals(code.fingerprint.toHex(), identity.slice(0, 32));
      assertEquals(code.addresses, [{ host, port: Number(port) }]);
    }
  });
});

Deno.test("keys are told by their tags, and so are those who have them", async () => {
  await withApi(async (api) => {
    const list: KeyList = await (await api.get("keys")).json();
    const { identity } = api.list();
    assertMatch(identity, /^[0-9a-f]{64}$/);
    assertEquals(list, {
      networkName: "home",
      identity,
      keys: [{ tag: KEY.tag, epoch: 1, acceptedUntil: null, acceptedFor: null }],
      members: [{
        nodeId: "neighbour",
        identity: NEIGHBOUR,
        firstSeen: 1,
        lastSeen: 2,
        hosts: [],
        lastTag: null,
        tag: null,
        counts: true,
      }],
    });
  });
});

Deno.test("rotating answers with the new list, and the old key counts for as long as was asked", async () => {
  await withApi(async (api) => {
    const before = Date.now();
    const { keys }: KeyList = await (await api.post("keys/rotate", { graceMs: 60_000 })).json();
    assertEquals(keys.map(({ epoch }) => epoch), [2, 1]);
    assertEquals(keys[0].acceptedUntil, null);
    const rotatedAt = keys[1].acceptedUntil! - 60_000;
    assert(rotatedAt >= before && rotatedAt <= Date.now(), `${rotatedAt - before} ms`);
    assertEquals(keys[1].tag, KEY.tag);
    const kept = await api.kept();
    assertEquals(kept.keys.map(({ key }) => key.tag), keys.map(({ tag }) => tag));
  });
});

Deno.test("evicting leaves the node out, and forgetting only lets its label go", async () => {
  await withApi(async (api) => {
    const evict = async (body: EvictBody): Promise<EvictAnswer> =>
      await (await api.post("keys/evict", body)).json();
    const asked = await evict({ nodes: ["neighbour"], dryRun: true });
    assertEquals([asked.keys.length, asked.members.length], [1, 1], "it was only asked");
    const evicted = await evict({ nodes: ["neighbour"] });
    assertEquals(evicted.members, []);
    assertEquals(evicted.keys.map(({ acceptedFor }) => acceptedFor), [null, 1]);
    assertEquals(evicted.eviction, asked.eviction);
    const { nodeId, hosts } = evicted.eviction.evicted[0];
    assertEquals([nodeId, hosts, evicted.eviction.staying], ["neighbour", [], []]);
  });
  await withApi(async (api) => {
    const forgotten: KeyList = await (await api.post("keys/forget", { node: "neighbour" })).json();
    assertEquals([forgotten.members, forgotten.keys.length], [[], 1]);
  });
});

Deno.test("what is wrong with a body is told by its field, and changes nothing", async () => {
  await withApi(async (api) => {
    const cases: [route: string, body: unknown, status: number, code: string, message: string][] = [
      ...ROUTES.flatMap((route): [string, unknown, number, string, string][] => [
        [route, "{", 400, "PROTOCOL", "Cannot read JSON"],
        [route, "", 400, "PROTOCOL", "Cannot read JSON"],
        [route, "null", 400, "INVALID_ARGUMENT", "Cannot read the body"],
        [route, "[]", 400, "INVALID_ARGUMENT", "Cannot read the body"],
        [route, { key: "x" }, 400, "INVALID_ARGUMENT", "key"],
        [route, `${"[".repeat(100)}${"]".repeat(100)}`, 400, "PROTOCOL", "nested deeper"],
        [route, '{"__proto__":{"node":"neighbour"}}', 400, "INVALID_ARGUMENT", "Cannot read"],
      ]),
      ["invite", { validMs: "1000" }, 400, "INVALID_ARGUMENT", "Cannot read the body: validMs:"],
      ["invite", { validMs: null }, 400, "INVALID_ARGUMENT", "Cannot read the body: validMs:"],
      ["invite", '{"validMs":1e999}', 400, "INVALID_ARGUMENT", "validMs"],
      ["invite", { validMs: 999 }, 400, "INVALID_ARGUMENT", "validMs is 999, expected 1000 to"],
      ["invite", { validMs: -1 }, 400, "INVALID_ARGUMENT", "validMs is -1"],
      ["invite", { validMs: 86_400_001 }, 400, "INVALID_ARGUMENT", "expected 1000 to 86400000"],
      ["invite", { kind: "static" }, 400, "INVALID_ARGUMENT", '"kind"'],
      ["keys/rotate", { graceMs: "0" }, 400, "INVALID_ARGUMENT", "Cannot read the body: graceMs:"],
      ["keys/rotate", { graceMs: -1 }, 400, "INVALID_ARGUMENT", "graceMs is -1, expected 0 to"],
      ["keys/rotate", { graceMs: 86_400_001 }, 400, "INVALID_ARGUMENT", "expected 0 to 86400000"],
      ...[{}, { node: 7 }, { node: ["neighbour"] }, { node: "x".repeat(257) }].map((
        body,
      ): [string, unknown, number, string, string] => [
        "keys/forget",
        body,
        400,
        "INVALID_ARGUMENT",
        "Cannot read the body: node:",
      ]),
      ["keys/client", { name: "a b", publicKey: "" }, 400, "INVALID_ARGUMENT", 'name is "a b"'],
      ["keys/client", { name: "a", publicKey: "AAAA" }, 400, "INVALID_ARGUMENT", "none on P-256"],
      ["keys/client", { name: "a", publicKey: "?" }, 400, "INVALID_ARGUMENT", "publicKey:"],
      ["keys/client", { name: "a" }, 400, "INVALID_ARGUMENT", "publicKey:"],
      ...[{}, { nodes: "neighbour" }, { nodes: [] }, { nodes: [7] }, { nodes: ["x".repeat(257)] }]
        .map((body): [string, unknown, number, string, string] => [
          "keys/evict",
          body,
          400,
          "INVALID_ARGUMENT",
          "Cannot read the body: nodes",
        ]),
      ["keys/evict", { node: "neighbour" }, 400, "INVALID_ARGUMENT", "Cannot read the body"],
      ["keys/evict", { nodes: ["neighbour"], keep: "x" }, 400, "INVALID_ARGUMENT", "body: keep"],
      ["keys/evict", { nodes: ["neighbour"], dryRun: 1 }, 400, "INVALID_ARGUMENT", "body: dryRun"],
      ["keys/evict", { nodes: ["neighbour", "a"] }, 400, "INVALID_ARGUMENT", "it is this node"],
      [
        "keys/evict",
        { nodes: ["neighbour"], keep: ["neighbour"] },
        400,
        "INVALID_ARGUMENT",
        'Cannot keep "neighbour"',
      ],
      [
        "keys/evict",
        { nodes: ["neighbour"], keep: ["no"] },
        404,
        "NOT_FOUND",
        "was ever seen here",
      ],
      ...["nobody", "__proto__"].flatMap((node): [string, unknown, number, string, string][] => [
        ["keys/evict", { nodes: [node] }, 404, "NOT_FOUND", "no such node was ever seen here"],
        ["keys/forget", { node }, 404, "NOT_FOUND", "no such node was ever seen here"],
      ]),
    ];
    for (const [route, body, status, code, message] of cases) {
      const what = `${route} ${JSON.stringify(body).slice(0, 80)}`;
      const [gotStatus, gotCode, gotMessage] = await errorOf(await api.post(route, body));
      assertEquals([gotStatus, gotCode], [status, code], `${what}: ${gotMessage}`);
      assertStringIncludes(gotMessage, message, what);
    }
    const { keys, members } = api.list();
    assertEquals([keys.length, members.length], [1, 1], "nothing was changed");
  });
});

Deno.test("a form, no token and a foreign page get nowhere near the keys", async () => {
  await withApi(async (api) => {
    const headers: Record<string, string>[] = [
      { "content-type": "application/x-www-form-urlencoded" },
      { "content-type": "text/plain" },
      { authorization: "Bearer wrong" },
      { origin: "https://example.com" },
    ];
    for (const wrong of headers) {
      for (const route of ROUTES) {
        const body = route === "keys/evict" ? { nodes: ["neighbour"] } : { node: "neighbour" };
        const response = await api.post(route, body, wrong);
        assert([401, 403, 415].includes(response.status), `${route}: ${response.status}`);
        await response.body?.cancel();
      }
    }
    for (const route of ROUTES) {
      const response = await api.get(route);
      assertEquals(response.status, 404, `GET ${route} does nothing`);
      await response.body?.cancel();
    }
    const { keys, members } = api.list();
    assertEquals([keys.length, members.length], [1, 1]);
  });
});

Deno.test("an open node has no key to list, change or invite with, and says so in a sentence", async () => {
  await withApi(async (api) => {
    const asked: [string, string, Promise<Response>][] = [
      ["list the keys", "GET keys", api.get("keys")],
      ["make a code", "invite", api.post("invite", {})],
      ["rotate the key", "rotate", api.post("keys/rotate", {})],
      ["evict a node", "evict", api.post("keys/evict", { nodes: ["neighbour"] })],
    ];
    for (const [action, what, response] of asked) {
      assertEquals(await errorOf(await response), [
        409,
        "FAILED_PRECONDITION",
        `Cannot ${action}: this node has no network key, because it was started with --open.`,
      ], what);
    }
    // It remembers who was seen with a key, and is told to forget them by its own refusals.
    const forgotten = await api.post("keys/forget", { node: "neighbour" });
    assertEquals([forgotten.status, await forgotten.json()], [200, null]);
    const again = await errorOf(await api.post("keys/forget", { node: "neighbour" }));
    assertEquals(again.slice(0, 2), [404, "NOT_FOUND"]);
  }, true);
});

Deno.test("no answer has a key in it, whatever is asked", async () => {
  await withApi(async (api) => {
    const answers: string[] = [];
    const note = async (response: Promise<Response>) => {
      const { headers, ...rest } = await response.then(async (it) => ({
        headers: it.headers,
        body: await it.text(),
      }));
      answers.push(JSON.stringify([...headers]), rest.body);
    };
    for (const route of ["status", "peers", "agents", "doctor", "tasks", "keys"]) {
      await note(api.get(route));
    }
    await note(api.post("invite", {}));
    await note(api.post("keys/rotate", {}));
    await note(api.post("keys/evict", { nodes: ["neighbour"] }));
    for (const route of ROUTES) await note(api.post(route, { node: "nobody", key: 1 }));
    const kept = await api.kept();
    assertEquals(kept.keys.length, 3);
    const secrets = kept.keys.map(({ key }) => ({ name: key.tag, bytes: key.reveal() }));
    assertEquals(new SecretSearch(secrets).find(answers.join("\n")), []);
  });
});
