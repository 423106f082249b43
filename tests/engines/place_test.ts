/** How an engine is named, and what is refused. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { type EngineOptions, enginePlaces, parseEngine } from "../../src/engines/place.ts";

Deno.test("an engine of this machine is named by its URL, with or without OpenAI's path", () => {
  for (
    const url of ["http://127.0.0.1:9000", "http://localhost:9000/", "http://127.0.0.1:9000/v1/"]
  ) {
    const { root, openAi, isLoopback, lastResort, keyEnv } = parseEngine(url);
    assertEquals(
      { root, openAi, isLoopback, lastResort, keyEnv },
      {
        root: "http://127.0.0.1:9000",
        openAi: "http://127.0.0.1:9000/v1",
        isLoopback: true,
        lastResort: false,
        keyEnv: undefined,
      },
    );
  }
});

Deno.test("what is not on this machine is the last resort, unless it is said not to be", () => {
  const of = (given: string | EngineOptions) => {
    const { openAi, lastResort, keyEnv, isLoopback } = parseEngine(given);
    return [openAi, lastResort, keyEnv, isLoopback];
  };
  const url = "https://api.example.com/v1";
  assertEquals(of(`${url}#key-env=KEY`), [url, true, "KEY", false]);
  assertEquals(of({ url, keyEnv: "KEY" }), [url, true, "KEY", false]);
  assertEquals(of(`${url}#key-env=KEY&last-resort=false`), [url, false, "KEY", false]);
  const lan = "http://10.0.0.7:11434";
  assertEquals(of({ url: lan, lastResort: false }), [`${lan}/v1`, false, undefined, false]);
  // Whose path is not called v1.
  assertEquals(of("https://example.com/v1beta/openai/")[0], "https://example.com/v1beta/openai");
  assertEquals(of("http://[::1]:9000")[3], true);
  assertEquals(of("http://127.0.0.1.example.com")[3], false);
});

Deno.test("what is wrong with an engine's URL is said, and no secret in it repeated", () => {
  const cases: [given: string | EngineOptions, says: string][] = [
    ["127.0.0.1:9000", "is no URL of http or https"],
    ["ftp://127.0.0.1", "is no URL of http or https"],
    ["", "is no URL of http or https"],
    ["https://user:hunter2@example.com", "#key-env=NAME"],
    ["https://example.com/v1?key=hunter2", "#key-env=NAME"],
    ["https://example.com/v1#hunter2", "stand key-env=NAME and last-resort"],
    ["https://example.com/v1#key=hunter2", "stand key-env=NAME and last-resort"],
    ["https://example.com/v1#key-env=hunter2-", "key-env is no name of a variable"],
    [{ url: "https://example.com/v1#key-env=A" }, "#key-env=NAME"],
    ["https://example.com/v1#last-resort=hunter2", "is true or false"],
    ["hunter2@example.com", "is no URL of http or https"],
  ];
  for (const [given, says] of cases) {
    const error = assertThrows(() => parseEngine(given), NetworkError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, says);
    assert(!error.message.includes("hunter2"), error.message);
  }
});

Deno.test("what is named takes the place of the known port, and cannot be named twice", () => {
  const named = parseEngine("http://localhost:11434#key-env=KEY");
  const places = enginePlaces([named], [[11_434, "ollama"], [8_000, "vllm"]]);
  assertEquals(
    places.map(({ url, usual, isConfigured, keyEnv }) => [url, usual, isConfigured, keyEnv]),
    [
      ["http://127.0.0.1:11434", "ollama", true, "KEY"],
      ["http://127.0.0.1:8000", "vllm", false, undefined],
    ],
  );
  const again = parseEngine("http://127.0.0.1:11434/v1");
  const error = assertThrows(() => enginePlaces([named, again], []), NetworkError);
  assertStringIncludes(error.message, "http://127.0.0.1:11434/v1 is named twice");
});
