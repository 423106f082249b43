/** The tool `http_request` against servers of the loopback. */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { AllowedHosts } from "../../../src/agents/tools/allowed_hosts.ts";
import { exchangeHttp } from "../../../src/agents/tools/http_exchange.ts";
import { createHttpRequestTool } from "../../../src/agents/tools/http_request.ts";
import type { JsonValue } from "../../../src/base/bounded_json.ts";
import { NetworkError } from "../../../src/base/errors.ts";

type Handler = (request: Request) => Response | Promise<Response>;

class Server implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(handler: Handler) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  }

  get port(): number {
    return this.#server.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

async function ask(
  allowHosts: string[],
  args: Record<string, JsonValue>,
  options: { timeoutMs?: number; maxBytes?: number } = {},
  signal = new AbortController().signal,
) {
  const result = await createHttpRequestTool({ allowHosts, ...options }).call(args, { signal });
  return result as Record<string, JsonValue>;
}

Deno.test("a host of the list is asked, and status, headers and body come back", async () => {
  await using server = new Server(async (request) =>
    Response.json({
      method: request.method,
      path: new URL(request.url).pathname,
      key: request.headers.get("x-key"),
      host: request.headers.get("host"),
      body: await request.text(),
    }, { status: 201, headers: { etag: '"1"', "set-cookie": "a=b" } })
  );

  const result = await ask([`127.0.0.1:${server.port}`], {
    url: `${server.url}/things?a=1`,
    method: "POST",
    headers: { "X-Key": "k", Host: "elsewhere" },
    body: "grüße",
  });

  assertEquals(result.status, 201);
  assertEquals(result.url, `${server.url}/things?a=1`);
  assertEquals(result.headers, { "content-type": "application/json", etag: '"1"' });
  assertEquals(JSON.parse(result.body as string), {
    method: "POST",
    path: "/things",
    key: "k",
    host: `127.0.0.1:${server.port}`,
    body: "grüße",
  });
});

for (
  const [what, allowed, url, says] of [
    ["that is not on the list", ["example.com"], "http://127.0.0.1:1/", "only these hosts"],
    ["of another port", ["127.0.0.1"], "http://127.0.0.1:1/", "only these hosts"],
  ] as const
) {
  Deno.test(`a host ${what} is not asked`, async () => {
    const error = await assertRejects(() => ask([...allowed], { url }), NetworkError, says);
    assertEquals(error.code, "PERMISSION_DENIED");
  });
}

for (
  const [allowed, addresses, code] of [
    ["api.example.com", ["127.0.0.1"], "PERMISSION_DENIED"],
    ["api.example.com", ["169.254.169.254", "::1"], "PERMISSION_DENIED"],
    ["*.example.com", ["192.168.1.1"], "PERMISSION_DENIED"],
    ["api.example.com", [], "PERMISSION_DENIED"],
    ["localhost", ["127.0.0.1"], "answered"],
  ] as const
) {
  Deno.test(`a name is asked at no address that it must not have: ${allowed} at ${addresses}`, async () => {
    await using server = new Server(() => new Response("secret"));
    const hosts = new AllowedHosts([`${allowed}:${server.port}`], "Cannot create");
    const host = allowed.replace("*", "api");
    const url = new URL(`http://${host}:${server.port}/`);
    const looked: string[] = [];
    const lookup = (name: string) => {
      looked.push(name);
      return Promise.resolve(
        addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
      );
    };
    const { signal } = new AbortController();
    const request = { url, method: "GET", headers: {}, body: undefined, signal };

    const came = await exchangeHttp(request, hosts, 100, lookup)
      .then(() => "answered", (error) => error.code);

    assertEquals([came, looked], [code, [host]]);
  });
}

Deno.test("it connects to the address that was looked at, by the name that was asked for", async () => {
  await using server = new Server((request) => new Response(request.headers.get("host")));
  // No name server knows it: it is not asked a second time.
  const name = "somewhere.invalid";
  const hosts = new AllowedHosts([`${name}:${server.port}`], "Cannot create");
  const url = new URL(`http://${name}:${server.port}/`);
  const { signal } = new AbortController();
  const request = { url, method: "GET", headers: {}, body: undefined, signal };
  const lookup = () => Promise.resolve([{ address: "127.0.0.1", family: 4 }]);
  hosts.allowsAddress = () => true;

  const { body } = await exchangeHttp(request, hosts, 100, lookup);

  assertEquals(new TextDecoder().decode(body), `${name}:${server.port}`);
});

Deno.test("localhost is asked where it is allowed as such", async () => {
  await using server = new Server(() => new Response("here"));
  const host = `localhost:${server.port}`;

  assertEquals((await ask([host], { url: `http://${host}/` })).body, "here");
});

Deno.test("a redirection is followed within the list, and no further", async () => {
  await using other = new Server((request) =>
    new Response(
      ["authorization", "x-api-key", "cookie", "accept-language"].reduce(
        (told, name) => `${told} ${request.headers.get(name)}`,
        request.method,
      ),
    )
  );
  await using server = new Server((request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/there") return new Response(`there ${request.headers.get("authorization")}`);
    return new Response(null, {
      status: pathname === "/303" ? 303 : 302,
      headers: { location: pathname === "/near" ? "/there" : `${other.url}/` },
    });
  });
  const own = `127.0.0.1:${server.port}`;
  const both = [own, `127.0.0.1:${other.port}`];
  const headers = {
    Authorization: "secret",
    "X-Api-Key": "secret",
    Cookie: "secret",
    "Accept-Language": "de",
  };

  const near = await ask([own], { url: `${server.url}/near`, headers });
  assertEquals([near.url, near.body], [`${server.url}/there`, "there secret"]);

  const far = await ask(both, { url: `${server.url}/303`, method: "PUT", body: "x", headers });
  assertEquals(far.body, "GET null null null de");

  const error = await assertRejects(
    () => ask([own], { url: `${server.url}/far` }),
    NetworkError,
    "it was sent there",
  );
  assertEquals(error.code, "PERMISSION_DENIED");
});

Deno.test("who is sent in circles gives up", async () => {
  let count = 0;
  await using server = new Server(() => {
    count++;
    return new Response(null, { status: 307, headers: { location: "/" } });
  });

  await assertRejects(
    () => ask([`127.0.0.1:${server.port}`], { url: server.url }),
    NetworkError,
    "in circles",
  );
  assertEquals(count, 6);
});

Deno.test("of a long body the beginning is read, and the rest is left", async () => {
  await using server = new Server(() => new Response("x".repeat(10_000)));

  const result = await ask([`127.0.0.1:${server.port}`], { url: server.url }, { maxBytes: 1_000 });

  assertEquals(result.body, "x".repeat(1_000));
  assertEquals(result.note, "Only the first 1000 bytes of the body.");
});

Deno.test("a body that never ends is read no further than it may be", async () => {
  await using server = new Server(() =>
    new Response(
      new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(4_096)) }),
    )
  );

  const result = await ask([`127.0.0.1:${server.port}`], { url: server.url }, { maxBytes: 1_000 });

  assertEquals((result.body as string).length, 1_000);
});

