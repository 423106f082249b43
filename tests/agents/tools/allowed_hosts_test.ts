/** Which hosts and addresses a tool may reach. */

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { AllowedHosts, kindOf } from "../../../src/agents/tools/allowed_hosts.ts";
import { NetworkError } from "../../../src/base/errors.ts";

const ACTION = 'Cannot create tool "http_request"';

for (
  const [entry, url, expected] of [
    ["api.example.com", "https://api.example.com/v1", true],
    ["api.example.com", "http://API.example.com./", true],
    ["API.Example.com", "https://api.example.com/", true],
    ["api.example.com", "https://api.example.com:8443/", false],
    ["api.example.com:8443", "https://api.example.com:8443/", true],
    ["api.example.com:8443", "https://api.example.com/", false],
    ["api.example.com:443", "https://api.example.com/", true],
    ["api.example.com:443", "http://api.example.com/", false],
    ["api.example.com", "https://evil.com/?api.example.com", false],
    ["api.example.com", "https://api.example.com@evil.com/", false],
    ["api.example.com", "https://api.example.com.evil.com/", false],
    ["api.example.com", "ftp://api.example.com/", false],
    ["*.example.com", "https://a.b.example.com/", true],
    ["*.example.com", "https://example.com/", false],
    ["*.example.com", "https://badexample.com/", false],
    ["bücher.example", "https://xn--bcher-kva.example/", true],
    ["127.0.0.1:8080", "http://2130706433:8080/", true],
    ["[::1]:8080", "http://[0:0::1]:8080/", true],
  ] as const
) {
  Deno.test(`with ${entry} allowed, ${url} ${expected ? "may" : "must not"} be asked`, () => {
    assertEquals(new AllowedHosts([entry], ACTION).allows(new URL(url)), expected);
  });
}

for (
  const entry of [
    "",
    "*",
    "https://a.com",
    "a.com/x",
    "a.com:0",
    "a.com:70000",
    "a b",
    "*.10.0.0.1",
    7,
  ]
) {
  Deno.test(`${JSON.stringify(entry)} is no host`, () => {
    const error = assertThrows(
      () => new AllowedHosts([entry as string], ACTION),
      NetworkError,
      "is no host",
    );
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, ACTION);
  });
}

for (
  const [kind, addresses] of Object.entries({
    public: [
      "93.184.215.14",
      "2606:2800:21f:cb07::1",
      "::ffff:8.8.8.8",
      "172.32.0.1",
      "100.128.0.1",
    ],
    private: [
      "10.1.2.3",
      "172.16.0.1",
      "172.31.255.255",
      "192.168.1.5",
      "100.64.0.1",
      "224.0.0.251",
      "255.255.255.255",
      "fd00::1",
      "fc00::1",
      "ff02::1",
      "::ffff:192.168.1.1",
      "64:ff9b::192.168.1.1",
      "2002:c0a8:101::1",
    ],
    loopback: [
      "127.0.0.1",
      "127.255.255.255",
      "0.0.0.0",
      "169.254.169.254",
      "::",
      "::1",
      "::ffff:127.0.0.1",
      "::127.0.0.1",
      "64:ff9b::7f00:1",
      "fe80::1%eth0",
      "no address",
      "1.2.3",
    ],
  })
) {
  Deno.test(`addresses that are ${kind} are known as such`, () => {
    for (const address of addresses) assertEquals(kindOf(address), kind, address);
  });
}

Deno.test("a name for the world leads nowhere else; one of the house into the house; none to this device", () => {
  const hosts = new AllowedHosts(
    ["*.example.com", "nas.lan", "localhost:1", "127.0.0.1:2"],
    ACTION,
  );
  const allowed = (url: string) =>
    (["public", "private", "loopback"] as const).filter((kind) =>
      hosts.allowsAddress(new URL(url), kind)
    );

  assertEquals(allowed("https://a.example.com"), ["public"]);
  assertEquals(allowed("http://nas.lan"), ["public", "private"]);
  assertEquals(allowed("http://localhost:1"), ["public", "private", "loopback"]);
  assertEquals(allowed("http://127.0.0.1:2"), ["public", "private", "loopback"]);
  assertEquals(allowed("http://other.org"), ["public"]);
});
