/**
 * The head of an HTTP/1.1 request, read strictly: whatever two readers could take for two things
 * is refused, and nothing is without a bound.
 */

import { HttpFault } from "./fault.ts";

/** The longest head: request line and headers. */
export const MAX_HEAD_BYTES = 16_384;
/** The longest path with its query. */
export const MAX_TARGET_LENGTH = 8_192;
/** The most headers. */
export const MAX_HEADERS = 100;

/** What a request says before its body. */
export interface RequestHead {
  readonly method: string;
  /** Path and query, beginning with a slash. */
  readonly target: string;
  /** Names and values as they came; the values are Latin-1. */
  readonly headers: [name: string, value: string][];
  /** Bytes of the body that follows. */
  readonly bodyLength: number | "chunked";
  /** Whether the client waits for leave before it sends the body. */
  readonly expectsContinue: boolean;
  readonly isHttp10: boolean;
  /** Whether the client will send another request on the same connection. */
  readonly keepsAlive: boolean;
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP\/([0-9]\.[0-9])$/;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Fewer digits than a number counts exactly. */
const LENGTH = /^[0-9]{1,15}$/;

const CR = 0x0d;
const LF = 0x0a;

/**
 * Where the head ends that begins with the first of `bytes`.
 *
 * @param from What is before was looked at already.
 * @returns The place behind the empty line; -1 when that has not come yet.
 */
export function headEnd(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(LF, Math.max(3, from)); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at - 1] === CR && bytes[at - 2] === LF && bytes[at - 3] === CR) return at + 1;
  }
  return -1;
}

/**
 * Reads a head.
 *
 * @param bytes All of it, with the empty line.
 * @throws {HttpFault} When it is not as it must be.
 */
export function parseHead(bytes: Uint8Array): RequestHead {
  const [requestLine, ...lines] = String.fromCharCode(...bytes.subarray(0, -4)).split("\r\n");
  const { method, target, isHttp10 } = parseRequestLine(requestLine);
  if (lines.length > MAX_HEADERS) {
    throw new HttpFault(431, `it has ${lines.length} headers, at most ${MAX_HEADERS} are taken.`);
  }
  const headers = lines.map(parseHeader);
  const one = (name: string) => onlyValue(headers, name);
  one("host");
  const expectation = one("expect")?.toLowerCase();
  if (expectation !== undefined && expectation !== "100-continue") {
    throw new HttpFault(417, `it expects what this API does not do.`);
  }
  return {
    method,
    target,
    headers,
    bodyLength: bodyLength(one("content-length"), one("transfer-encoding"), isHttp10),
    expectsContinue: expectation !== undefined && !isHttp10,
    isHttp10,
    keepsAlive: !isHttp10 && !headers.some(isConnectionClose),
  };
}

function parseRequestLine(line: string): Pick<RequestHead, "method" | "target" | "isHttp10"> {
  const [, method, target, version] = REQUEST_LINE.exec(line) ?? [];
  if (version === undefined) throw new HttpFault(400, "it does not begin as HTTP does.");
  // The preface of HTTP/2 looks like a request, too.
  if (version !== "1.1" && version !== "1.0") {
    throw new HttpFault(505, `it is HTTP/${version}. Speak HTTP/1.1.`);
  }
  if (!METHODS.has(method)) throw new HttpFault(501, "its method is none that this API knows.");
  if (target.length > MAX_TARGET_LENGTH) {
    throw new HttpFault(414, `its path is longer than ${MAX_TARGET_LENGTH} characters.`);
  }
  if (!target.startsWith("/")) throw new HttpFault(400, "its path does not begin with a slash.");
  return { method, target, isHttp10: version === "1.0" };
}

function parseHeader(line: string): [string, string] {
  const colon = line.indexOf(":");
  const [name, value] = [line.slice(0, Math.max(0, colon)), line.slice(colon + 1)];
  // A name with a space around it, or a line that goes on with the one before, is read differently
  // by different readers.
  if (!NAME.test(name) || !VALUE.test(value)) {
    throw new HttpFault(400, "one of its headers has characters that may not be there.");
  }
  return [name, value.replace(/^[\t ]+|[\t ]+$/g, "")];
}

/** The value of a header that may be there once. */
function onlyValue(headers: RequestHead["headers"], name: string): string | undefined {
  const values = headers.filter(([other]) => other.toLowerCase() === name);
  if (values.length > 1) throw new HttpFault(400, `it has the header ${name} more than once.`);
  return values[0]?.[1];
}

function bodyLength(
  length: string | undefined,
  encoding: string | undefined,
  isHttp10: boolean,
): number | "chunked" {
  if (encoding !== undefined) {
    if (length !== undefined || isHttp10) {
      throw new HttpFault(400, "it says in two ways where its body ends.");
    }
    if (encoding.toLowerCase() !== "chunked") {
      throw new HttpFault(501, "its transfer-encoding is not chunked.");
    }
    return "chunked";
  }
  if (length === undefined) return 0;
  if (!LENGTH.test(length)) throw new HttpFault(400, "its content-length is no length.");
  return Number(length);
}

function isConnectionClose([name, value]: [string, string]): boolean {
  return name.toLowerCase() === "connection" &&
    value.toLowerCase().split(",").some((option) => option.trim() === "close");
}
