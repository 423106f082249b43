/** What `up` lets agents reach, as its options say it. */

import { assertEquals } from "@std/assert";
import { allowedTools, UP_OPTIONS } from "../../src/cli/commands/up_options.ts";
import { readInvocation } from "../../src/cli/option_values.ts";

async function allowed(...args: string[]) {
  const up = {
    positionals: "",
    summary: "",
    options: UP_OPTIONS,
    example: "",
    run: () => Promise.resolve(0),
  };
  return allowedTools((await readInvocation("up", up, args)).options);
}

Deno.test("nothing is allowed unless it is said", async () => {
  assertEquals(await allowed(), {});
});

Deno.test("hosts are a list, and a search is a SearXNG's URL or a variable with Brave's key", async () => {
  assertEquals(await allowed("--allow-host", "a.example", "--allow-host=*.b.example"), {
    httpRequest: { allowHosts: ["a.example", "*.b.example"] },
  });
  assertEquals(await allowed("--web-search=http://127.0.0.1:8888"), {
    webSearch: { searxng: "http://127.0.0.1:8888" },
  });
  assertEquals(await allowed("--web-search", "brave:BRAVE_KEY"), {
    webSearch: { braveKeyEnv: "BRAVE_KEY" },
  });
});
