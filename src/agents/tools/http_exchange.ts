/** One request and its answer, to an address that was looked at before: no name is asked twice. */

import type { IncomingMessage } from "node:http";
import type { LookupAddress } from "node:dns";
import { describeError, NetworkError } from "../../base/errors.ts";
import { addressIn, type AllowedHosts, kindOf } from "./allowed_hosts.ts";

/** What is sent. */
export interface HttpExchange {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  readonly signal: AbortSignal;
}

/** Finds the addresses of a name. */
export type Lookup = (name: string) => Promise<LookupAddress[]>;

/** What comes back. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** As much of it as was wanted. */
  readonly body: Uint8Array;
  /** Whether there was more. */
  readonly isCut: boolean;
}

/**
 * Sends a request to a host of the list, directly: a proxy would ask for the name itself.
 *
 * @throws {NetworkError} `PERMISSION_DENIED` when its name leads where it must not; `UNAVAILABLE` when
 * nobody answers; the signal's reason.
 */
export async function exchangeHttp(
  { url, method, headers, body, signal }: HttpExchange,
  hosts: AllowedHosts,
  maxBytes: number,
  lookup: Lookup = systemLookup,
): Promise<HttpAnswer> {
  const address = await addressOf(url, hosts, lookup);
  signal.throwIfAborted();
  const { request } = url.protocol === "https:"
    ? await import("node:https")
    : await import("node:http");
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const answerLookup = (_: string, { all }: { all?: boolean }, done: Found) =>
    all ? done(null, [address]) : done(null, address.address, address.family);
  const length = body === undefined ? {} : { "content-length": `${body.length}` };
  const asked = request(
    url,
    { method, headers: { ...headers, ...length }, agent: false, lookup: answerLookup as never },
    resolve,
  );
  const abort = () => {
    asked.destroy();
    reject(signal.reason);
  };
  signal.addEventListener("abort", abort, { once: true });
  asked.on("error", reject);
  asked.end(body);
  try {
    const answer = await promise;
    const read = await readBody(answer, maxBytes);
    signal.throwIfAborted();
    return { status: answer.statusCode ?? 0, headers: headersOf(answer), ...read };
  } catch (thrown) {
    signal.throwIfAborted();
    throw new NetworkError(
      "UNAVAILABLE",
      `Cannot ask ${url.host}: ${describeError(thrown)}. Is the address right, and the host there?`,
      { cause: thrown },
    );
  } finally {
    signal.removeEventListener("abort", abort);
    asked.destroy();
  }
}

type Found = (error: null, found: string | LookupAddress[], family?: number) => void;

/** As every program of this system finds them, files and names of the house included. */
const systemLookup: Lookup = async (name) => {
  const { lookup } = await import("node:dns/promises");
  return await lookup(name, { all: true });
};

/** The address to connect to, looked at. */
async function addressOf(url: URL, hosts: AllowedHosts, lookup: Lookup): Promise<LookupAddress> {
  const literal = addressIn(url.hostname);
  const found = literal === undefined
    ? await lookup(url.hostname).catch((cause) => {
      throw new NetworkError(
        "UNAVAILABLE",
        `Cannot ask ${url.host}: there is no host of this name (${describeError(cause)}). ` +
          "Is it written right?",
        { cause },
      );
    })
    : [{ address: literal, family: literal.includes(":") ? 6 : 4 }];
  const allowed = found.find(({ address }) => hosts.allowsAddress(url, kindOf(address)));
  if (allowed !== undefined) return allowed;
  throw new NetworkError(
    "PERMISSION_DENIED",
    `Cannot ask ${url.host}: it is at ${found[0]?.address ?? "no address"}, which is not of the ` +
      "world outside, and is not allowed as such. Allow that address itself, if that is meant.",
  );
}

async function readBody(
  answer: IncomingMessage,
  maxBytes: number,
): Promise<{ body: Uint8Array; isCut: boolean }> {
  const body = new Uint8Array(maxBytes);
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Uint8Array>) {
    const room = maxBytes - length;
    body.set(chunk.subarray(0, room), length);
    length += Math.min(room, chunk.length);
    if (chunk.length > room) return { body, isCut: true };
  }
  if (!answer.complete) throw new Error("the connection was closed before the end");
  return { body: body.subarray(0, length), isCut: false };
}

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name, String(value)]);
  return Object.fromEntries(entries);
}
