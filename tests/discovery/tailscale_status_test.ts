/** What `tailscale status --json` says, and what it may not make a node do. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { NetworkError } from "../../src/base/errors.ts";
import {
  MAX_STATUS_BYTES,
  parseTailscaleStatus,
  problemOf,
  reachableDevices,
  tailnetAddresses,
} from "../../src/discovery/tailscale_status.ts";

function fixture(name: string): string {
  return Deno.readTextFileSync(new URL(`./fixtures/tailscale/${name}`, import.meta.url));
}

/** A running tailnet with one device, changed. */
function withDevice(change: Record<string, unknown>): string {
  const device = {
    DNSName: "box.tail0.ts.net.",
    TailscaleIPs: ["100.64.0.1"],
    OS: "linux",
    Online: true,
    ...change,
  };
  return JSON.stringify({ BackendState: "Running", Peer: { "nodekey:1": device } });
}

Deno.test("devices that are online and may run a node are reachable, by name", () => {
  const devices = reachableDevices(parseTailscaleStatus(fixture("running.json")));
  assertEquals(devices.map(({ name, addresses }) => [name, ...addresses]), [
    ["gpu-server.tail0a1b2c.ts.net", "100.90.0.2", "fd7a:115c:a1e0::5a01:2"],
    ["lab-box.tail9f8e7d.ts.net", "100.101.12.34", "fd7a:115c:a1e0::6501:c22"],
    ["majas-studio.tail0a1b2c.ts.net", "100.90.0.3", "fd7a:115c:a1e0::5a01:3"],
    ["router.tail0a1b2c.ts.net", "100.90.0.8", "fd7a:115c:a1e0::5a01:8"],
  ]);
});

Deno.test("this device's addresses are told, and it is not among the others", () => {
  const { addresses, devices } = parseTailscaleStatus(fixture("running.json"));
  assertEquals(addresses, ["100.90.0.1", "fd7a:115c:a1e0::5a01:1"]);
  assertEquals(devices.length, 11);
  assert(devices.every((device) => !device.addresses.includes("100.90.0.1")));
});

const UNREACHABLE: [string, Record<string, unknown>][] = [
  ["is offline", { Online: false }],
  ["does not say whether it is online", { Online: undefined }],
  ["runs iOS", { OS: "iOS" }],
  ["runs Android", { OS: "android" }],
  ["runs tvOS", { OS: "tvOS" }],
  ["has an expired key", { Expired: true }],
  ["is only here because something was shared with it", { ShareeNode: true }],
  ["is one of a VPN provider's servers", { Tags: ["tag:mullvad-exit-node"] }],
  ["has no address", { TailscaleIPs: null }],
];

for (const [what, change] of UNREACHABLE) {
  Deno.test(`a device that ${what} is not reachable`, () => {
    assertEquals(reachableDevices(parseTailscaleStatus(withDevice({}))).length, 1);
    assertEquals(reachableDevices(parseTailscaleStatus(withDevice(change))), []);
  });
}

Deno.test("a device whose name is none for the DNS goes by its address", () => {
  for (const DNSName of ["", "1.2.3.4.", "a b.ts.net", "\x1b[2J", "-.".repeat(200), 7, undefined]) {
    const [device] = parseTailscaleStatus(withDevice({ DNSName })).devices;
    assertEquals(device.name, "100.64.0.1");
  }
});

Deno.test("a device that is none does not hide the others", () => {
  const status = JSON.stringify({
    BackendState: "Running",
    Self: 7,
    Peer: { a: null, b: "x", c: [], d: { DNSName: "d.ts.net.", TailscaleIPs: ["100.64.0.4", 5] } },
  });
  assertEquals(parseTailscaleStatus(status).devices.map(({ name }) => name), ["d.ts.net"]);
});

Deno.test("nobody else in the tailnet is no problem", () => {
  const status = parseTailscaleStatus(fixture("alone.json"));
  assertEquals(status.devices, []);
  assertEquals(problemOf(status), undefined);
});

const NOT_RUNNING: [string, string, string][] = [
  ["logged out", fixture("needs_login.json"), "not logged in. Try: tailscale up"],
  ["stopped", fixture("stopped.json"), "stopped. Try: tailscale up"],
  ["starting", '{"BackendState":"Starting"}', "still starting"],
  ["not yet there", '{"BackendState":"NoState"}', "Start Tailscale"],
  ["not approved", '{"BackendState":"NeedsMachineAuth"}', "admin/machines"],
  ["somebody else's", '{"BackendState":"InUseOtherUser"}', "another user"],
  ["new", '{"BackendState":"\\u001b[2JDreaming"}', 'in the state "[2JDreaming"'],
];

for (const [what, stdout, says] of NOT_RUNNING) {
  Deno.test(`Tailscale that is ${what} has no peers, and the problem says what to do`, () => {
    const status = parseTailscaleStatus(stdout);
    assertEquals(reachableDevices(status), []);
    const problem = problemOf(status) ?? "";
    assert(problem.startsWith("Cannot find peers by Tailscale: "), problem);
    assertStringIncludes(problem, says);
  });
}

Deno.test("the address at which to log in, which is a secret, is not repeated", () => {
  const status = parseTailscaleStatus(fixture("needs_login.json"));
  assert(!JSON.stringify([status, problemOf(status)]).includes("0123456789abc"));
});

