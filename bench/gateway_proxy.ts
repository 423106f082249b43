/**
 * The least that stands between a client and an engine in this runtime: `fetch` behind `Deno.serve`,
 * or behind Node's server, on which the gateway stands (0012 says why). Its arguments are the URL of
 * the engine and "deno" or "node". It ends with its standard input.
 */

import http from "node:http";
import type { AddressInfo } from "node:net";

const [engine, kind] = Deno.args;
if (kind === "node") {
  const server = http.createServer((request, answer) => {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    request.on("data", (piece) => pieces.push(piece));
    request.on("end", async () => {
      const response = await fetch(`${engine}${request.url}`, {
        method: request.method,
        headers: { "content-type": "application/json" },
        body: new Blob(pieces),
      });
      answer.writeHead(response.status, Object.fromEntries(response.headers));
      for await (const piece of response.body!) answer.write(piece);
      answer.end();
    });
  });
  server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
} else {
  Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log(port) },
    ({ url, method, headers, body }) => {
      const { pathname } = new URL(url);
      return fetch(`${engine}${pathname}`, { method, headers, body });
    },
  );
}
await Deno.stdin.read(new Uint8Array(1));
Deno.exit(0);
