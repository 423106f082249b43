/** How long a request is for a model, guessed. */

import { assertEquals } from "@std/assert";
import { promptTokens } from "../../../src/network/models/prompt_length.ts";

Deno.test("a token is about four characters", () => {
  assertEquals(["", "abc", "abcd", "abcde"].map(promptTokens), [0, 1, 1, 2]);
  assertEquals(promptTokens("word ".repeat(8_000)), 10_000);
});

Deno.test("pictures in Base64 are left out, however large they are, and words are not", () => {
  const around = "word ".repeat(400);
  for (const length of [512, 100_000, 15 * 1024 * 1024]) {
    const picture = "iVBORw0K+/_-".repeat(length / 12 + 1).slice(0, length);
    assertEquals(promptTokens(`${around}"${picture}"${around}`), 1_001, `${length}`);
    assertEquals(promptTokens(`${around}${picture}`), 500, `${length} at the end`);
    assertEquals(promptTokens(picture), 0, `${length} alone`);
  }
  assertEquals(promptTokens("x".repeat(511) + " "), 128);
  assertEquals(promptTokens("x".repeat(511) + " " + "x".repeat(511)), 256);
});