const GARBAGE: [string, string][] = [
  ["nothing", ""],
  ["an empty object", fixture("empty.json")],
  ["half a status", fixture("truncated.txt")],
  ["the complaint of an app", "The Tailscale GUI failed to start: (Tailscale.CLIError error 3.)"],
  ["a list", "[]"],
  ["a state of another type", '{"BackendState":5}'],
  ["nesting of 10,000 levels", `${"[".repeat(10_000)}${"]".repeat(10_000)}`],
  ["more than the bound", JSON.stringify({ BackendState: " ".repeat(MAX_STATUS_BYTES) })],
];

for (const [what, stdout] of GARBAGE) {
  Deno.test(`${what} is no status`, () => {
    const error = assertThrows(() => parseTailscaleStatus(stdout), NetworkError);
    assertEquals(error.code, "PROTOCOL");
    assert(error.message.startsWith("Cannot find peers by Tailscale: "), error.message);
  });
}

Deno.test("what was printed instead of a status does not change what is told", () => {
  const messages = ["12:00:01 oops", "12:00:02 oops"].map((stdout) =>
    assertThrows(() => parseTailscaleStatus(stdout), NetworkError).message
  );
  assertEquals(messages[0], messages[1]);
});

Deno.test("addresses of the tailnet's ranges are taken, IPv4 first, each once and in one form", () => {
  assertEquals(
    tailnetAddresses([
      "FD7A:115C:A1E0:0:0::2",
      "100.64.0.0",
      "fd7a:115c:a1e0::2",
      "100.127.255.255",
    ]),
    ["100.64.0.0", "100.127.255.255", "fd7a:115c:a1e0::2"],
  );
});

Deno.test("addresses outside the tailnet's ranges are dropped", () => {
  const outside = [
    ["127.0.0.1", "100.63.255.255", "100.128.0.0", "10.0.0.1", "1.2.3.4", "0.0.0.0"],
    ["100.64.0.256", "100.64.0", "100.64.0.01", "100.64.0.1:22", "100.64.0.1 ", "0144.64.0.1"],
    ["::1", "fd7a:115c:a1e1::1", "fd7a:115c:a1df::1", "2001:db8::1", "::ffff:100.64.0.1"],
    [
      "fd7a:115c:a1e0",
      "fd7a:115c:a1e0::1%eth0",
      "fd7a:115c:a1e0::1]@evil.example/",
      "evil.example",
    ],
  ];
  assertEquals(tailnetAddresses(outside.flat()), []);
});

const json = fc.jsonValue({ maxDepth: 6 });
const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV4().map((ip) => ip.replace(/^\d+\.\d+/, "100.64")),
  fc.ipV6().map((ip) => `fd7a:115c:a1e0:${ip.split(":").slice(3).join(":")}`),
  fc.string(),
);
const device = fc.record({
  DNSName: fc.oneof(fc.string(), fc.domain(), json),
  TailscaleIPs: fc.oneof(fc.array(address), json),
  OS: fc.oneof(fc.constantFrom("linux", "iOS"), json),
  Online: fc.oneof(fc.boolean(), json),
  Tags: json,
}, { requiredKeys: [] });
const status = fc.record({
  BackendState: fc.oneof({ weight: 9, arbitrary: fc.constant("Running") }, json),
  Self: fc.oneof(device, json),
  Peer: fc.oneof({ weight: 9, arbitrary: fc.dictionary(fc.string(), device) }, json),
});

/** Said in another way than the parser says it: the first bits of the address. */
function isOfTailnet(text: string): boolean {
  if (!text.includes(":")) {
    const [a, b, ...rest] = text.split(".").map(Number);
    return a === 100 && (b & 0xc0) === 64 && rest.every((one) => one <= 255) && rest.length === 2;
  }
  const [a, b, c] = text.split(":").map((group) => parseInt(group, 16));
  return a === 0xfd7a && b === 0x115c && c === 0xa1e0;
}

Deno.test("property: no JSON throws anything but a NetworkError or yields a foreign address", () => {
  let seen = 0;
  fc.assert(
    fc.property(fc.oneof(status, json), (value) => {
      try {
        const parsed = parseTailscaleStatus(JSON.stringify(value));
        const addresses = parsed.devices.flatMap(({ addresses }) => addresses);
        seen += addresses.length;
        for (const one of [...addresses, ...parsed.addresses]) assert(isOfTailnet(one), one);
        for (const one of parsed.devices) assert(one.addresses.length > 0 && one.name !== "");
      } catch (thrown) {
        if (!(thrown instanceof NetworkError)) throw thrown;
      }
    }),
    { numRuns: 2_000 },
  );
  assert(seen > 0, "nothing that was generated had an address: the property says nothing");
});

Deno.test("property: no text at all throws anything but a NetworkError", () => {
  const running = fixture("running.json");
  const cut = fc.nat(running.length).map((length) => running.slice(0, length));
  const spoilt = fc.tuple(fc.nat(running.length), fc.string()).map(([at, text]) =>
    running.slice(0, at) + text + running.slice(at + text.length)
  );
  fc.assert(fc.property(fc.oneof(fc.string(), cut, spoilt), (stdout) => {
    try {
      for (const one of parseTailscaleStatus(stdout).devices) {
        for (const address of one.addresses) assert(isOfTailnet(address), address);
      }
    } catch (thrown) {
      if (!(thrown instanceof NetworkError)) throw thrown;
    }
  }));
});
