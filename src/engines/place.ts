/** Where an engine is, or may be: the known ports of the loopback, and what is configured. */

import { NetworkError } from "../base/errors.ts";
import type { EngineKind } from "./model.ts";

/** An engine that a program names itself. */
export interface EngineOptions {
  /**
   * Its base URL: `"http://127.0.0.1:9000"`, or with the path of its protocol,
   * `"https://api.openai.com/v1"`. It may be of another machine: this is the only way to such a one.
   */
  url: string;
  /** The variable of the environment that holds its key, if it wants one: `"OPENAI_API_KEY"`. */
  keyEnv?: string;
  /**
   * Whether it is asked only when no other engine of the network has the model. By default that is
   * so of what is not on this machine: what is said to it leaves the device.
   */
  lastResort?: boolean;
}

/** A place where an engine is looked for. */
export interface EnginePlace {
  /** Its URL as people know it, without a path where it has none. */
  readonly url: string;
  /** Where an engine's own paths hang: `http://127.0.0.1:11434`. */
  readonly root: string;
  /** Where those of OpenAI's protocol hang: `http://127.0.0.1:11434/v1`. */
  readonly openAi: string;
  /** What usually listens there. */
  readonly usual: EngineKind | undefined;
  /** Whether somebody has named it. */
  readonly isConfigured: boolean;
  readonly isLoopback: boolean;
  readonly keyEnv: string | undefined;
  readonly lastResort: boolean;
}

/** A port of the loopback, and what listens there unless it was told otherwise. */
export type KnownPort = readonly [port: number, usual: EngineKind];

/** The only ports that are looked at without being asked for. */
export const KNOWN_PORTS: readonly KnownPort[] = [
  [11_434, "ollama"],
  [1_234, "lm-studio"],
  [8_080, "llama.cpp"],
  [8_000, "vllm"],
  [52_415, "exo"],
  [1_337, "jan"],
];

/** The fields of a fragment: `#key-env=NAME&last-resort=false`. */
const FIELDS = ["key-env", "last-resort"];

/** A known port of the loopback. */
export function knownPlace([port, usual]: KnownPort): EnginePlace {
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    root: url,
    openAi: `${url}/v1`,
    usual,
    isConfigured: false,
    isLoopback: true,
    keyEnv: undefined,
    lastResort: false,
  };
}

/**
 * The place that an option names: a URL, in whose fragment, which is never sent, may stand where
 * its key is and whether it is the last resort.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseEngine } from "./place.ts";
 *
 * const { openAi, keyEnv, lastResort } = parseEngine("https://example.com/v1#key-env=EXAMPLE_KEY");
 * assertEquals(openAi, "https://example.com/v1");
 * assertEquals([keyEnv, lastResort], ["EXAMPLE_KEY", true]);
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` saying what is wrong with it. It never repeats what may
 * be a secret.
 */
export function parseEngine(option: string | EngineOptions): EnginePlace {
  const given = typeof option === "string" ? optionsOf(option) : option;
  const url = URL.parse(given.url);
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    const shown = /[@?#]/.test(given.url) ? "what was given" : JSON.stringify(given.url);
    refuse(`${shown} is no URL of http or https, such as http://127.0.0.1:9000`);
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    refuse(
      `the URL of ${url.host} holds more than an address. Name the variable of the environment ` +
        `that holds the key instead: ${url.origin}${url.pathname}#key-env=NAME`,
    );
  }
  const { keyEnv } = given;
  if (keyEnv !== undefined && !/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(keyEnv)) {
    refuse(`for ${url.host} key-env is no name of a variable, such as OPENAI_API_KEY`);
  }
  // Whatever else that name may stand for.
  if (url.hostname === "localhost") url.hostname = "127.0.0.1";
  const base = `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
  const isLoopback = /^(127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  return {
    url: base,
    root: base.replace(/\/v1$/, ""),
    openAi: /\/v1$/.test(base) || url.pathname !== "/" ? base : `${base}/v1`,
    usual: undefined,
    isConfigured: true,
    isLoopback,
    keyEnv,
    lastResort: given.lastResort ?? !isLoopback,
  };
}

/**
 * All places that are looked at; what is configured takes the place of the known port that it names.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when two that are configured are one.
 */
export function enginePlaces(
  configured: readonly EnginePlace[],
  known: readonly KnownPort[],
): EnginePlace[] {
  const byRoot = new Map<string, EnginePlace>();
  for (const place of configured) {
    if (byRoot.has(place.root)) refuse(`${place.url} is named twice`);
    byRoot.set(place.root, place);
  }
  for (const place of known.map(knownPlace)) {
    const named = byRoot.get(place.root);
    byRoot.set(place.root, named === undefined ? place : { ...named, usual: place.usual });
  }
  return [...byRoot.values()];
}

function optionsOf(text: string): EngineOptions {
  const [url, fragment = ""] = text.split(/#(.*)/s, 2);
  const fields = new URLSearchParams(fragment);
  const unknown = [...fields.keys()].find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) {
    // It may be a key that somebody wrote there.
    refuse(`behind the # of an engine's URL stand key-env=NAME and last-resort=true or =false`);
  }
  const lastResort = fields.get("last-resort");
  if (lastResort !== null && lastResort !== "true" && lastResort !== "false") {
    refuse("last-resort behind the # of an engine's URL is true or false");
  }
  return {
    url,
    keyEnv: fields.get("key-env") ?? undefined,
    lastResort: lastResort === null ? undefined : lastResort === "true",
  };
}

function refuse(why: string): never {
  throw new NetworkError("INVALID_ARGUMENT", `Cannot use an engine: ${why}.`);
}
