/**
 * What we rely on in the `@std` packages, pinned on what those document: run with `deno.json` these
 * tests judge the stand-ins of `links/`, run with `deno.jsr.json` the real packages.
 *
 * @module
 */

import * as assertions from "@std/assert";
import { assertEquals, AssertionError, assertRejects, assertThrows } from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";
import { parse, stringify } from "@std/toml";
import { jsrConfig } from "../links/jsr_config.ts";

Deno.test("deno.jsr.json is deno.json without the links", async () => {
  const [own, jsr] = await Promise.all(
    ["../deno.json", "../deno.jsr.json"].map((path) =>
      Deno.readTextFile(new URL(path, import.meta.url))
    ),
  );

  assertEquals(JSON.parse(jsr), JSON.parse(jsrConfig(own)), "run: deno task config:jsr");
});

Deno.test("parseArgs: a flag takes the next argument unless it is a boolean", () => {
  assertEquals(parseArgs(["--name", "gpu", "run", "--json", "hello"], { boolean: ["json"] }), {
    _: ["run", "hello"],
    name: "gpu",
    json: true,
  });
  assertEquals(parseArgs(["--foo", "--bar=baz", "./quux.txt"]), {
    _: ["./quux.txt"],
    foo: true,
    bar: "baz",
  });
});

Deno.test("parseArgs: booleans are false unless given, and read true and false", () => {
  const options = { boolean: ["json", "watch"] } as const;

  assertEquals(parseArgs([], options), { _: [], json: false, watch: false });
  assertEquals(parseArgs(["--json", "false", "--watch=true"], options), {
    _: [],
    json: false,
    watch: true,
  });
});

Deno.test("parseArgs: with boolean set to true no --flag takes the next argument", () => {
  assertEquals(parseArgs(["moo", "--honk", "cow", "-p", "55", "--tacos=good"], { boolean: true }), {
    _: ["moo", "cow"],
    honk: true,
    p: 55,
    tacos: "good",
  });
});

Deno.test("parseArgs: numbers are numbers unless their flag is a string", () => {
  const flags = parseArgs(["--port", "5681", "--rate=1e3", "--hex", "0xff", "--id", "007", "12"], {
    string: ["id"],
  });

  assertEquals(flags, { _: [12], port: 5681, rate: 1000, hex: 255, id: "007" });
  assertEquals<unknown>(parseArgs(["12"], { string: ["_"] })._, ["12"]);
});

Deno.test("parseArgs: a string flag without a value is empty", () => {
  assertEquals(parseArgs(["--name"], { string: ["name"] }), { _: [], name: "" });
  assertEquals(parseArgs(["--name", "--json"], { string: ["name"], boolean: ["json"] }), {
    _: [],
    name: "",
    json: true,
  });
});

Deno.test("parseArgs: letters are grouped, and the last of them may have a value", () => {
  assertEquals(parseArgs(["-vn", "gpu", "-p=5", "-j4"]), { _: [], v: true, n: "gpu", p: 5, j: 4 });
  assertEquals(parseArgs(["-"]), { _: ["-"] });
  assertEquals(parseArgs(["-n", "-"]), { _: [], n: "-" });
});

Deno.test("parseArgs: every name of a flag has its value", () => {
  const options = {
    boolean: ["help"],
    string: ["name"],
    alias: { help: "h", name: ["n", "label"] },
  } as const;

  assertEquals(parseArgs(["-h", "--label", "gpu"], options), {
    _: [],
    help: true,
    h: true,
    name: "gpu",
    n: "gpu",
    label: "gpu",
  });
});

Deno.test("parseArgs: a default of null tells a boolean that is not given from one that is false", () => {
  const options = { boolean: ["json", "watch"], default: { json: null, watch: null } } as const;

  assertEquals<unknown>(parseArgs(["--json=false"], options), { _: [], json: false, watch: null });
});

Deno.test("parseArgs: defaults hold where a flag is not given", () => {
  const options = {
    string: ["port"],
    default: { port: "5681", discovery: ["udp"] },
  } as { string: ["port"]; default: Record<"port" | "discovery", unknown> };

  assertEquals(parseArgs([], options), { _: [], port: "5681", discovery: ["udp"] });
  assertEquals(parseArgs(["--port", "1"], options), { _: [], port: "1", discovery: ["udp"] });
});

