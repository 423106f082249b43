/** The modules of `--agents`: their agents, and the files of which these are made. */

import * as modules from "node:module";
import { basename, dirname, resolve as absolutePath } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Agent } from "../agents/agent.ts";
import type { AgentNetwork } from "../agents/networks/agent_network.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { needGranted, type Permission } from "../base/permissions.ts";

/** What stands behind the URL of a module that is loaded again; without it, it comes from memory. */
const VERSION = /\?v=\d+$/;

/**
 * The agents of some modules. They can be loaded any number of times; each time as the files are
 * then: the modules themselves, and what they import by relative paths from their own folders.
 */
export class AgentFiles {
  readonly #given: readonly string[];
  /** The modules on this machine that count, without their versions. */
  readonly #modules = new Set<string>();
  /** The folders of the modules that were given, as URLs. */
  readonly #folders = new Set<string>();
  #hooks: { deregister(): void } | undefined;
  #version = 0;

  /** @param given Paths or URLs of modules. */
  constructor(given: readonly string[]) {
    this.#given = given;
  }

  /** The files that make a difference, as far as they were loaded. */
  get paths(): string[] {
    const given = this.#given.filter(isOfThisMachine).map(pathOf);
    return [...new Set([...given, ...[...this.#modules].map((url) => fileURLToPath(url))])];
  }

  /**
   * The agents, and networks of agents, among the exports of each module.
   *
   * @throws {NetworkError} Naming the module that cannot be loaded, or exports none.
   */
  async load(): Promise<(Agent | AgentNetwork)[]> {
    // Each module once: two that import the same get the same.
    const suffix = this.#version === 0 ? "" : `?v=${this.#version}`;
    this.#version++;
    const agents: (Agent | AgentNetwork)[] = [];
    for (const given of this.#given) agents.push(...await this.#agentsOf(given, suffix));
    return agents;
  }

  /** What is in the files now: as long as it is the same, there is no need to load them again. */
  async contents(): Promise<string> {
    const texts = this.paths.map(async (path) => {
      const text = await Deno.readTextFile(path).catch(() => null);
      return [path, text];
    });
    return JSON.stringify(await Promise.all(texts));
  }

  /** Lets go of what finds out what modules import. */
  close(): void {
    this.#hooks?.deregister();
    this.#hooks = undefined;
  }

  async #agentsOf(given: string, suffix: string): Promise<(Agent | AgentNetwork)[]> {
    needModule(given);
    const unloadable = (why: string, cause: unknown) =>
      new NetworkError("INVALID_ARGUMENT", `Cannot load the agents of ${given}: ${why}`, { cause });
    const url = await this.#moduleUrl(given, suffix).catch((cause) => {
      throw unloadable(
        cause instanceof Deno.errors.NotFound
          ? "there is no such file. Name a module, such as ./agents.ts."
          : describeError(cause),
        cause,
      );
    });
    const exports: Record<string, unknown> = await import(url).catch((cause) => {
      throw unloadable(describeError(cause), cause);
    });
    const found = Object.values(exports).flat().filter(isAgent);
    if (found.length > 0) return [...new Set(found)];
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot load the agents of ${given}: it exports none. Export what createAgent or createNetwork ` +
        "returns.",
    );
  }

  async #moduleUrl(given: string, suffix: string): Promise<string> {
    if (!isOfThisMachine(given)) return given;
    const url = pathToFileURL(await Deno.realPath(pathOf(given))).href;
    this.#modules.add(url);
    this.#folders.add(new URL(".", url).href);
    // Older versions of Deno have none: there what modules import stays as it was.
    this.#hooks ??= modules.registerHooks?.({
      resolve: (specifier, context, next) => {
        const resolved = next(specifier, context);
        return { ...resolved, url: this.#imported(specifier, context.parentURL, resolved.url) };
      },
    });
    return url + suffix;
  }

  /** The URL of a module that another one imports: where that is one of ours, in the same version. */
  #imported(specifier: string, parent: string | undefined, url: string): string {
    const isOurs = parent !== undefined && this.#modules.has(parent.replace(VERSION, "")) &&
      /^\.\.?\//.test(specifier) && [...this.#folders].some((folder) => url.startsWith(folder));
    if (!isOurs) return url;
    this.#modules.add(url);
    return url + (VERSION.exec(parent)?.[0] ?? "");
  }
}

/** The folders in which changes of these files are seen, however they are replaced. */
export function foldersOf(paths: readonly string[]): string[] {
  return [...new Set(paths.map((path) => dirname(path)))];
}

/** Whether one of these paths may be one of those files, which may be called by other names. */
export function concerns(changed: readonly string[], files: readonly string[]): boolean {
  const names = new Set(files.map((path) => basename(path)));
  return changed.some((path) => names.has(basename(path)));
}

function isOfThisMachine(given: string): boolean {
  return given.startsWith("file:") || !/^[a-z]{2,}:/i.test(given);
}

function pathOf(given: string): string {
  return given.startsWith("file:") ? fileURLToPath(given) : absolutePath(given);
}

/** Importing would ask for it. What the module itself imports cannot be known before. */
function needModule(file: string): void {
  const { protocol, host } = URL.parse(file) ?? {};
  const permission: Permission = protocol === "http:" || protocol === "https:"
    ? { name: "import", host }
    : { name: "read", path: protocol === "file:" ? new URL(file) : file };
  needGranted(`Cannot load the agents of ${file}`, permission);
}

function isAgent(value: unknown): value is Agent | AgentNetwork {
  return typeof value === "object" && value !== null && "run" in value &&
    ("toolset" in value || "asAgent" in value);
}
