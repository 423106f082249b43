/** To which addresses a node may talk: nothing leaves the machine that was not allowed to. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { NetworkError } from "../../src/base/errors.ts";
import { reachOf } from "../../src/network/reach.ts";

const ITSELF = [
  "127.0.0.1",
  "127.1.2.3",
  "::1",
  "localhost",
  "::ffff:127.0.0.1",
  "::FFFF:127.0.0.1",
];
const PRIVATE = [
  "10.0.0.1",
  "10.255.255.255",
  "172.16.0.1",
  "172.31.255.254",
  "192.168.0.1",
  "169.254.7.7",
  "100.64.0.1",
  "100.127.255.255",
  "::ffff:192.168.1.7",
  "fd12:3456::1",
  "fe80::1",
];
const PUBLIC = [
  "8.8.8.8",
  "172.15.255.255",
  "172.32.0.1",
  "192.167.1.1",
  "100.63.255.255",
  "100.128.0.1",
  "11.0.0.1",
  "126.255.255.255",
  "::ffff:8.8.8.8",
  "2001:db8::1",
  "0.0.0.0",
  "example.com",
  "10.example.com",
  "127.example.com",
  "",
];

function reach(
  open: boolean | string,
  rest: Partial<Parameters<typeof reachOf>[0]> = {},
): (host: string) => boolean {
  return reachOf({ open, tls: undefined, networkInterfaces: [], ...rest });
}

function allowed(open: boolean | string, hosts: string[]): string[] {
  return hosts.filter(reach(open));
}

Deno.test("with a key a node talks to whoever has it, wherever that is", () => {
  const all = [...ITSELF, ...PRIVATE, ...PUBLIC];
  assertEquals(allowed(false, all), all);
});

Deno.test("on the loopback alone a node talks to its own machine only, open or not", () => {
  for (const open of [false, true, "192.168.1.0/24"]) {
    const allows = reach(open, { networkInterfaces: ["lo"] });
    assertEquals([...ITSELF, ...PRIVATE, ...PUBLIC].filter(allows), ITSELF);
  }
});

Deno.test("with certificates that are not verified a node talks to private addresses only", () => {
  const tls = { cert: "", key: "", ca: "", verifyPeers: false };
  assertEquals([...PRIVATE, ...PUBLIC].filter(reach(false, { tls })), PRIVATE);
  const verified = { ...tls, verifyPeers: true };
  assertEquals(PUBLIC.filter(reach(false, { tls: verified })), PUBLIC);
});

Deno.test("open to all private addresses lets no public one in, however it is written", () => {
  assertEquals(allowed(true, [...PRIVATE, ...PUBLIC]), PRIVATE);
  assert(reach(true)("127.0.0.1"));
});

Deno.test("open to a range lets in that range and the machine itself", () => {
  const inside = ["192.168.1.0", "192.168.1.77", "192.168.1.255", "::ffff:192.168.1.9"];
  const outside = ["192.168.0.255", "192.168.2.0", "10.0.0.1", "fd12::1", "::ffff:192.168.2.1"];
  assertEquals(allowed("192.168.1.0/24", [...inside, ...outside, ...PUBLIC]), inside);
  assertEquals(allowed("192.168.1.0/24", ITSELF), ITSELF);
});

Deno.test("a range may be written by any of its addresses, and may be one address", () => {
  assertEquals(allowed("10.1.2.3/16", ["10.1.0.0", "10.1.255.255", "10.2.0.0"]), [
    "10.1.0.0",
    "10.1.255.255",
  ]);
  assertEquals(allowed("10.1.2.3/32", ["10.1.2.2", "10.1.2.3", "10.1.2.4"]), ["10.1.2.3"]);
});

Deno.test("a wide range does not reach beyond the private one in it", () => {
  assertEquals(allowed("192.168.0.0/8", ["192.168.9.9", "192.0.2.1", "192.169.0.1"]), [
    "192.168.9.9",
  ]);
});

Deno.test("what is no range, or not private, is refused and says what would do", () => {
  for (
    const text of ["soon", "", "10.0.0.0", "10.0.0.0/33", "10.0.0.256/24", "10.0.0/8", "fd00::/8"]
  ) {
    const error = assertThrows(() => reach(text), NetworkError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, "expected an IPv4 range such as 192.168.1.0/24");
  }
  for (const text of ["8.8.8.0/24", "0.0.0.0/0", "10.0.0.0/7", "172.32.0.0/16", "192.0.2.0/24"]) {
    const error = assertThrows(() => reach(text), NetworkError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, "only private ranges are allowed (10.0.0.0/8");
  }
});

Deno.test("whatever range it is open to, a node never talks to a public address", () => {
  const octet = fc.nat(255);
  const address = fc.tuple(octet, octet, octet, octet);
  const isPublic = ([a, b]: number[]) =>
    a !== 10 && a !== 127 && !(a === 192 && b === 168) && !(a === 172 && b >= 16 && b < 32) &&
    !(a === 169 && b === 254) && !(a === 100 && b >= 64 && b < 128);
  fc.assert(
    fc.property(
      fc.constantFrom([10, 0], [192, 168], [172, 16], [100, 64], [169, 254]),
      octet,
      octet,
      fc.integer({ min: 8, max: 32 }),
      address,
      ([a, b], c, d, bits, host) => {
        const allows = reach(`${a}.${b}.${c}.${d}/${bits}`);
        assert(allows(`${a}.${b}.${c}.${d}`), "its own address is in it");
        if (isPublic(host)) assert(!allows(host.join(".")), host.join("."));
      },
    ),
  );
});
