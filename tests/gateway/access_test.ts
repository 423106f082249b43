/** Who may use the HTTP API: whoever can read the token, from this machine, and no web page. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { modelRefusalOf, refusalOf } from "../../src/gateway/access.ts";
import { TestApi, TOKEN } from "./test_api.ts";

const PORT = 5680;

function refused(headers: Record<string, string>, method = "GET"): number | undefined {
  const request = new Request("http://127.0.0.1/", { method });
  // A Request drops a host of its own; what the server sees is what was sent.
  const seen = { method, headers: new Headers(headers) } as Request;
  assert(request.method === method);
  return refusalOf(seen, PORT, TOKEN)?.status;
}

const GOOD_ORIGIN = `http://127.0.0.1:${PORT}`;
const GOOD = { host: `127.0.0.1:${PORT}`, authorization: `Bearer ${TOKEN}` };

Deno.test("a request to the API's own address with the token may pass", () => {
  for (const host of ["127.0.0.1", "localhost", "[::1]"]) {
    assertEquals(refused({ ...GOOD, host: `${host}:${PORT}` }), undefined);
  }
});

Deno.test("without the exact token nothing passes", () => {
  const { authorization: _, ...without } = GOOD;
  assertEquals(refused(without), 401);
  for (
    const authorization of [
      "",
      "Bearer",
      "Bearer ",
      TOKEN,
      `Basic ${TOKEN}`,
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(0, -1)}`,
      `Bearer x${TOKEN.slice(1)}`,
      `Bearer ${TOKEN.toLowerCase()}`,
      `Bearer ${TOKEN} ${TOKEN}`,
      `Bearer ${"\u00ff".repeat(TOKEN.length)}`,
    ]
  ) {
    assertEquals(refused({ ...GOOD, authorization }), 401, authorization);
  }
});

Deno.test("a page whose name was made to resolve to this machine is refused, token or not", () => {
  for (
    const host of [
      "evil.example",
      `evil.example:${PORT}`,
      `127.0.0.1.evil.example:${PORT}`,
      `localhost.evil.example:${PORT}`,
      "127.0.0.1",
      "127.0.0.1:1",
      `127.0.0.2:${PORT}`,
      `0.0.0.0:${PORT}`,
      `192.168.1.7:${PORT}`,
      `[::]:${PORT}`,
      "",
    ]
  ) {
    assertEquals(refused({ ...GOOD, host }), 403, host);
  }
});

Deno.test("a model is asked by pages that programs of this machine show, and by none of the web", () => {
  const statusOf = (origin: string, host = `127.0.0.1:${PORT}`) => {
    const headers = new Headers({ host, origin });
    return modelRefusalOf({ method: "POST", headers }, PORT)?.status;
  };
  for (
    const origin of [
      `http://127.0.0.1:${PORT}`,
      "http://localhost",
      "http://localhost:3000",
      "https://127.0.0.1:8443",
      "http://[::1]:5173",
      "app://obsidian.md",
      "app://-",
      "tauri://localhost",
      "https://tauri.localhost",
      "vscode-webview://0k3l2m4n5o6p",
      "vscode-file://vscode-app",
    ]
  ) {
    assertEquals(statusOf(origin), undefined, origin);
    // Its name was made to resolve to this machine.
    assertEquals(statusOf(origin, `evil.example:${PORT}`), 403, origin);
    if (origin !== GOOD_ORIGIN) assertEquals(refused({ ...GOOD, origin }), 403, origin);
  }
  for (
    const origin of [
      "null",
      "",
      "https://evil.example",
      "http://localhost.evil.example",
      "http://localhost:3000.evil.example",
      "http://evil.example/http://localhost:3000",
      "http://evil-tauri.localhost",
      "http://tauri.localhost.evil.example",
      "http://127.0.0.1.evil.example",
      "http://127.0.0.11",
      "http://192.168.1.7:3000",
      "https://app",
      "app:evil.example",
      "xapp://x",
      "http://app://x",
      "chrome-extension://abcdefghijklmnop",
      "file://",
    ]
  ) {
    assertEquals(statusOf(origin), 403, origin);
  }
});

Deno.test("another page's origin is refused, the API's own is not", () => {
  for (const host of ["127.0.0.1", "localhost", "[::1]"]) {
    assertEquals(refused({ ...GOOD, origin: `http://${host}:${PORT}` }), undefined);
  }
  for (
    const origin of [
      "https://evil.example",
      "null",
      "",
      `http://localhost:${PORT + 1}`,
      `https://localhost:${PORT}`,
      `http://localhost:${PORT}.evil.example`,
      `http://evil.example/?http://localhost:${PORT}`,
    ]
  ) {
    assertEquals(refused({ ...GOOD, origin }), 403, origin);
  }
});

Deno.test("a body must be JSON by its type: what a form of another page can send is refused", () => {
  for (const type of ["application/json", "application/json; charset=utf-8", "Application/JSON"]) {
    assertEquals(refused({ ...GOOD, "content-type": type }, "POST"), undefined, type);
  }
  for (
    const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "text/plain; application/json",
      "application/jsonp",
      "application/json-patch+json",
      "",
    ]
  ) {
    assertEquals(refused({ ...GOOD, "content-type": type }, "POST"), 415, type);
  }
  assertEquals(refused(GOOD, "POST"), 415);
  assertEquals(refused(GOOD, "DELETE"), 415);
});

Deno.test("a compressed body is refused before a byte of it is unpacked", () => {
  const json = { ...GOOD, "content-type": "application/json" };
  for (const encoding of ["gzip", "br", "deflate", "zstd", "identity, gzip", "GZIP", "x"]) {
    assertEquals(refused({ ...json, "content-encoding": encoding }, "POST"), 415, encoding);
  }
  assertEquals(refused({ ...json, "content-encoding": "identity" }, "POST"), undefined);
});

Deno.test("a question needs no type, whether its answer's body is wanted or not", () => {
  assertEquals([refused(GOOD, "GET"), refused(GOOD, "HEAD")], [undefined, undefined]);
  assertEquals(refused(GOOD, "OPTIONS"), 415);
});

Deno.test("over HTTP a refusal is JSON, says what to do, and nothing has run", async () => {
  await using api = await TestApi.start();
  const own = `127.0.0.1:${api.port}`;
  const request = (lines: string[]) => `${lines.join("\n")}\nConnection: close\n\n`;
  const cases: [lines: string[], status: number, message: string][] = [
    [["GET /control/v1/status HTTP/1.1", `Host: ${own}`], 401, "Authorization: Bearer TOKEN"],
    [
      [
        "GET /control/v1/status HTTP/1.1",
        `Host: evil.example:${api.port}`,
        `Authorization: Bearer ${TOKEN}`,
      ],
      403,
      "answers only to its own address",
    ],
    [
      [
        "GET /control/v1/status HTTP/1.1",
        `Host: ${own}`,
        "Origin: https://evil.example",
        `Authorization: Bearer ${TOKEN}`,
      ],
      403,
      "does not answer to other pages",
    ],
    [
      [
        "POST /control/v1/run HTTP/1.1",
        `Host: ${own}`,
        `Authorization: Bearer ${TOKEN}`,
        "Content-Type: text/plain",
        "Content-Length: 0",
      ],
      415,
      "must be application/json",
    ],
  ];
  for (const [lines, status, message] of cases) {
    const answer = await api.raw(request(lines));
    assertEquals(answer.status, status, lines.join("\n"));
    const { error } = JSON.parse(answer.body);
    assertEquals(error.code, "PERMISSION_DENIED");
    assertStringIncludes(error.message, message);
    assert(!/access-control-allow/i.test(answer.head), "no page is let in by CORS");
  }
  const preflight = await api.raw(request([
    "OPTIONS /control/v1/run HTTP/1.1",
    `Host: ${own}`,
    "Origin: https://evil.example",
    "Access-Control-Request-Method: POST",
  ]));
  assertEquals(preflight.status, 403);
  assert(!/access-control-allow/i.test(preflight.head));
});

Deno.test("whether the node is well is told to everybody on this machine, and nothing else", async () => {
  await using api = await TestApi.start();
  const response = await fetch(`${api.gateway.url}/healthz`);
  assertEquals([response.status, await response.text()], [200, "ok\n"]);
  for (
    const path of [
      "/",
      "/control/v1/status",
      "/control/v1/none",
      "/healthz/x",
      "/healthzz",
      "/healthz/../control/v1/status",
    ]
  ) {
    const refused = await fetch(`${api.gateway.url}${path}`);
    assertEquals(refused.status, 401, path);
    await refused.body?.cancel();
  }
});

Deno.test("whether the node is well is not told to a page of another name", async () => {
  await using api = await TestApi.start();
  const ask = async (...lines: string[]) =>
    (await api.raw(`${["GET /healthz HTTP/1.1", ...lines].join("\n")}\n\n`)).status;
  assertEquals(await ask(`Host: localhost:${api.port}`), 200);
  assertEquals(await ask(`Host: evil.example:${api.port}`), 403);
  assertEquals(await ask(`Host: 127.0.0.1:${api.port}`, "Origin: https://evil.example"), 403);
  assertEquals(await ask("X-Forwarded-Host: 127.0.0.1"), 403);
});

Deno.test("every answer says that it is not to be kept, guessed at, framed or run", async () => {
  await using api = await TestApi.start();
  const own = `Host: 127.0.0.1:${api.port}`;
  const token = `Authorization: Bearer ${TOKEN}`;
  const asked: Record<number, string[]> = {
    200: ["GET /control/v1/status HTTP/1.1", own, token],
    400: ["BREW / HTTP/1.1", own],
    401: ["GET /control/v1/status HTTP/1.1", own],
    403: ["GET /control/v1/status HTTP/1.1", "Host: evil.example"],
    404: ["GET /control/v1/none HTTP/1.1", own, token],
    415: ["OPTIONS /control/v1/run HTTP/1.1", own, token],
    431: ["GET / HTTP/1.1", own, `X: ${"x".repeat(20_000)}`],
  };
  for (const [status, lines] of Object.entries(asked)) {
    const answer = await api.raw(`${lines.join("\n")}\n\n`);
    assertEquals(answer.status, Number(status));
    assertStringIncludes(answer.head, "content-type: application/json");
    assertHeaders(new Headers(answer.head.split("\r\n").slice(1).map(headerOf)));
  }
  for (const path of ["/healthz", "/control/v1/events"]) {
    const response = await api.fetch(path);
    assertHeaders(response.headers);
    await response.body?.cancel();
  }
});

function headerOf(line: string): [string, string] {
  const [name, value] = line.split(": ");
  return [name, value];
}

function assertHeaders(headers: Headers): void {
  assertEquals(headers.get("cache-control"), "no-store");
  assertEquals(
    headers.get("content-security-policy"),
    "default-src 'none'; frame-ancestors 'none'",
  );
  assertEquals(headers.get("referrer-policy"), "no-referrer");
  assertEquals(headers.get("x-content-type-options"), "nosniff");
  assertEquals([...headers.keys()].filter((name) => name.startsWith("access-control")), []);
  assertEquals(headers.has("server"), false);
}

Deno.test("the token is in no answer and in no line of the log", async () => {
  await using api = await TestApi.start();
  const texts = await Promise.all([
    fetch(`${api.gateway.url}/control/v1/status`).then((response) => response.text()),
    api.fetch("/control/v1/status").then((response) => response.text()),
    api.fetch("/control/v1/none").then((response) => response.text()),
  ]);
  for (const level of ["debug", "info", "warn", "error"] as const) {
    texts.push(...api.log.lines(level));
  }
  for (const text of texts) assert(!text.includes(TOKEN));
});
