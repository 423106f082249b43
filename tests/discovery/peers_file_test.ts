/** Peers files in both forms, and where their faults are said to be. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import fc from "fast-check";
import { NetworkError } from "../../src/base/errors.ts";
import { safeName } from "../../src/base/safe_text.ts";
import {
  type FilePeer,
  isHost,
  isIpAddress,
  MAX_PEERS_FILE_BYTES,
  parsePeersFile,
} from "../../src/discovery/peers_file.ts";
import { anyText } from "../support/any_text.ts";

function parse(file: string, text: string): Promise<FilePeer[]> {
  return parsePeersFile(file, new TextEncoder().encode(text));
}

/** What is said of a file that cannot be read. */
async function fault(file: string, text: string): Promise<string> {
  const error = await assertRejects(() => parse(file, text), NetworkError);
  assertEquals(error.code, "INVALID_ARGUMENT");
  return error.message;
}

const SPECIFIED = `{
  "peers": {
    "node-1": {
      "address": "192.168.1.100",
      "port": 5681,
      "device_capabilities": {
        "model": "MacBook Pro",
        "chip": "M3 Max",
        "memory": 65536,
        "flops": { "fp32": 14.2, "fp16": 28.4, "int8": 56.8 }
      }
    },
    "gpu.lab": { "address": "gpu-server.lab", "port": 1 }
  }
}`;

const SPECIFIED_IN_TOML = `
[peers.node-1]
address = "192.168.1.100"
port = 5_681

[peers.node-1.device_capabilities]
model = "MacBook Pro"
chip = 'M3 Max'
memory = 65536
flops = { fp32 = 14.2, fp16 = 28.4, int8 = 56.8 }

[peers."gpu.lab"]
address = "gpu-server.lab"
port = 1
`;

const SPECIFIED_PEERS: FilePeer[] = [
  {
    nodeId: "node-1",
    host: "192.168.1.100",
    port: 5681,
    capabilities: {
      model: "MacBook Pro",
      chip: "M3 Max",
      memory: 65536,
      flops: { fp32: 14.2, fp16: 28.4, int8: 56.8 },
    },
  },
  { nodeId: "gpu.lab", host: "gpu-server.lab", port: 1 },
];

Deno.test("the specification's file is read as it stands, and in TOML it says the same", async () => {
  assertEquals(await parse("peers.json", SPECIFIED), SPECIFIED_PEERS);
  assertEquals(await parse("peers.toml", SPECIFIED_IN_TOML), SPECIFIED_PEERS);
  assertEquals(await parse("PEERS.TOML", SPECIFIED_IN_TOML), SPECIFIED_PEERS);
});

Deno.test("an empty map lists nobody, and a file that says nothing is refused", async () => {
  assertEquals(await parse("peers.json", '{"peers": {}}'), []);
  assertEquals(await parse("peers.toml", "[peers]"), []);
  assertEquals(await parse("peers.json", '\ufeff{"peers": {}}'), []);
  // Such is a file for a moment while an editor writes it.
  for (const file of ["peers.json", "peers.toml"]) await fault(file, "");
});

Deno.test("what the file says of a device may be left out, in part or whole", async () => {
  const capabilitiesOf = async (device: unknown) => {
    const peers = { a: { address: "h", port: 1, device_capabilities: device } };
    return (await parse("p.json", JSON.stringify({ peers })))[0].capabilities;
  };
  const flops = { fp32: null, fp16: null, int8: null };
  const unknown = { model: null, chip: null, memory: null, flops };

  assertEquals(await capabilitiesOf(undefined), undefined);
  assertEquals(await capabilitiesOf(null), undefined);
  assertEquals(await capabilitiesOf({}), unknown);
  assertEquals(await capabilitiesOf({ model: "\u001b[31mPi", flops: { int8: 4 }, more: 1 }), {
    ...unknown,
    model: "[31mPi",
    flops: { ...flops, int8: 4 },
  });
});

