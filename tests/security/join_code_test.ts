/** The code by which a device joins: what goes in comes out, and every fault has its sentence. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { NetworkError } from "../../src/base/errors.ts";
import {
  decodeJoinCode,
  encodeJoinCode,
  type JoinCode,
  type JoinCodeFields,
  MAX_CODE_LENGTH,
} from "../../src/security/join_code.ts";
import { NetworkKey } from "../../src/security/network_key.ts";

const FIELDS: JoinCodeFields = {
  networkTag: "0123456789abcdef",
  networkName: "home",
  nodeId: "macbook-0042",
  fingerprint: new Uint8Array(16).fill(7),
  addresses: [{ host: "192.168.1.20", port: 5681 }, { host: "fd12:3456::1", port: 5681 }],
  capabilities: { chip: "Apple M3 Max", memoryMB: 65_536, fp16Tflops: 28.4 },
};
const INVITE: JoinCode = { kind: "invite", secret: new Uint8Array(16).fill(9), ...FIELDS };

/** With the key as its tag: keys do not compare. */
function plain(code: JoinCode) {
  return code.kind === "static" ? { ...code, key: code.key.tag } : code;
}

function refusal(text: string): string {
  const error = assertThrows(() => decodeJoinCode(text), NetworkError);
  assertEquals(error.code, "INVALID_ARGUMENT");
  return error.message;
}

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const host = fc.oneof(fc.ipV4(), fc.constantFrom("::1", "fd00::1:2", "2001:db8::7", "fe80::1"));
const fields = fc.record({
  networkTag: bytes(8).map((tag) => tag.toHex()),
  networkName: fc.constantFrom("hanzo", "home", "büro", "家"),
  nodeId: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
  fingerprint: bytes(16),
  addresses: fc.tuple(fc.array(host, { maxLength: 4 }), fc.integer({ min: 1, max: 65_535 }))
    .map(([hosts, port]) => hosts.map((host) => ({ host, port }))),
  capabilities: fc.record({
    chip: fc.string({ maxLength: 200 }),
    memoryMB: fc.nat(0xffffff),
    fp16Tflops: fc.nat(65_535).map((tenths) => tenths / 10),
  }),
});
const code: fc.Arbitrary<JoinCode> = fc.oneof(
  fc.tuple(fields, bytes(16)).map(([it, secret]): JoinCode => ({ kind: "invite", secret, ...it })),
  fc.tuple(fields, bytes(32)).map(([it, secret]): JoinCode => {
    const key = NetworkKey.from(secret);
    return { kind: "static", key, ...it, networkTag: key.tag };
  }),
);

Deno.test("what a code says comes out as it went in", () => {
  assertEquals(decodeJoinCode(encodeJoinCode(INVITE)), INVITE);
  const key = NetworkKey.generate();
  const fixed: JoinCode = { kind: "static", key, ...FIELDS, networkTag: key.tag };
  assertEquals(plain(decodeJoinCode(encodeJoinCode(fixed))), plain(fixed));
});

Deno.test("a code fits a QR code of version 6, whatever names there are, and keeps what is needed", () => {
  fc.assert(fc.property(code, (it) => {
    const text = encodeJoinCode(it);
    assert(text.length <= MAX_CODE_LENGTH, `${text.length}`);
    assert(/^HANZO:1\/[A-Z2-7]+$/.test(text));
    const read = decodeJoinCode(text);
    assertEquals(read.kind, it.kind);
    if (read.kind === "invite" && it.kind === "invite") assertEquals(read.secret, it.secret);
    if (read.kind === "static" && it.kind === "static") {
      assertEquals([read.key.tag, read.networkName], [it.key.tag, it.networkName]);
    }
    assertEquals(read.networkTag, it.networkTag);
    assertEquals(read.fingerprint, it.fingerprint);
    assertEquals(read.addresses.slice(0, 1), it.addresses.slice(0, 1));
    assertEquals(read.addresses, it.addresses.slice(0, read.addresses.length));
  }));
});

