/** What is said of a dial that came to nothing. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { notLinked } from "../../src/link/round_trip.ts";

const TARGET = "10.0.0.2:5681";
/** What gRPC says where a handshake fails, in the words of the system and of TLS. */
const HANDSHAKES = [
  "write EPIPE",
  "read ECONNRESET",
  "Client network socket disconnected before secure TLS connection was established",
  "invalid peer certificate: UnknownIssuer",
  "its certificate does not count",
  "received corrupt message of type InvalidContentType",
];

function told(reason: string, by: "keyed" | "tls" | "open"): string {
  const at = "(2026-10-22T10:11:12.345Z)";
  const details = `No connection established. Last error: ${reason} ${at}. Resolution note: `;
  const { code, message, unanswered } = notLinked(TARGET, details, by);
  assertEquals([code, unanswered], ["UNAVAILABLE", undefined], "something has answered");
  assertMatch(message, /^Cannot reach 10\.0\.0\.2:5681: [^\n]+[.?]$/);
  return message;
}

Deno.test("of a handshake that failed people are told what it means, and not when it was", () => {
  for (const reason of HANDSHAKES) {
    for (const by of ["keyed", "tls"] as const) {
      const message = told(reason, by);
      assertEquals(/EPIPE|2026|Is a node running/.test(message), false, message);
    }
  }
  assertStringIncludes(told("write EPIPE", "keyed"), "Let this one join: hanzo-network invite");
  assertStringIncludes(told("write EPIPE", "open"), "Start both with it, or both without");
});

Deno.test("where an authority of the operator's decides nobody is told to invite or to join", () => {
  for (const reason of HANDSHAKES) {
    const message = told(reason, "tls");
    assertEquals(/invite|join/.test(message), false, message);
  }
  const mend = "Both certificates must be issued by an authority in the other's --tls-ca";
  assertStringIncludes(told("invalid peer certificate: UnknownIssuer", "tls"), mend);
  assertStringIncludes(told("write EPIPE", "tls"), mend);
});

Deno.test("what is not known is told in its own words, without the time", () => {
  const message = told("something odd", "keyed");
  assertEquals(message, `Cannot reach ${TARGET}: something odd. Is a node running there?`);
});