Deno.test("a host is a name or an address without anything around it", () => {
  const hosts = [
    ..."a gpu-server gpu_1 gpu.lab gpu.lab. 3com.example xn--bcher-kva.de a.b0x1".split(" "),
    ..."10.0.0.4 255.255.255.255 ::1 fd00::4 ::ffff:10.0.0.4 fe80::1%eth0".split(" "),
    "a".repeat(63),
  ];
  const others = [
    ...["", ".", "a..b", "-a", "a-", "a b", "a/b", "a:1", "[::1]", "http://a", "a@b", "a\n", "ä"],
    ...[
      "10.0.0.256",
      "10.0.0",
      "010.0.0.1",
      "1",
      "0x7f000001",
      "::1::",
      "12345::",
      "::1%",
      "::1/64",
    ],
    ...["a".repeat(64), "a.".repeat(127) + "a", 5, null],
  ];
  for (const host of hosts) assert(isHost(host), host);
  for (const other of others) assert(!isHost(other), String(other));
  assertEquals(hosts.filter(isIpAddress), hosts.slice(8, 14));
});

Deno.test("a wrong value is told with its line, its field, itself and what would do", async () => {
  assertEquals(
    await fault("peers.json", SPECIFIED.replace("5681", '"5681"')),
    'Cannot read the peers file peers.json, line 5, column 15: peers.node-1.port is "5681", ' +
      "expected a whole number from 1 to 65535.",
  );
  assertEquals(
    await fault("peers.toml", SPECIFIED_IN_TOML.replace("port = 1", "  port = 65536")),
    'Cannot read the peers file peers.toml, line 14, column 3: peers."gpu.lab".port is 65536, ' +
      "expected a whole number from 1 to 65535.",
  );
});

Deno.test("what is missing is told where it should be, with what is there instead", async () => {
  assertMatch(
    await fault("p.json", SPECIFIED.replace('"address": "g', '"adress": "g')),
    /line 13, column 16: peers\."gpu\.lab"\.address is missing \(there is "adress", "port"\), exp/,
  );
  assertMatch(
    await fault("p.toml", SPECIFIED_IN_TOML.replace("port = 1", "")),
    /line 12, column 8: peers\."gpu\.lab"\.port is missing \(there is "address"\), expected a w/,
  );
  assertMatch(
    await fault("p.json", '{"peer": {}}'),
    /line 1, column 1: peers is missing \(there is "peer"\), expected a map of node ids/,
  );
  assertMatch(await fault("p.toml", "# none"), /line 1, .* \(there is nothing\), expected a map/);
});