Deno.test("parseArgs: a collected flag is a list, of any other the last value counts", () => {
  const options = { string: ["agents", "name"], collect: ["agents"] } as const;

  assertEquals(parseArgs([], options), { _: [], agents: [] });
  assertEquals(
    parseArgs(["--agents", "a.ts", "--agents=b.ts", "--name", "x", "--name", "y"], options),
    { _: [], agents: ["a.ts", "b.ts"], name: "y" },
  );
});

Deno.test("parseArgs: --no- negates what is negatable and nothing else", () => {
  assertEquals(parseArgs(["--no-color"], { boolean: ["color"], negatable: ["color"] }), {
    _: [],
    color: false,
  });
  assertEquals(parseArgs(["--no-color"]), { _: [], "no-color": true });
});

Deno.test("parseArgs: stopEarly leaves the rest to a subcommand", () => {
  assertEquals(parseArgs(["--json", "run", "--agent", "a"], { boolean: true, stopEarly: true }), {
    _: ["run", "--agent", "a"],
    json: true,
  });
});

Deno.test("parseArgs: what follows -- is not parsed", () => {
  assertEquals(parseArgs(["-a", "x", "--", "--b", "1"]), { _: ["--b", "1"], a: "x" });
  assertEquals(parseArgs(["a", "--", "--b"], { "--": true }), { _: ["a"], "--": ["--b"] });
});

Deno.test("parseArgs: unknown is told of what is not declared, and may refuse it", () => {
  const told: unknown[][] = [];
  const flags = parseArgs(["--json", "--speed", "9", "-x", "run"], {
    boolean: ["json"],
    unknown: (arg, key, value) => {
      told.push([arg, key, value]);
      return key === undefined;
    },
  });

  assertEquals(told, [["--speed", "speed", "9"], ["-x", "x", "run"]]);
  assertEquals(flags, { _: [], json: true });
});

Deno.test("parseArgs: a dot in a name is a table in a table", () => {
  assertEquals(parseArgs(["--tls.cert", "a.pem", "--tls.verify"]), {
    _: [],
    tls: { cert: "a.pem", verify: true },
  });
});

Deno.test("parseArgs: the options give the flags their types", () => {
  const flags = parseArgs(["--node", "b"], {
    boolean: ["json", "color"],
    string: ["name", "node", "port"],
    collect: ["node"],
    negatable: ["color", "name"],
    default: { port: "5681", retries: 3 },
    alias: { json: "j" },
    "--": true,
  });

  const typed: {
    json: boolean;
    j: boolean;
    color: boolean;
    name?: string | false;
    node: string[];
    port: string;
    retries: unknown;
    _: (string | number)[];
    "--": string[];
  } = flags;
  // @ts-expect-error: without a default, a flag that takes a value may be missing
  flags.name satisfies string;
  // @ts-expect-error: what is not declared has no known type
  flags.other satisfies string;
  assertEquals(typed.node, ["b"]);
});

/** What it counts can be seen through its getter only. */
class Counter {
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  get count(): number {
    return this.#count;
  }
}

const EQUAL: [name: string, a: unknown, b: unknown][] = [
  ["numbers 0 and -0", { a: [0] }, { a: [-0] }],
  ["NaN", NaN, NaN],
  ["an object without a prototype and a plain one", Object.create(null), {}],
  ["dates", [new Date(5)], [new Date(5)]],
  ["patterns", /a/i, /a/i],
  ["addresses", new URL("http://a.test/b"), new URL("http://a.test/b")],
  ["maps in another order", new Map([["a", 1], ["b", 2]]), new Map([["b", 2], ["a", 1]])],
  ["sets of objects", new Set([{ a: 1 }, { b: 2 }]), new Set([{ b: 2 }, { a: 1 }])],
  ["bytes", new Uint8Array([1, 2]), new Uint8Array([1, 2])],
  ["symbols as keys", { [Symbol.for("a")]: 1 }, { [Symbol.for("a")]: 1 }],
  ["instances of a class", new Counter(1), new Counter(1)],
  ["circular objects", circular(), circular()],
];

