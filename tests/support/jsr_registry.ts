/**
 * A JSR registry in this process: takes what `deno publish` uploads and serves it to
 * `deno run jsr:…`, so that the commands of people who install the package can be tested.
 *
 * @module
 */

/** A running registry; disposing of it stops the server. */
export interface JsrRegistry extends AsyncDisposable {
  /** Its address, for the environment variable `JSR_URL`. */
  readonly url: string;

  /** The paths of the files of a published package. */
  filesOf(name: string): string[];
}

interface Package {
  version: string;
  exports: Record<string, string>;
  files: Map<string, Uint8Array<ArrayBuffer>>;
}

/** Starts an empty registry on a free port of loopback. */
export function startJsrRegistry(): JsrRegistry {
  const packages = new Map<string, Package>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const path = decodeURIComponent(new URL(request.url).pathname);
      const upload = /^\/api\/scopes\/([^/]+)\/packages\/([^/]+)\/versions\/([^/]+)$/.exec(path);
      if (upload !== null && request.method === "POST" && request.body !== null) {
        const [, scope, name] = upload;
        packages.set(`@${scope}/${name}`, await readPackage(request.body));
        return Response.json({ id: crypto.randomUUID(), status: "success", error: null });
      }
      if (upload !== null) {
        return Response.json({ code: "packageVersionNotFound", message: "" }, { status: 404 });
      }
      if (path.startsWith("/api/")) return Response.json({});
      return await serve(packages, path) ?? new Response("Not found", { status: 404 });
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    filesOf: (name) => [...packages.get(name)?.files.keys() ?? []].sort(),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function serve(packages: Map<string, Package>, path: string): Promise<Response | undefined> {
  const [, name, rest] = /^\/(@[^/]+\/[^/]+)\/(.+)$/.exec(path) ?? [];
  const found = packages.get(name);
  if (found === undefined) return undefined;
  const { version, exports, files } = found;
  if (rest === "meta.json") {
    const [scope, bare] = name.slice(1).split("/");
    return Response.json({ scope, name: bare, latest: version, versions: { [version]: {} } });
  }
  if (rest === `${version}_meta.json`) {
    const entries = [...files].map(async ([file, bytes]) => {
      return [`/${file}`, { size: bytes.length, checksum: await checksum(bytes) }];
    });
    return Response.json({ exports, manifest: Object.fromEntries(await Promise.all(entries)) });
  }
  const bytes = rest.startsWith(`${version}/`)
    ? files.get(rest.slice(version.length + 1))
    : undefined;
  return bytes && new Response(bytes, { headers: { "content-type": contentType(rest) } });
}

function contentType(path: string): string {
  if (path.endsWith(".ts")) return "text/typescript";
  return path.endsWith(".json") ? "application/json" : "application/octet-stream";
}

async function checksum(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `sha256-${digest.toHex()}`;
}

async function readPackage(body: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Package> {
  const tar = await new Response(body.pipeThrough(new DecompressionStream("gzip"))).bytes();
  const files = new Map(readTar(tar));
  const config = JSON.parse(new TextDecoder().decode(files.get("deno.json")));
  const exports = typeof config.exports === "string" ? { ".": config.exports } : config.exports;
  return { version: config.version, exports, files };
}

/** Reads a tar archive in the ustar format: headers of 512 bytes, files padded to that size. */
function* readTar(
  tar: Uint8Array<ArrayBuffer>,
): Generator<[path: string, bytes: Uint8Array<ArrayBuffer>]> {
  const BLOCK = 512;
  const text = (start: number, length: number) =>
    new TextDecoder().decode(tar.subarray(start, start + length)).replace(/\0.*$/s, "");
  let longName: string | undefined;
  for (let at = 0; at + BLOCK <= tar.length && tar[at] !== 0;) {
    const size = parseInt(text(at + 124, 12), 8);
    const type = text(at + 156, 1);
    const data = at + BLOCK;
    if (type === "L") {
      // GNU: the name of the next file, which is longer than its header allows.
      longName = text(data, size);
    } else {
      const prefix = text(at + 345, 155);
      const path = longName ?? (prefix === "" ? text(at, 100) : `${prefix}/${text(at, 100)}`);
      longName = undefined;
      yield [path.replace(/^\.\//, ""), tar.slice(data, data + size)];
    }
    at = data + Math.ceil(size / BLOCK) * BLOCK;
  }
}