/** A change of the specification's file, and what is said of it. */
const WRONG: [from: string, to: string, says: RegExp][] = [
  ['"192.168.1.100"', '"http://a"', /line 4, .*address is "http:\/\/a", expected a host name or/],
  ['"192.168.1.100"', "7", /line 4, .*address is 7, expected a host name or an IP address/],
  ['"192.168.1.100"', "\n\n[1]", /line 6, column 1: peers\.node-1\.address is \[…\], expected/],
  ["5681", "null", /line 5, .*peers\.node-1\.port is null, expected a whole number/],
  ["5681", "1e99", /line 5, .*peers\.node-1\.port is 1e\+99, expected a whole number/],
  ["5681", "{}", /line 5, .*peers\.node-1\.port is \{…\}, expected a whole number/],
  ['"MacBook Pro"', "3", /line 7, .*device_capabilities\.model is 3, expected a text/],
  ["65536", "-1", /line 9, .*device_capabilities\.memory is -1, expected a number of MB, 0 or/],
  ["28.4", '"fast"', /line 10, column \d+: .*flops\.fp16 is "fast", expected a number of TFLOPS/],
  ["56.8", "1e999", /line 10, .*flops\.int8 is Infinity, expected a number/],
  ['{ "fp32": 14.2, "fp16": 28.4, "int8": 56.8 }', "9", /line 10, .*flops is 9, expected a map/],
  [
    '"gpu.lab"',
    '"../etc"',
    /line 13, column 5: a node id in peers is "\.\.\/etc", expected 1 to 63/,
  ],
  ['"gpu.lab"', '"__proto__"', /line 13, column 5: a node id in peers is "__proto__", expected/],
  ['"gpu.lab"', '"node-1"', /line 13, column 5: the key "node-1" is there again, expected it once/],
  ['"chip"', '"model"', /line 8, column 9: the key "model" is there again, expected it once/],
  ['"port": 1 }', '"port": 1, }', /line 13, .*found "}", expected a key in quotes/],
  ['"port": 1 }', "port: 1 }", /line 13, .*found "port", expected a key in quotes/],
  ['"port": 1 }', '"port" 1 }', /line 13, .*found "1", expected ":"/],
  ['"port": 1 }', '"port": 01 }', /line 13, .*found "1", expected "," or "}"/],
  ['"port": 1 }', '"port": True }', /line 13, .*found "True", expected a value/],
  ['M3 Max"', "M3 Max", /line 8, column 25: found "\\n", expected a text that ends with "/],
  ['M3 Max"', "M3 \\x", /line 8, column 21: found "\\\\", expected a text that ends with "/],
  ["14.2,", "14.2", /line 10, column 33: found "\\"", expected "," or "}"/],
];

Deno.test("each fault of a JSON file is told where it is", async () => {
  for (const [from, to, says] of WRONG) {
    const text = SPECIFIED.replace(from, to);
    assert(text !== SPECIFIED, from);
    assertMatch(await fault("peers.json", text), says, to);
  }
});

Deno.test("faults at the ends of a JSON file are told where they are", async () => {
  assertMatch(await fault("p", ""), /line 1, column 1: found the end of the file, expected a v/);
  assertMatch(await fault("p", '{\n"peers": {'), /line 2, column 11: found the end of the file/);
  assertMatch(await fault("p", "[1\n2]"), /line 2, column 1: found "2", expected "," or "]"/);
  assertMatch(await fault("p", '{"peers": {}}\n\n}'), /line 3, .*found "}", expected the end of/);
  assertMatch(await fault("p", '{"peers": {}}\n// x'), /line 2, .*found "\/", expected the end of/);
  assertMatch(await fault("p", "5"), /line 1, column 1: the file is 5, expected a map/);
  assertMatch(await fault("p", "\0"), /line 1, column 1: found "\\u0000", expected a value/);
});

Deno.test("each fault of a TOML file is told where it is", async () => {
  const cases: [from: string, to: string, says: RegExp][] = [
    ['"192.168.1.100"', "7", /line 3, column 1: peers\.node-1\.address is 7, expected a host/],
    [
      '"192.168.1.100"',
      "1979-05-27",
      /line 3, column 1: peers\.node-1\.address is .*1979.*, expected a host/,
    ],
    ["int8 = 56.8", 'int8 = "x"', /line 10, column 37: .*flops\.int8 is "x", expected a number/],
    ['"gpu.lab"', '"a b"', /line 12, column 8: a node id in peers is "a b", expected 1 to 63/],
    ['"gpu.lab"', "node-1", /line 12, column \d+: trying to redefine/],
    ["chip = 'M3 Max'", "chip = 'M3 Max", /line 8, column \d+: /],
    ["chip = 'M3 Max'", "chip = = 1", /line 8, column 8: invalid value/],
    [
      "[peers.node-1]",
      "[[peers.node-1]]",
      /line 2, column 9: peers\.node-1 is \[…\], expected a m/,
    ],
  ];
  for (const [from, to, says] of cases) {
    const text = SPECIFIED_IN_TOML.replace(from, to);
    const message = await fault("peers.toml", text);
    assertMatch(message, says, to);
    assert(!message.includes("\n"), message);
  }
});

Deno.test("what only looks like a key of a TOML file is passed over", async () => {
  const text = `
title = """
[peers.gpu]
port = 1 \\""" # """" # still no text
motto = '''
port = 2'''
name = "no \\" = [ end"
list = [ # port = 3
  "[peers.gpu]", ["port", { port = 4 }], 1979-05-27 07:32:00,
]
peers."g\\u0070u".'address' = "h"
  # port = 5
peers . gpu . port = 0
`;
  assertMatch(await fault("p.toml", text), /line 13, column 15: peers\.gpu\.port is 0, expected/);
});

Deno.test("a file is bounded in size, depth and peers", async () => {
  const padded = (length: number) => '{"peers": {}}'.padEnd(length);
  assertEquals(await parse("p.json", padded(MAX_PEERS_FILE_BYTES)), []);
  assertMatch(await fault("p.json", padded(MAX_PEERS_FILE_BYTES + 1)), /p\.json: it has more than/);

  const nested = (depth: number) =>
    `{"peers": {}, "more": ${"[".repeat(depth)}${"]".repeat(depth)}}`;
  assertEquals(await parse("p.json", nested(32)), []);
  assertMatch(
    await fault("p.json", nested(33)),
    /column 55: found "\[", expected at most 32 level/,
  );
  await fault("p.json", "[".repeat(500_000));
  await fault("p.toml", "x = " + "[".repeat(500_000));
  await fault("p.toml", "a" + ".a".repeat(500_000) + " = 1");

  const crowd = (size: number) => {
    const peers = Array.from({ length: size }, (_, i) => [`n${i}`, { address: "h", port: 1 }]);
    return JSON.stringify({ peers: Object.fromEntries(peers) });
  };
  assertEquals((await parse("p.json", crowd(4_096))).length, 4_096);
  assertStringIncludes(
    await fault("p.json", crowd(4_097)),
    "has 4097 nodes, expected at most 4096",
  );
});

Deno.test("a value that is shown cannot steer a terminal, nor fill it", async () => {
  const hostile = "\u001b[2J\u202e" + "x".repeat(10_000);
  const message = await fault(
    "p.json",
    JSON.stringify({ peers: { a: { address: hostile, port: 1 } } }),
  );
  assertEquals(safeName(message, 1_000), message);
  assertMatch(message, /is "[^"]{50,80}…, expected a host name/);
});

Deno.test("keys that objects inherit are ordinary ids or refused, and change no prototype", async () => {
  for (const id of ["constructor", "toString", "valueOf", "hasOwnProperty"]) {
    const expected = [{ nodeId: id, host: "h", port: 1 }];
    assertEquals(
      await parse("p.json", `{"peers": {"${id}": {"address": "h", "port": 1}}}`),
      expected,
    );
    assertEquals(await parse("p.toml", `[peers.${id}]\naddress = "h"\nport = 1`), expected);
    assertMatch(await fault("p.json", `{"peers": {"${id}": {}}}`), /address is missing/);
  }
  await fault("p.json", '{"__proto__": {"peers": {}}}');
  await fault("p.json", '{"peers": {"a": {"__proto__": {"address": "h", "port": 1}}}}');
  await fault("p.toml", "[__proto__.peers]");
  await fault("p.toml", '[peers.a.__proto__]\naddress = "h"\nport = 1');
  assertEquals(({} as Record<string, unknown>).peers, undefined);
  assertEquals(({} as Record<string, unknown>).address, undefined);
});

const anyLabel = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
  fc.constantFrom("constructor", "toString", "1", "0"),
);
const anyHost = fc.oneof(
  fc.stringMatching(/^[a-z](-?[a-z0-9]){0,20}$/),
  fc.ipV4(),
  fc.ipV6(),
);
const anyFigure = fc.option(fc.double({ min: 0, max: 1e9, noNaN: true }).map((one) => one + 0));
const anyName = fc.option(anyText({ maxLength: 40 }));
const anyPeer = fc.record({
  address: anyHost,
  port: fc.integer({ min: 1, max: 65_535 }),
  device_capabilities: fc.record({
    model: anyName,
    chip: anyName,
    memory: anyFigure,
    flops: fc.record({ fp32: anyFigure, fp16: anyFigure, int8: anyFigure }),
  }),
}, { requiredKeys: ["address", "port"] });
const anyPeers = fc.dictionary(anyLabel, anyPeer, { maxKeys: 6 });