Deno.test("what is no text is named, not told", async () => {
  await using server = new Server(() =>
    new Response(new Uint8Array(5), { headers: { "content-type": "image/png" } })
  );

  const result = await ask([`127.0.0.1:${server.port}`], { url: server.url });

  assertEquals(result.body, "[5 bytes of image/png]");
});

Deno.test("a server that does not answer is given up, and so is one when the run is cancelled", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  await using server = new Server(() => promise);
  const hosts = [`127.0.0.1:${server.port}`];
  try {
    const late = await assertRejects(
      () => ask(hosts, { url: server.url }, { timeoutMs: 50 }),
      NetworkError,
      "no answer within 50 ms",
    );
    assertEquals(late.code, "DEADLINE_EXCEEDED");

    const abort = new AbortController();
    const asking = ask(hosts, { url: server.url }, {}, abort.signal);
    abort.abort(new NetworkError("CANCELLED", "Given up."));
    await assertRejects(() => asking, NetworkError, "Given up.");
  } finally {
    resolve(new Response());
  }
});

Deno.test("where nobody listens, that is said", async () => {
  const error = await assertRejects(
    () => ask(["127.0.0.1:1"], { url: "http://127.0.0.1:1/" }),
    NetworkError,
    "Cannot ask 127.0.0.1:1",
  );
  assertEquals(error.code, "UNAVAILABLE");
});

Deno.test("arguments that are none are refused before anything is asked", async () => {
  for (const args of [{ url: "file:///etc/passwd" }, { url: "http://x", method: "TRACE" }, {}]) {
    const error = await assertRejects(() => ask(["x"], args as never), NetworkError);
    assertEquals(error.code, "INVALID_ARGUMENT");
  }
  const header = { url: "http://x", headers: { "a\nb": "c" } };
  await assertRejects(() => ask(["x"], header), NetworkError, "headers");
});

Deno.test("bounds that are none are refused", () => {
  const error = assertThrows(
    () => createHttpRequestTool({ allowHosts: ["a"], maxBytes: 0 }),
    NetworkError,
  );
  assertStringIncludes(error.message, "maxBytes is 0, expected a whole number from 1 to 16777216");
});

Deno.test("an answer that breaks off is none", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using connection = await listener.accept();
    await connection.read(new Uint8Array(4_096));
    const half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    await connection.write(new TextEncoder().encode(half));
  })();
  const { port } = listener.addr as Deno.NetAddr;

  const error = await assertRejects(
    () => ask([`127.0.0.1:${port}`], { url: `http://127.0.0.1:${port}/` }),
    NetworkError,
  );

  assertEquals(error.code, "UNAVAILABLE");
  await serving;
});
