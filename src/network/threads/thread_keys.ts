/** Names of threads, and where the shared state keeps what is theirs. */

import { bytesOf } from "../../base/bounded_value.ts";
import { NetworkError } from "../../base/errors.ts";
import { safeName } from "../../base/safe_text.ts";

/** The keys of all threads begin so. */
export const THREADS_PREFIX = "threads/";
/** The longest name, in bytes: what is kept under it needs room in a key, too. */
const MAX_NAME_BYTES = 128;

/** Where a thread is kept. */
export interface ThreadKeys {
  /** What all of its keys begin with, and no others. */
  readonly prefix: string;
  /** Of prompts, messages and answers. */
  readonly log: string;
  /** What all keys of its data begin with. */
  readonly data: string;
  /** What all keys of runs that have not ended begin with. */
  readonly runs: string;
  /** What all keys of their contexts begin with. */
  readonly contexts: string;
  /** What all keys of networks begin with that such a run asks. */
  readonly inside: string;
}

/**
 * Where the thread with that name is kept.
 *
 * @param action What is to be done, for the error: `run in thread`.
 * @throws {NetworkError} `INVALID_ARGUMENT` when the name is none.
 */
export function threadKeys(name: string, action: string): ThreadKeys {
  checkName(name, action);
  const prefix = `${THREADS_PREFIX}${escaped(name, /[%/\0]/g)}/`;
  return {
    prefix,
    log: `${prefix}log`,
    data: `${prefix}data/`,
    runs: `${prefix}run/`,
    contexts: `${prefix}context/`,
    inside: `${prefix}inside/`,
  };
}

/** A key of the data, as part of one of the shared state's. */
export function escapedDataKey(key: string): string {
  // The shared state takes no zero.
  return escaped(key, /[%\0]/g);
}

/** A key of the data, from what {@linkcode escapedDataKey} has made of it; as it is if that has not. */
export function dataKeyOf(text: string): string {
  return unescaped(text) ?? text;
}

/** The name of the thread that a key of the shared state is of; undefined when it is of none. */
export function threadOf(key: string): string | undefined {
  const end = key.indexOf("/", THREADS_PREFIX.length);
  if (!key.startsWith(THREADS_PREFIX) || end === -1) return undefined;
  const name = unescaped(key.slice(THREADS_PREFIX.length, end));
  return name === undefined || faultOf(name) !== undefined ? undefined : name;
}

function checkName(name: string, action: string): void {
  const fault = typeof name === "string" ? faultOf(name) : `its name is of the type ${typeof name}`;
  if (fault === undefined) return;
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot ${action} ${JSON.stringify(safeName(String(name), 40))}: ${fault}. ` +
      `Take a text of 1 to ${MAX_NAME_BYTES} bytes without control characters.`,
  );
}

function faultOf(name: string): string | undefined {
  if (name === "") return "its name is empty";
  const bytes = bytesOf(name);
  if (bytes > MAX_NAME_BYTES) return `its name takes ${bytes} bytes`;
  return name.isWellFormed() && safeName(name) === name ? undefined : "its name cannot be shown";
}

function escaped(text: string, unfit: RegExp): string {
  return text.replaceAll(unfit, (one) => `%${one.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function unescaped(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // Somebody has written a key of his own.
    return undefined;
  }
}