type WrittenPeer = typeof anyPeer extends fc.Arbitrary<infer T> ? T : never;

function peersOf(written: Record<string, WrittenPeer>): FilePeer[] {
  return Object.entries(written).map((
    [nodeId, { address, port, device_capabilities: device }],
  ) => ({
    nodeId,
    host: address,
    port,
    ...device && {
      capabilities: {
        ...device,
        model: device.model && safeName(device.model),
        chip: device.chip && safeName(device.chip),
      },
    },
  }));
}

Deno.test("any valid map of peers is read exactly, from JSON and from TOML", async () => {
  await fc.assert(fc.asyncProperty(anyPeers, fc.constantFrom(0, 2, "\t"), async (peers, indent) => {
    const json = JSON.stringify({ peers, version: [1, { a: "}" }] }, null, indent);
    assertEquals(byId(await parse("p.json", json)), byId(peersOf(peers)));
  }));
  await fc.assert(
    fc.asyncProperty(anyPeers, fc.infiniteStream(anyStyle), async (peers, styles) => {
      const { text } = tomlOf(withoutDevices(peers), styles);
      assertEquals(byId(await parse("p.toml", text)), byId(peersOf(withoutDevices(peers))));
    }),
  );
});

function byId(peers: FilePeer[]): FilePeer[] {
  return peers.sort((a, b) => a.nodeId < b.nodeId ? -1 : 1);
}

