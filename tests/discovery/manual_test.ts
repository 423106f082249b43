/** Peers that a person names: in texts, in options, and in a file that changes while it is read. */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { NetworkError } from "../../src/base/errors.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import type { DiscoverySink } from "../../src/discovery/discovery.ts";
import {
  ManualDiscovery,
  type ManualDiscoveryOptions,
  parsePeer,
} from "../../src/discovery/manual.ts";
import type { ManualPeer } from "../../src/discovery/manual_peer.ts";
import { MAX_PEERS_FILE_BYTES } from "../../src/discovery/peers_file.ts";
import { type FilePort, systemFiles } from "../../src/discovery/watched_file.ts";
import type { Seed } from "../../src/membership/seeds.ts";
import { recordingLogger } from "../support/recording_logger.ts";
import { skipUnless } from "../support/skip.ts";
import { withTempDir } from "../support/temp.ts";
import { WatchedClock } from "../support/watched_clock.ts";

const FILE = "peers.json";

/** The text of a file that lists these: `{ a: "10.0.0.1:5681" }`. */
function fileOf(peers: Record<string, string>): string {
  const entries = Object.entries(peers).map(([id, place]) => {
    const { host, port } = parsePeer(place);
    return [id, { address: host, port }];
  });
  return JSON.stringify({ peers: Object.fromEntries(entries) });
}

/** A disk with one file, which the test writes, and which fails when the test says so. */
class Disk implements FilePort {
  #bytes: Uint8Array | undefined;
  #stamp = 0;
  reads = 0;
  failure: Error | undefined;

  /** Writes the file, or removes it; `isTraceless`: as if within one step of the disk's time. */
  write(text: string | undefined, { isTraceless = false } = {}): void {
    this.#bytes = text === undefined ? undefined : new TextEncoder().encode(text);
    if (!isTraceless) this.#stamp++;
  }

