/** The least that stands between a client and an engine in this runtime: `Deno.serve` and `fetch`. */

const [engine] = Deno.args;
const server = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log(port) },
  ({ url, method, headers, body }) => {
    const { pathname } = new URL(url);
    return fetch(`${engine}${pathname}`, { method, headers, body });
  },
);
await Deno.stdin.read(new Uint8Array(1));
await server.shutdown();