type Places = Record<string, { address: unknown; port: unknown }>;

function withoutDevices(peers: Record<string, WrittenPeer>): Record<string, WrittenPeer> {
  return Object.fromEntries(
    Object.entries(peers).map(([id, { address, port }]) => [id, { address, port }]),
  );
}

/** A value that is wrong where it stands. */
class Wrong {
  constructor(readonly value: unknown) {}
}

/** Peers of which one field of one is wrong. */
const anyWrong = fc.record({
  peers: fc.dictionary(anyLabel, anyPeer, { minKeys: 1, maxKeys: 6 }).map(withoutDevices),
  victim: fc.nat(),
  fault: fc.oneof(
    fc.record({
      field: fc.constant("address"),
      value: fc.constantFrom<unknown[]>("", "a b", "http://a", "a:1", 5, true, [1, [2]], { a: 1 }),
    }),
    fc.record({
      field: fc.constant("port"),
      value: fc.constantFrom<unknown[]>(0, 65_536, 1.5, "5681", false, [1], { a: { b: "c" } }),
    }),
  ),
}).map(({ peers, victim, fault }): { peers: Places; id: string; field: string } => {
  const ids = Object.keys(peers);
  const id = ids[victim % ids.length];
  const wrong = { ...peers[id], [fault.field]: new Wrong(fault.value) };
  return { peers: { ...peers, [id]: wrong }, id, field: fault.field };
});

const anyBlank = fc.constantFrom("", "", " ", "\n", "\r\n", "\t\n\n");

Deno.test("in any JSON file the line that is told is the one where the wrong value stands", async () => {
  await fc.assert(
    fc.asyncProperty(anyWrong, fc.infiniteStream(anyBlank), async ({ peers, field }, blanks) => {
      let text = "";
      let line = 0;
      for (const token of tokensOf({ peers })) {
        text += blanks.next().value;
        if (token instanceof Wrong) line = lineAt(text);
        text += token instanceof Wrong ? JSON.stringify(token.value) : token;
      }
      const message = await fault("p.json", text);
      assertMatch(
        message,
        new RegExp(`p\\.json, line ${line}, column \\d+: peers\\..*\\.${field} is `),
      );
    }),
  );
});

Deno.test("in any TOML file the line that is told is the one where the wrong value stands", async () => {
  await fc.assert(
    fc.asyncProperty(anyWrong, fc.infiniteStream(anyStyle), async ({ peers, field }, styles) => {
      const { text, line } = tomlOf(peers, styles);
      const message = await fault("p.toml", text);
      assertMatch(
        message,
        new RegExp(`p\\.toml, line ${line}, column \\d+: peers\\..*\\.${field} is `),
      );
    }),
  );
});

function lineAt(text: string): number {
  return text.split("\n").length;
}

function tokensOf(value: unknown): (string | Wrong)[] {
  if (value instanceof Wrong) return [value];
  if (typeof value !== "object" || value === null) return [JSON.stringify(value)];
  const members = Object.entries(value).map(([key, member], index) => [
    ...index === 0 ? [] : [","],
    JSON.stringify(key),
    ":",
    ...tokensOf(member),
  ]);
  return ["{", ...members.flat(), "}"];
}

/** How a peer is written in TOML. */
const anyStyle = fc.record({
  form: fc.constantFrom("table", "inline", "dotted"),
  isQuoted: fc.boolean(),
  noise: fc.constantFrom("", "\n", "\r\n", "# port = 1\n", '"x y" = """\n[peers.a]\nport = 7"""\n'),
});

type Style = typeof anyStyle extends fc.Arbitrary<infer T> ? T : never;