Deno.test("a code may be typed in any case, with blanks, line breaks, hyphens and lookalikes", () => {
  const text = encodeJoinCode(INVITE);
  const body = text.slice("HANZO:1/".length);
  const typed = "hanzo:1/" +
    body.toLowerCase().match(/.{1,4}/g)!.join("-\n ").replaceAll("o", "0").replaceAll("i", "1");
  assertEquals(decodeJoinCode(typed), INVITE);
  for (const prefix of ["hanz0:1/", "Hanzo:l/", "HANZO:I/", "\u200bHANZO:\u20111/"]) {
    assertEquals(decodeJoinCode(prefix + body.match(/.{1,9}/g)!.join("\u00ad\u2010")), INVITE);
  }
});

Deno.test("names that are far too long are cut, in whatever script they are", () => {
  for (const long of ["x".repeat(1_000), "家".repeat(128), "😀".repeat(90)]) {
    const named: JoinCode = {
      ...INVITE,
      networkName: long,
      capabilities: { ...FIELDS.capabilities, chip: long },
    };
    const text = encodeJoinCode(named);
    assert(text.length <= MAX_CODE_LENGTH);
    const { networkName, addresses } = decodeJoinCode(text);
    assert(networkName !== "" && networkName.isWellFormed() && long.startsWith(networkName));
    assertEquals(addresses[0], FIELDS.addresses[0]);
    const chipOnly = decodeJoinCode(encodeJoinCode({ ...named, networkName: "home" }));
    assertEquals(chipOnly.addresses, FIELDS.addresses);
    assertEquals([chipOnly.networkName, chipOnly.nodeId], ["home", FIELDS.nodeId]);
    assert(chipOnly.capabilities.chip !== "");
  }
});

Deno.test("what is no IP address is left out", () => {
  const hosts = ["999.1.1.1", "gpu.local", "fe80::1%eth0", "10.0.0.4"];
  const addresses = hosts.map((host) => ({ host, port: 5681 }));
  const read = decodeJoinCode(encodeJoinCode({ ...INVITE, addresses }));
  assertEquals(read.addresses, [{ host: "10.0.0.4", port: 5681 }]);
});

Deno.test("a code with one wrong letter is mistyped, wherever it is", () => {
  const text = encodeJoinCode(INVITE);
  const start = "HANZO:1/".length;
  fc.assert(
    fc.property(
      fc.integer({ min: start, max: text.length - 1 }),
      fc.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
      (at, letter) => {
        fc.pre(text[at] !== letter);
        const message = refusal(text.slice(0, at) + letter + text.slice(at + 1));
        assert(/mistyped/.test(message), message);
      },
    ),
  );
});

Deno.test("a code that is cut off says so, wherever it was cut", () => {
  const text = encodeJoinCode(INVITE);
  for (let end = "HANZO:1/".length; end < text.length; end++) {
    assertStringIncludes(refusal(text.slice(0, end)), "cut off");
  }
  assertStringIncludes(refusal(text.slice(0, -3)), "3 characters are missing");
});

Deno.test("what is no code, or of a later version, says which it is", () => {
  for (const text of ["", "https://example.com", "HANZO:", "WIFI:S:home;;", "\x1b[31mhanzo"]) {
    assertStringIncludes(refusal(text), "it is no code of this program");
  }
  assertStringIncludes(refusal("HANZO:2/ABC"), "a later version");
  assertStringIncludes(refusal(`${encodeJoinCode(INVITE)}!`), 'mistyped: "!" occurs in no code');
});

Deno.test("whatever is read, nothing but a refusal comes of it, and nothing of it is shown raw", () => {
  const text = encodeJoinCode(INVITE);
  fc.assert(fc.property(fc.oneof(fc.string(), fc.string().map((it) => `${text}${it}`)), (it) => {
    try {
      decodeJoinCode(it);
    } catch (thrown) {
      assert(thrown instanceof NetworkError);
      // deno-lint-ignore no-control-regex
      assert(!/[\x00-\x1f\x7f-\x9f\u202a-\u202e]/.test(thrown.message));
    }
  }));
});

Deno.test("a static code never cuts the network's name: nodes of another one would not meet", () => {
  const key = NetworkKey.generate();
  const it: JoinCode = { kind: "static", key, ...FIELDS, networkTag: key.tag };
  const error = assertThrows(
    () => encodeJoinCode({ ...it, networkName: "n".repeat(100) }),
    NetworkError,
  );
  assertStringIncludes(error.message, "the network's name is too long");
  encodeJoinCode({ ...INVITE, networkName: "n".repeat(100) });
});