const UNEQUAL: [name: string, a: unknown, b: unknown][] = [
  ["text and number", "1", 1],
  ["null and undefined", null, undefined],
  ["an undefined key and a missing one", { a: undefined }, {}],
  ["undefined under different keys", { a: undefined, b: undefined }, { a: undefined, c: 1 }],
  ["lists in another order", [1, 2], [2, 1]],
  [
    "an instance and a plain object",
    new (class Peer {
      id = 1;
    })(),
    { id: 1 },
  ],
  ["dates", new Date(5), new Date(6)],
  ["patterns", /a/, /a/g],
  ["maps", new Map([["a", { b: 1 }]]), new Map([["a", { b: 2 }]])],
  ["sets", new Set([1, 2]), new Set([1, 3])],
  ["bytes", new Uint8Array([1, 2]), new Uint8Array([2, 1])],
  ["bytes and numbers", new Uint8Array([1]), [1]],
  ["instances with other getters", new Counter(1), new Counter(2)],
];

for (const [name, a, b] of EQUAL) {
  Deno.test(`assertEquals: equal are ${name}`, () => {
    assertions.assertEquals(a, b);
    assertThrows(() => assertions.assertNotEquals(a, b), AssertionError);
  });
}

for (const [name, a, b] of UNEQUAL) {
  Deno.test(`assertEquals: different are ${name}`, () => {
    assertThrows(() => assertions.assertEquals(a, b), AssertionError, "Values are not equal");
    assertions.assertNotEquals(a, b);
  });
}