/** A TOML file of peers, with the line of the wrong value. */
function tomlOf(peers: Places, styles: Iterator<Style>): { text: string; line: number } {
  let text = "";
  let line = 0;
  const write = (before: string, value: unknown, after: string) => {
    text += before;
    if (value instanceof Wrong) line = lineAt(text);
    text += inToml(value instanceof Wrong ? value.value : value) + after;
  };
  // Nothing may follow a table's header but what is in that table, so tables come last.
  const styled = Object.entries(peers).map(([id, peer]) => ({ id, peer, ...styles.next().value }))
    .sort((a, b) => Number(a.form === "table") - Number(b.form === "table"));
  // Written once: a key must not be there twice.
  let noises = 0;
  for (const { id, peer, form, isQuoted, noise } of styled) {
    const key = `peers . ${isQuoted || id.includes(".") ? quoted(id) : id}`;
    text += noise.replace("x y", `noise ${noises++}`);
    if (form === "inline") {
      write(`${key} = { address = `, peer.address, "");
      write(", 'port' = ", peer.port, " }\n");
    } else {
      const prefix = form === "table" ? "" : `${key}.`;
      if (form === "table") text += `[ ${key} ] # port\n`;
      write(`${prefix}address = `, peer.address, " # port = 1\n");
      write(`  ${prefix}"p\\u006frt" = `, peer.port, "\n");
    }
  }
  return { text: text === "" ? "[peers]" : text, line };
}

function quoted(id: string): string {
  const code = id.charCodeAt(0).toString(16).padStart(4, "0");
  return `"\\u${code}${id.slice(1)}"`;
}

function inToml(value: unknown): string {
  if (Array.isArray(value)) return `[\n${value.map(inToml).join(", # ]\n")},\n]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{ ${Object.entries(value!).map(([key, one]) => `${key} = ${inToml(one)}`).join(", ")} }`;
}

Deno.test("what is JSON and what is not is what JSON.parse says", async () => {
  const scrap = fc.constantFrom(
    ..."{}[],:\"\\0123-+.eEtrufalsn/ '\n\t".split(""),
    ...["\u0000", "\\u00", "\\n", "\ud800", "\u2028", "NaN", "1.", ".5", "1e5", "true"],
  );
  const mutated = fc.record({ text: fc.json(), at: fc.nat(), cut: fc.nat(2), scrap })
    .map(({ text, at, cut, scrap }) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + scrap + text.slice(place + cut);
    });
  const anything = fc.oneof(
    fc.json(),
    mutated,
    fc.array(scrap, { maxLength: 8 }).map((all) => all.join("")),
  );
  let good = 0;
  let bad = 0;
  await fc.assert(
    fc.asyncProperty(anything, async (text) => {
      const whole = `{"peers":{},"more":${text}}`;
      let isJson = true;
      try {
        JSON.parse(whole);
      } catch {
        isJson = false;
      }
      let problem = "";
      try {
        await parse("p.json", whole);
      } catch (thrown) {
        assert(thrown instanceof NetworkError, `${thrown}`);
        problem = thrown.message;
      }
      if (/there again|levels of nesting/.test(problem)) return;
      assertEquals(problem === "", isJson, problem);
      if (isJson) good++;
      else bad++;
    }),
    { numRuns: 3_000 },
  );
  assert(good > 300 && bad > 300, `${good} good, ${bad} bad`);
});

Deno.test("no text whatever makes it throw anything but a NetworkError", async () => {
  const scrap = fc.constantFrom(
    ...[
      "[peers]",
      "[peers.a]",
      "[[",
      "]]",
      "\n",
      "a",
      ".",
      " = ",
      '"',
      "'",
      '"""',
      "'''",
      "\\",
      "{",
    ],
    ...["}", ",", "[", "]", "#", "1", "1979-05-27", "address", "port", "__proto__", "\r", "\u0000"],
    ...["\ufeff", "\ud800", "inf", "nan", '{"peers":', '"a":'],
  );
  const anything = fc.oneof(
    anyText({ maxLength: 60 }),
    fc.array(scrap, { maxLength: 25 }).map((all) => all.join("")),
    fc.json(),
  );
  await fc.assert(
    fc.asyncProperty(anything, fc.constantFrom("p.json", "p.toml"), async (text, file) => {
      try {
        await parse(file, text);
      } catch (thrown) {
        assert(thrown instanceof NetworkError && thrown.code === "INVALID_ARGUMENT", `${thrown}`);
        assertMatch(
          thrown.message,
          /^Cannot read the peers file p\.(json|toml), line \d+, column \d+: /,
        );
      }
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("bytes that are no text are refused or passed over, never thrown upon", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 50 }), async (bytes) => {
      await assertRejects(() => parsePeersFile("p.json", bytes), NetworkError);
    }),
  );
  const utf16 = new Uint8Array(new Uint16Array([..."{}"].map((one) => one.charCodeAt(0))).buffer);
  await assertRejects(() => parsePeersFile("p.json", utf16), NetworkError, "line 1, column 2");
});