  stamp(path: string): Promise<string | undefined> {
    assertEquals(path, FILE);
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return Promise.resolve(this.#bytes === undefined ? undefined : String(this.#stamp));
  }

  read(): Promise<Uint8Array> {
    this.reads++;
    if (this.#bytes === undefined) return Promise.reject(new Deno.errors.NotFound("gone"));
    return Promise.resolve(this.#bytes);
  }
}

/** A resolver that the test gives its answers; each may be an error, or come later. */
class Resolver {
  readonly asked: string[] = [];
  readonly answers: Record<string, string[] | Error | Promise<string[]>> = {};

  resolve = (host: string): Promise<string[]> => {
    this.asked.push(host);
    const answer = this.answers[host] ?? new Error("ENOTFOUND");
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
}

/** One discovery with all that it stands on. */
class Rig {
  readonly clock = new WatchedClock();
  readonly disk = new Disk();
  readonly resolver = new Resolver();
  readonly log = recordingLogger();
  readonly told: { at: number; via: string; seeds: readonly Seed[] }[] = [];
  readonly sink: DiscoverySink = {
    sighted: () => false,
    listed: (via, seeds) => this.told.push({ at: this.clock.now(), via, seeds }),
  };

  make(options: Partial<ManualDiscoveryOptions> = {}): ManualDiscovery {
    return new ManualDiscovery({
      clock: this.clock,
      logger: this.log.logger,
      self: "me",
      peers: [],
      files: this.disk,
      resolve: this.resolver.resolve,
      ...options,
    });
  }

  async start(options: Partial<ManualDiscoveryOptions> = {}): Promise<ManualDiscovery> {
    const discovery = this.make(options);
    await discovery.start(this.sink);
    return discovery;
  }

  /** The last list, each as `id host:port addresses`. */
  get list(): string[] {
    return this.told.at(-1)?.seeds.map(({ nodeId, host, port, addresses }) =>
      `${nodeId ?? "?"} ${host}:${port} ${addresses}`
    ) ?? [];
  }
}

Deno.test("a peer is written as a host, with its port unless that is 5681", () => {
  const texts: Record<string, ManualPeer> = {
    "gpu-server": { host: "gpu-server", port: 5681 },
    "gpu-server:1": { host: "gpu-server", port: 1 },
    "gpu.lab.:65535": { host: "gpu.lab.", port: 65_535 },
    "10.0.0.4": { host: "10.0.0.4", port: 5681 },
    "10.0.0.4:7000": { host: "10.0.0.4", port: 7000 },
    "[::1]": { host: "::1", port: 5681 },
    "[fe80::1%eth0]:7000": { host: "fe80::1%eth0", port: 7000 },
  };
  for (const [text, peer] of Object.entries(texts)) assertEquals(parsePeer(text), peer, text);
});

Deno.test("what cannot be a peer is refused with what is wrong and how to write it", () => {
  const texts: Record<string, RegExp> = {
    "": /"": it does not begin with a host name or an IP address\. Write it as gpu-server, gpu-s/,
    " gpu": /does not begin with a host/,
    ":5681": /does not begin with a host/,
    "10.0.0.256:1": /does not begin with a host/,
    "[10.0.0.4]:1": /does not begin with a host/,
    "[gpu:lab]:1": /does not begin with a host/,
    "[::1]5681": /does not begin with a host/,
    "http://gpu:5681": /a peer has no scheme/,
    "::1": /an IPv6 address stands in brackets/,
    "fd00::4:5681": /an IPv6 address stands in brackets/,
    "gpu:": /its port is "", expected 1 to 65535/,
    "gpu:0": /its port is "0"/,
    "gpu:65536": /its port is "65536"/,
    "gpu:1e3": /its port is "1e3"/,
    "gpu:-1": /its port is "-1"/,
    "[::1]: 1": /its port is "1"/,
  };
  for (const [text, says] of Object.entries(texts)) {
    const error = assertThrows(() => parsePeer(text), NetworkError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertMatch(error.message, says, text);
  }
});

Deno.test("any text is a peer that can be dialled, or refused", () => {
  const piece = fc.constantFrom(..."a:[].%1-/ \n\u202e".split(""), "::", "5681", "10.0.0.1");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }).map((all) => all.join("")), (text) => {
      try {
        const { host, port } = parsePeer(text);
        assert(host !== "" && !/[\s/[\]]/.test(host) && port >= 1 && port <= 65_535, text);
      } catch (thrown) {
        assert(thrown instanceof NetworkError && thrown.code === "INVALID_ARGUMENT", `${thrown}`);
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("a peer of the options that can be none is refused before anything starts", () => {
  const wrong: ManualPeer[] = [
    { host: "http://gpu", port: 5681 },
    { host: "gpu", port: 0 },
    { host: "gpu", port: NaN },
    { host: "gpu", port: 5681, nodeId: "../x" },
    { host: undefined as unknown as string, port: 1 },
  ];
  for (const peer of wrong) {
    const error = assertThrows(() => new Rig().make({ peers: [peer] }), NetworkError, "expected a");
    assertEquals(error.code, "INVALID_ARGUMENT");
  }
});

Deno.test("peers of options and file are listed at once, each once, without this node", async () => {
  const rig = new Rig();
  rig.disk.write(
    fileOf({ me: "10.0.0.9", a: "10.0.0.1", b: "10.0.0.2:7000", twin: "10.0.0.2:7000" }),
  );
  const discovery = await rig.start({
    file: FILE,
    peers: [
      { host: "fd00::4", port: 5681 },
      { host: "10.0.0.1", port: 5681 },
      { host: "10.0.0.1", port: 5681, nodeId: "a" },
      { host: "10.0.0.1", port: 5682, nodeId: "a" },
      // This node's own address, as its file says.
      { host: "10.0.0.9", port: 5681 },
    ],
  });

  assertEquals(rig.list, [
    "? fd00::4:5681 fd00::4",
    "a 10.0.0.1:5681 10.0.0.1",
    "a 10.0.0.1:5682 10.0.0.1",
    "b 10.0.0.2:7000 10.0.0.2",
    "twin 10.0.0.2:7000 10.0.0.2",
  ]);
  assertEquals(rig.told.map(({ at, via }) => [at, via]), [[0, "manual"]]);
  await discovery.stop();
});

Deno.test("without peers nothing is told, and without a file none is looked for", async () => {
  const rig = new Rig();
  const discovery = await rig.start();
  await rig.clock.advance(60_000);

  assertEquals(rig.told, []);
  assertEquals(rig.disk.reads, 0);
  await discovery.stop();
});

Deno.test("peers that are added, moved and removed in the file are in the next list", async () => {
  const rig = new Rig();
  const stays = { host: "10.0.0.7", port: 5681 };
  rig.disk.write(fileOf({ a: "10.0.0.1" }));
  const discovery = await rig.start({ file: FILE, peers: [stays] });

  const changes: Record<string, string>[] = [
    { a: "10.0.0.1", b: "10.0.0.2" },
    { a: "10.0.0.1", b: "10.0.0.3:7" },
    {},
  ];
  for (const peers of changes) {
    rig.disk.write(fileOf(peers));
    await rig.clock.advance(1_000);
  }

  const own = "? 10.0.0.7:5681 10.0.0.7";
  const lists = rig.told.map((
    { at, seeds },
  ) => [at, ...seeds.map(({ host, port }) => `${host}:${port}`)]);
  assertEquals(lists, [
    [0, "10.0.0.7:5681", "10.0.0.1:5681"],
    [1_000, "10.0.0.7:5681", "10.0.0.1:5681", "10.0.0.2:5681"],
    [2_000, "10.0.0.7:5681", "10.0.0.1:5681", "10.0.0.3:7"],
    [3_000, "10.0.0.7:5681"],
  ]);
  assertEquals(rig.list, [own]);
  assertEquals(rig.log.lines("info"), [
    "Read the peers file peers.json again: 2 peers",
    "Read the peers file peers.json again: 2 peers",
    "Read the peers file peers.json again: 0 peers",
  ]);
  assertEquals(rig.log.lines("warn"), []);
  await discovery.stop();
  assertEquals(rig.clock.pending, 0);
});

Deno.test("a file that lists the same in other words is no news", async () => {
  const rig = new Rig();
  rig.disk.write(fileOf({ a: "10.0.0.1" }));
  const discovery = await rig.start({ file: FILE });
  rig.disk.write(`\n${fileOf({ a: "10.0.0.1" })}\n`);
  await rig.clock.advance(5_000);

  assertEquals(rig.told.length, 1);
  await discovery.stop();
});

Deno.test("a file that has settled is not read again, one that has just changed is", async () => {
  const rig = new Rig();
  rig.disk.write(fileOf({ a: "10.0.0.1" }));
  const discovery = await rig.start({ file: FILE });
  await rig.clock.advance(2_000);
  assertEquals(rig.disk.reads, 3);
  await rig.clock.advance(60_000);
  assertEquals(rig.disk.reads, 3);

  rig.disk.write(fileOf({ a: "10.0.0.2" }));
  await rig.clock.advance(1_000);
  // Within the same step of the disk's time, and of the same length.
  rig.disk.write(fileOf({ a: "10.0.0.3" }), { isTraceless: true });
  await rig.clock.advance(1_000);
  assertEquals(rig.list, ["a 10.0.0.3:5681 10.0.0.3"]);
  await discovery.stop();
});

Deno.test("a file that is not there yet is read when it comes, and its peers stay when it goes", async () => {
  const rig = new Rig();
  const discovery = await rig.start({ file: FILE });
  await rig.clock.advance(10_000);
  const missing = "There is no peers file peers.json: it is read as soon as there is";
  assertEquals(rig.log.lines("warn"), [missing]);

  rig.disk.write(fileOf({ a: "10.0.0.1" }));
  await rig.clock.advance(1_000);
  assertEquals(rig.list, ["a 10.0.0.1:5681 10.0.0.1"]);

  rig.disk.write(undefined);
  await rig.clock.advance(10_000);
  assertEquals(rig.log.lines("warn"), [missing, missing]);
  assertEquals(rig.told.length, 1);

  rig.disk.write(fileOf({ b: "10.0.0.2" }));
  await rig.clock.advance(1_000);
  assertEquals(rig.list, ["b 10.0.0.2:5681 10.0.0.2"]);
  await discovery.stop();
});

Deno.test("a file that goes between the look at it and its reading is only missing", async () => {
  const rig = new Rig();
  rig.disk.write(fileOf({ a: "10.0.0.1" }));
  const discovery = await rig.start({ file: FILE });
  rig.disk.write(undefined);
  const stamp = rig.disk.stamp;
  rig.disk.stamp = () => Promise.resolve("another");
  await rig.clock.advance(1_000);
  rig.disk.stamp = stamp;
  await rig.clock.advance(1_000);

  assertMatch(rig.log.lines("warn").join("\n"), /^There is no peers file peers\.json: .*$/);
  assertEquals(rig.told.length, 1);
  await discovery.stop();
});

Deno.test("a bad file at the start is thrown, with the line", async () => {
  const rig = new Rig();
  rig.disk.write('{"peers": {\n"a": 5}}');
  const error = await assertRejects(() => rig.start({ file: FILE }), NetworkError, "line 2");

  assertEquals(error.code, "INVALID_ARGUMENT");
  assertEquals(rig.told, []);
  assertEquals(rig.clock.pending, 0);
});

Deno.test("a file that may not be read is told at the start with what to grant", async () => {
  const cases: [Error, code: string, says: string][] = [
    [new Deno.errors.NotCapable("no"), "PERMISSION_DENIED", "Grant --allow-read"],
    [new Deno.errors.PermissionDenied("no"), "PERMISSION_DENIED", "Make it readable"],
    [new Error("it is not a regular file"), "FAILED_PRECONDITION", "it is not a regular file"],
  ];
  for (const [failure, code, says] of cases) {
    const rig = new Rig();
    rig.disk.failure = failure;
    const error = await assertRejects(() => rig.start({ file: FILE }), NetworkError, says);
    assertEquals(error.code, code);
  }
});

Deno.test("a file that turns bad is told once for what it holds, and the last good one holds", async () => {
  const rig = new Rig();
  rig.disk.write(fileOf({ a: "10.0.0.1" }));
  const discovery = await rig.start({ file: FILE });

  // Saved twice with the same fault, then with another, the last of them on the same line.
  for (const text of ["{", "{", '{"peers": 5}', '{"peers": 5} ']) {
    rig.disk.write(text);
    await rig.clock.advance(10_000);
  }
  assertEquals(rig.log.lines("warn"), [
    "Cannot read the peers file peers.json, line 1, column 2: found the end of the file, " +
    "expected a key in quotes. The peers that it listed before stay.",
    ...Array(2).fill(
      "Cannot read the peers file peers.json, line 1, column 11: peers is 5, expected a map of " +
        "node ids. The peers that it listed before stay.",
    ),
  ]);
  assertEquals(rig.told.length, 1);
  assertEquals(rig.log.lines("info"), []);

  rig.disk.write(fileOf({ a: "10.0.0.1", b: "10.0.0.2" }));
  await rig.clock.advance(1_000);
  assertEquals(rig.log.lines("info"), ["Read the peers file peers.json again: 2 peers"]);
  assertEquals(rig.list.length, 2);
  await discovery.stop();
});

Deno.test("a disk that fails is told once, and read again when it has recovered", async () => {
  const rig = new Rig();
  rig.disk.write(fileOf({ a: "10.0.0.1" }));
  const discovery = await rig.start({ file: FILE });

  rig.disk.failure = new Error("stale handle");
  rig.disk.write(fileOf({ a: "10.0.0.2" }));
  await rig.clock.advance(10_000);
  assertEquals(rig.log.lines("warn"), [
    "Cannot read the peers file peers.json: stale handle. Give the path of a file in JSON or " +
    "TOML. The peers that it listed before stay.",
  ]);

  rig.disk.failure = undefined;
  await rig.clock.advance(1_000);
  assertEquals(rig.list, ["a 10.0.0.2:5681 10.0.0.2"]);
  await discovery.stop();
});

Deno.test("a file that could not be read is read again although it has not changed since", async () => {
  const rig = new Rig();
  const discovery = await rig.start({ file: FILE });
  const { read } = rig.disk;
  rig.disk.read = () => Promise.reject(new Error("busy"));
  rig.disk.write(fileOf({ a: "10.0.0.1" }));
  await rig.clock.advance(10_000);
  rig.disk.read = read;
  await rig.clock.advance(1_000);

  assertEquals(rig.list, ["a 10.0.0.1:5681 10.0.0.1"]);
  await discovery.stop();
});

Deno.test("names are listed at once and with their addresses when these are known", async () => {
  const rig = new Rig();
  const late = Promise.withResolvers<string[]>();
  rig.resolver.answers.gpu = late.promise;
  const discovery = await rig.start({
    peers: [{ host: "gpu", port: 1 }, { host: "gpu", port: 2 }, { host: "10.0.0.1", port: 3 }],
  });
  assertEquals(rig.list, ["? gpu:1 ", "? gpu:2 ", "? 10.0.0.1:3 10.0.0.1"]);

  await rig.clock.advance(100);
  late.resolve(["10.0.0.4", "fd00::4", "10.0.0.4"]);
  await rig.clock.advance(100);
  const addresses = "10.0.0.4,fd00::4";
  assertEquals(rig.list, [`? gpu:1 ${addresses}`, `? gpu:2 ${addresses}`, "? 10.0.0.1:3 10.0.0.1"]);
  assertEquals(rig.told.length, 2);
  // Once for both ports, and never for an address.
  assertEquals(rig.resolver.asked, ["gpu"]);
  await discovery.stop();
});

Deno.test("names are resolved every 30 s and when the file has changed", async () => {
  const rig = new Rig();
  rig.resolver.answers.gpu = ["10.0.0.4"];
  rig.disk.write(fileOf({ a: "gpu" }));
  const discovery = await rig.start({ file: FILE });
  await rig.clock.advance(29_000);
  assertEquals(rig.resolver.asked, ["gpu"]);

  rig.resolver.answers.gpu = ["10.0.0.5"];
  await rig.clock.advance(2_000);
  assertEquals(rig.resolver.asked, ["gpu", "gpu"]);
  assertEquals(rig.list, ["a gpu:5681 10.0.0.5"]);

  rig.resolver.answers.mac = ["10.0.0.6"];
  rig.disk.write(fileOf({ a: "gpu", b: "mac" }));
  await rig.clock.advance(1_500);
  assertEquals(rig.resolver.asked, ["gpu", "gpu", "gpu", "mac"]);
  assertEquals(rig.list, ["a gpu:5681 10.0.0.5", "b mac:5681 10.0.0.6"]);
  await discovery.stop();
});

Deno.test("the same addresses in another order are no news", async () => {
  const rig = new Rig();
  rig.resolver.answers.gpu = ["10.0.0.4", "10.0.0.5"];
  const discovery = await rig.start({ peers: [{ host: "gpu", port: 1 }] });
  await rig.clock.advance(1_000);
  rig.resolver.answers.gpu = ["10.0.0.5", "10.0.0.4"];
  await rig.clock.advance(60_000);

  assertEquals(rig.told.length, 2);
  assertEquals(rig.list, ["? gpu:1 10.0.0.4,10.0.0.5"]);
  await discovery.stop();
});

Deno.test("a name that cannot be resolved stays with its last addresses and the reason", async () => {
  const rig = new Rig();
  rig.resolver.answers.gpu = ["10.0.0.4"];
  const discovery = await rig.start({
    peers: [{ host: "gpu", port: 1 }, { host: "tpu", port: 2 }],
  });
  await rig.clock.advance(1_000);
  const problem = (host: string, reason: string) =>
    `Cannot resolve "${host}": ${reason}. Is the name right? An IP address would do, too.`;
  assertEquals(rig.told.at(-1)?.seeds, [
    { host: "gpu", port: 1, addresses: ["10.0.0.4"] },
    { host: "tpu", port: 2, addresses: [], problem: problem("tpu", "ENOTFOUND") },
  ]);

  delete rig.resolver.answers.gpu;
  rig.resolver.answers.tpu = [];
  await rig.clock.advance(30_000);
  assertEquals(rig.told.at(-1)?.seeds, [
    { host: "gpu", port: 1, addresses: ["10.0.0.4"], problem: problem("gpu", "ENOTFOUND") },
    { host: "tpu", port: 2, addresses: [], problem: problem("tpu", "it has no address") },
  ]);
  await rig.clock.advance(60_000);
  assertEquals(rig.told.length, 3);
  assertEquals(rig.log.lines("warn").length, 3);

  rig.resolver.answers.gpu = ["10.0.0.4"];
  await rig.clock.advance(30_000);
  assertEquals(rig.told.at(-1)?.seeds[0], { host: "gpu", port: 1, addresses: ["10.0.0.4"] });
  await discovery.stop();
});

Deno.test("a name that hangs is not asked for again meanwhile, nor holds up others", async () => {
  const rig = new Rig();
  const hanging = Promise.withResolvers<string[]>();
  rig.resolver.answers.slow = hanging.promise;
  rig.resolver.answers.gpu = ["10.0.0.4"];
  const discovery = await rig.start({
    peers: [{ host: "slow", port: 1 }, { host: "gpu", port: 1 }],
  });
  await rig.clock.advance(90_100);
  assertEquals(rig.resolver.asked.filter((host) => host === "slow").length, 1);
  assertEquals(rig.resolver.asked.filter((host) => host === "gpu").length, 4);
  assertEquals(rig.list[1], "? gpu:1 10.0.0.4");

  hanging.resolve(["10.0.0.5"]);
  await rig.clock.advance(30_000);
  assertEquals(rig.list[0], "? slow:1 10.0.0.5");
  assertEquals(rig.resolver.asked.filter((host) => host === "slow").length, 2);
  await discovery.stop();
});

Deno.test("at most 16 names are resolved at a time, and all in the end, told together", async () => {
  const rig = new Rig();
  let running = 0;
  let most = 0;
  const discovery = await rig.start({
    peers: Array.from({ length: 500 }, (_, i) => ({ host: `h${i}`, port: 1 })),
    resolve: async (host) => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
      return [`10.0.${host.length}.1`];
    },
  });
  await rig.clock.advance(100);

  assertEquals(most, 16);
  assertEquals(rig.list.filter((line) => line.endsWith(" ")), []);
  assertEquals(rig.told.length, 2);
  await discovery.stop();
});

Deno.test("a name that is no longer listed is not asked for, and what was known of it forgotten", async () => {
  const rig = new Rig();
  rig.resolver.answers.gpu = ["10.0.0.4"];
  rig.disk.write(fileOf({ a: "gpu" }));
  const discovery = await rig.start({ file: FILE });
  await rig.clock.advance(1_000);
  rig.disk.write(fileOf({}));
  await rig.clock.advance(1_000);

  // Sixteen names hang, so that the last two have to wait.
  const hanging = Promise.withResolvers<string[]>();
  const crowd = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`h${i}`, `h${i}`]));
  for (const host of Object.values(crowd)) rig.resolver.answers[host] = hanging.promise;
  rig.disk.write(fileOf({ ...crowd, a: "gpu", b: "tpu" }));
  await rig.clock.advance(1_000);
  assertEquals(rig.list.slice(-2), ["a gpu:5681 ", "b tpu:5681 "]);
  rig.disk.write(fileOf({ ...crowd, a: "gpu" }));
  await rig.clock.advance(1_000);
  hanging.resolve(["10.0.0.5"]);
  await rig.clock.advance(1_000);

  assertEquals(rig.list.at(-1), "a gpu:5681 10.0.0.4");
  assert(!rig.resolver.asked.includes("tpu"));
  await discovery.stop();
});

Deno.test("stop waits for a look that is under way, for no name, and nothing is told", async () => {
  const rig = new Rig();
  const hanging = Promise.withResolvers<string[]>();
  rig.resolver.answers.slow = hanging.promise;
  rig.resolver.answers.gpu = ["10.0.0.4"];
  rig.disk.write(fileOf({ a: "slow", b: "gpu" }));
  const discovery = await rig.start({ file: FILE });
  // The answer for one is there and waits to be told with others; a look is under way.
  const looking = Promise.withResolvers<string>();
  await rig.clock.advance(999);
  rig.disk.stamp = () => looking.promise;
  await rig.clock.advance(1);
  const before = rig.told.length;
  const stopped = Promise.all([discovery.stop(), discovery.stop()]);
  rig.disk.write(fileOf({ c: "10.0.0.9" }));
  looking.resolve("another");
  await stopped;
  hanging.resolve(["10.0.0.5"]);
  await rig.clock.advance(60_000);

  assertEquals(rig.told.length, before);
  assertEquals(rig.clock.pending, 0);
});

Deno.test("stopped while it starts, or with an answer at hand, it tells nothing more", async () => {
  const starting = new Rig();
  starting.disk.write(fileOf({ a: "10.0.0.1" }));
  const discovery = starting.make({ file: FILE });
  const started = discovery.start(starting.sink);
  await discovery.stop();
  await started;
  await starting.clock.advance(60_000);
  assertEquals(starting.told, []);
  assertEquals(starting.clock.pending, 0);

  const answered = new Rig();
  answered.resolver.answers.gpu = ["10.0.0.4"];
  const other = await answered.start({ peers: [{ host: "gpu", port: 1 }] });
  await answered.clock.advance(0);
  await other.stop();
  await answered.clock.advance(60_000);
  assertEquals(answered.list, ["? gpu:1 "]);
  assertEquals(answered.clock.pending, 0);
});

Deno.test({
  name: "a saved file is noticed on a real disk, however it was saved",
  ignore: skipUnless(Deno.build.os !== "windows", "symbolic links need a privilege on Windows"),
  fn: async () => {
    await withTempDir(async (dir) => {
      const path = `${dir}/${FILE}`;
      const stamps = new Set<string | undefined>([await systemFiles.stamp(path)]);
      assertEquals([...stamps], [undefined]);
      const changes: (() => Promise<void>)[] = [
        () => Deno.writeTextFile(path, "one"),
        () => Deno.writeTextFile(path, "longer"),
        async () => {
          await Deno.writeTextFile(`${path}.new`, "longer");
          await Deno.rename(`${path}.new`, path);
        },
        () => Deno.utime(path, 1, 1),
        async () => {
          await Deno.remove(path);
          await Deno.writeTextFile(`${dir}/first`, "longer");
          await Deno.symlink("first", path);
        },
        () => Deno.writeTextFile(`${dir}/first`, "through the link"),
        async () => {
          await Deno.writeTextFile(`${dir}/second`, "through the link");
          await Deno.remove(path);
          await Deno.symlink("second", path);
        },
      ];
      for (const [index, change] of changes.entries()) {
        await change();
        stamps.add(await systemFiles.stamp(path));
        assertEquals(stamps.size, index + 2, `change ${index} was not noticed`);
      }
      assertEquals(await systemFiles.read(path), new TextEncoder().encode("through the link"));

      await Deno.remove(`${dir}/second`);
      assertEquals(await systemFiles.stamp(path), undefined);
      await assertRejects(() => systemFiles.stamp(dir), TypeError, "not a regular file");
    });
  },
});

Deno.test("of a file that is too large no more is read than it takes to know that", async () => {
  await withTempDir(async (dir) => {
    const path = `${dir}/${FILE}`;
    await Deno.writeFile(path, new Uint8Array(3 * MAX_PEERS_FILE_BYTES));
    assertEquals((await systemFiles.read(path)).length, MAX_PEERS_FILE_BYTES + 1);
  });
});

Deno.test("two nodes can have one file, which lists both, and each finds the other", async () => {
  await withTempDir(async (dir) => {
    const file = `${dir}/peers.toml`;
    await Deno.writeTextFile(
      file,
      ["a", "b"].map((id, i) => `[peers.${id}]\naddress = "127.0.0.1"\nport = ${5681 + i}\n`).join(
        "",
      ),
    );
    for (const [self, other] of [["a", "b 127.0.0.1:5682"], ["b", "a 127.0.0.1:5681"]]) {
      const rig = new Rig();
      const discovery = await rig.start({ clock: new ManualClock(), file, files: undefined, self });
      assertEquals(rig.list, [`${other} 127.0.0.1`]);
      await discovery.stop();
    }
  });
});