Deno.test("assertEquals: the message shows which lines differ, and the caller's words", () => {
  const error = assertThrows(
    () => assertEquals({ id: "a", load: [1, 2] }, { id: "a", load: [1, 3] }, "the status"),
    AssertionError,
    "Values are not equal: the status",
  );
  // deno-lint-ignore no-control-regex -- the real package colours its message
  const lines = error.message.replaceAll(/\x1b\[\d+m/g, "").split("\n").map((line) => line.trim());

  assertEquals(lines.filter((line) => /^[-+]/.test(line)).map((line) => line.replace(/ +/, " ")), [
    "- 2,",
    "+ 3,",
  ]);
});

Deno.test("each assertion holds where it should and names what does not", () => {
  const {
    assert,
    assertAlmostEquals,
    assertArrayIncludes,
    assertExists,
    assertGreater,
    assertGreaterOrEqual,
    assertInstanceOf,
    assertLess,
    assertLessOrEqual,
    assertMatch,
    assertObjectMatch,
    assertStrictEquals,
    assertStringIncludes,
    fail,
  }: typeof assertions = assertions;
  const list = [1];
  const cases: [holds: () => void, fails: () => void, message: string][] = [
    [() => assert(1), () => assert(0, "zero"), "zero"],
    [() => assertExists(0), () => assertExists(null), "to not be null or undefined"],
    [() => assertStrictEquals(list, list), () => assertStrictEquals([1], [1]), "reference-equal"],
    [() => assertStrictEquals(1, 1), () => assertStrictEquals(1, 2), "not strictly equal"],
    [() => assertMatch("abc", /b/), () => assertMatch("abc", /x/), 'to match: "/x/"'],
    [
      () => assertStringIncludes("abc", "b"),
      () => assertStringIncludes("abc", "x"),
      'Expected actual: "abc" to contain: "x"',
    ],
    [
      () => assertArrayIncludes([{ a: 1 }, { a: 2 }], [{ a: 2 }]),
      () => assertArrayIncludes([1, 2], [3]),
      "missing",
    ],
    [
      () => assertAlmostEquals(0.1 + 0.2, 0.3),
      () => assertAlmostEquals(0.3, 0.4),
      "to be close to",
    ],
    [() => assertAlmostEquals(1, 2, 1), () => assertAlmostEquals(1, 2.5, 1), "is greater than"],
    [() => assertGreater(2, 1), () => assertGreater(1, 1), "Expect 1 > 1"],
    [() => assertGreaterOrEqual(1, 1), () => assertGreaterOrEqual(0, 1), "Expect 0 >= 1"],
    [() => assertLess(1, 2), () => assertLess(1, 1), "Expect 1 < 1"],
    [() => assertLessOrEqual(1, 1), () => assertLessOrEqual(2, 1), "Expect 2 <= 1"],
    [() => assertLess(1, 2), () => assertLess(1, NaN, "own words"), "own words"],
    [
      () => assertInstanceOf(new TypeError(), Error),
      () => assertInstanceOf({}, Error),
      'to be an instance of "Error"',
    ],
    [
      () => assertObjectMatch({ a: { b: 1, c: 2 }, d: [1] }, { a: { b: 1 } }),
      () => assertObjectMatch({ a: { b: 1 } }, { a: { b: 1, c: 2 } }),
      "Values are not equal",
    ],
    [
      () => assertObjectMatch({ list: [{ a: 1, b: 2 }] }, { list: [{ a: 1 }] }),
      () => assertObjectMatch({ list: [{ a: 1 }] }, { list: [{ a: 1 }, { a: 2 }] }),
      "Values are not equal",
    ],
    [() => {}, () => fail("no way"), "Failed assertion: no way"],
  ];

  for (const [holds, fails, message] of cases) {
    holds();
    assertThrows(fails, AssertionError, message);
  }
});

Deno.test("assertThrows returns the error, and checks its class and message", () => {
  const thrower = () => {
    throw new RangeError("port 70000 is out of range");
  };

  assertEquals(assertThrows(thrower, RangeError, "70000").message, "port 70000 is out of range");
  assertThrows(
    () => assertThrows(() => 1, RangeError),
    AssertionError,
    "Expected function to throw",
  );
  assertThrows(
    () => assertThrows(thrower, TypeError),
    AssertionError,
    'Expected error to be instance of "TypeError", but was "RangeError"',
  );
  assertThrows(
    () => assertThrows(thrower, RangeError, "70001"),
    AssertionError,
    'Expected error message to include "70001", but got "port 70000 is out of range"',
  );
  assertThrows(
    () =>
      assertThrows(() => {
        throw "text";
      }, Error),
    AssertionError,
    "A non-Error object was thrown",
  );
});

Deno.test("assertRejects returns the error, and tells rejecting from throwing", async () => {
  const rejecter = () => Promise.reject(new RangeError("port 70000 is out of range"));

  assertEquals((await assertRejects(rejecter, RangeError, "70000")).name, "RangeError");
  assertEquals(await assertRejects(() => Promise.reject("text")), "text");
  await assertRejects(
    () => assertRejects(() => Promise.resolve(1)),
    AssertionError,
    "Expected function to reject",
  );
  await assertRejects(
    () =>
      assertRejects(() => {
        throw new Error("at once");
      }),
    AssertionError,
    "Function throws when expected to reject",
  );
  await assertRejects(() => assertRejects(rejecter, TypeError), AssertionError, "RangeError");
});

Deno.test("TOML: every kind of value is read", () => {
  const document = `
title = "network" # comment
retries = 3
ratio = 0.5
mask = 0xff
on = true
ways = ["udp", "manual"]
since = 1979-05-27T07:32:00Z
"quoted key".sub = 'raw \\n'

[node]
name = "gpu"

[[agents]]
name = "a"
[[agents]]
name = "b"
limits = { tasks = 2 }
`;

  assertEquals(parse(document), {
    title: "network",
    retries: 3,
    ratio: 0.5,
    mask: 255,
    on: true,
    ways: ["udp", "manual"],
    since: new Date("1979-05-27T07:32:00Z"),
    "quoted key": { sub: "raw \\n" },
    node: { name: "gpu" },
    agents: [{ name: "a" }, { name: "b", limits: { tasks: 2 } }],
  });
});

Deno.test("TOML: days are dates, times of day are text", () => {
  assertEquals(parse("day = 1979-05-27\nat = 07:32:00"), {
    day: new Date("1979-05-27"),
    at: "07:32:00",
  });
});

Deno.test("TOML: a mistake is a SyntaxError that says where it is", () => {
  assertThrows(() => parse("foo = 1\nbar ="), SyntaxError, "line 2, column 5");
  assertThrows(() => parse("foo = 1\nbar = 'foo\nbaz=1"), SyntaxError, "line 2, column 10");
});

Deno.test("TOML: what is written is read back the same", () => {
  const config = {
    name: 'a "quoted" name',
    port: 5681,
    ratio: 0.25,
    on: false,
    ways: ["udp", "manual"],
    node: { "a key": "x", deep: { er: 1 } },
    agents: [{ name: "a" }, { name: "b" }],
  };

  assertEquals(parse(stringify(config)), config);
  assertEquals(
    stringify({ title: "TOML Example", owner: { name: "Bob" } }),
    'title = "TOML Example"\n\n[owner]\nname = "Bob"\n',
  );
});

function circular(): { self?: unknown } {
  const object: { self?: unknown } = {};
  object.self = object;
  return object;
}
