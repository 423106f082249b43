/** Finds nodes through Tailscale: every device of the tailnet that is online is worth a dial. */

import { type Clock, doneWithin, sleep } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { CommandRunner } from "../device/command.ts";
import type { Seed } from "../membership/seeds.ts";
import type { Discovery, DiscoverySink } from "./discovery.ts";
import type { TailscaleAttributes } from "./tailscale_attributes.ts";
import {
  parseTailscaleStatus,
  problemOf,
  reachableDevices,
  type TailscaleDevice,
  type TailscaleStatus,
} from "./tailscale_status.ts";

/** What {@linkcode TailscaleDiscovery} is made of. */
export interface TailscaleDiscoveryOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Takes `MAX_STATUS_BYTES` of output. */
  readonly run: CommandRunner;
  /** This system, as `Deno.build.os` calls it: says where the command may be. */
  readonly os: string;
  /** The command's name or path; undefined: where the system usually has it. */
  readonly path?: string;
  /** Where nodes accept links as long as their attributes name no other port. */
  readonly port: number;
  /** Undefined without an API key. */
  readonly attributes?: PeerAttributes;
}

/** What is needed of {@linkcode TailscaleAttributes}. */
export type PeerAttributes = Pick<TailscaleAttributes, "advertOf" | "exchange">;

/** Between the beginnings of two looks at the status, in milliseconds. */
const POLL_INTERVAL_MS = 5_000;
/** It takes some 30 ms; a service that is wedged never answers. */
const COMMAND_TIMEOUT_MS = 3_000;
/** How long a start waits for the first answer, in milliseconds. */
const START_WAIT_MS = 1_000;
/** What was found stays this long while no answer comes: a service that restarts is no farewell. */
const KEEP_MS = 30_000;
/** Between two exchanges with the API, in milliseconds: its requests are counted. */
const ATTRIBUTES_INTERVAL_MS = 30_000;
/** The API may ask for patience, but not forever: an hour, in milliseconds. */
const MAX_PATIENCE_MS = 3_600_000;
/** Each is dialled again and again: a tailnet of thousands needs attributes, or a list of peers. */
const MAX_LISTED = 256;
/** Problems that are told apart; beyond them telling starts anew. */
const MAX_TOLD = 64;

/** The app of macOS is a command, too, if it is told to be one: else it opens its window. */
const MACOS_APP = "/Applications/Tailscale.app/Contents/MacOS/Tailscale";
const BE_A_COMMAND = { TAILSCALE_BE_CLI: "1" };

/** See the top of the file. */
export class TailscaleDiscovery implements Discovery {
  readonly name = "tailscale";
  readonly #options: TailscaleDiscoveryOptions;
  readonly #stopping = new AbortController();
  /** Problems of the status and of the attributes, and which of all have been logged. */
  readonly #problems: { status?: string; attributes?: string } = {};
  readonly #told = new Set<string>();
  /** Where the command may be. */
  readonly #commands: readonly string[];
  #sink: DiscoverySink | undefined;
  #watching: Promise<void> = Promise.resolve();
  #devices: readonly TailscaleDevice[] = [];
  #answeredAt = -Infinity;
  #listed: readonly Seed[] = [];
  #exchanging: Promise<void> | undefined;
  #exchangeDue = -Infinity;

  constructor(options: TailscaleDiscoveryOptions) {
    this.#options = options;
    this.#commands = options.path === undefined ? usualCommands(options.os) : [options.path];
  }

  /** What is in the way at present, and how to mend it; undefined when nothing is. */
  get problem(): string | undefined {
    return this.#problems.status ?? this.#problems.attributes;
  }

  async start(sink: DiscoverySink): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#sink = sink;
    const answered = Promise.withResolvers<void>();
    this.#watching = this.#watch(answered.resolve);
    await doneWithin(this.#options.clock, START_WAIT_MS, answered.promise);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
    await this.#exchanging;
  }

  async #watch(answered: () => void): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const next = clock.now() + POLL_INTERVAL_MS;
      await this.#look();
      answered();
      // It rejects when told to stop, which ends the loop.
      await sleep(clock, Math.max(0, next - clock.now()), signal).catch(() => {});
    }
  }

  async #look(): Promise<void> {
    const { clock } = this.#options;
    let status: TailscaleStatus;
    try {
      status = parseTailscaleStatus(await this.#ask());
    } catch (thrown) {
      if (this.#stopping.signal.aborted) return;
      if (clock.now() - this.#answeredAt >= KEEP_MS) this.#devices = [];
      this.#report("status", describeError(thrown));
      return this.#list();
    }
    if (this.#stopping.signal.aborted) return;
    const devices = reachableDevices(status);
    this.#answeredAt = clock.now();
    this.#devices = devices.slice(0, MAX_LISTED);
    this.#report("status", problemOf(status) ?? problemOfMany(devices.length));
    this.#list();
    if (status.state === "Running") this.#exchange(status.addresses);
  }

  /** What the command prints, wherever it is. */
  async #ask(): Promise<string> {
    for (const command of this.#commands) {
      try {
        return await this.#runStatus(command);
      } catch (thrown) {
        if (!(thrown instanceof NetworkError) || thrown.code !== "NOT_FOUND") throw thrown;
      }
    }
    throw new NetworkError(
      "NOT_FOUND",
      `Cannot find peers by Tailscale: there is no ${this.#commands.join(" and no ")}. ` +
        "Install it from https://tailscale.com/download, or say where it is.",
    );
  }

  async #runStatus(command: string): Promise<string> {
    const { code, stdout } = await this.#options.run(command, ["status", "--json"], {
      timeoutMs: COMMAND_TIMEOUT_MS,
      signal: this.#stopping.signal,
      env: BE_A_COMMAND,
    });
    if (code === 0) return stdout;
    throw new NetworkError(
      "UNAVAILABLE",
      `Cannot find peers by Tailscale: ${command} ended with exit code ${code}. ` +
        "Is its service running? Try: tailscale status",
    );
  }

  /** Tells what is to be dialled, if that has changed. */
  #list(): void {
    const { attributes, port } = this.#options;
    const seeds = this.#devices.map(({ name, addresses }): Seed => ({
      host: name,
      port,
      addresses,
      ...attributes?.advertOf(addresses),
    }));
    if (JSON.stringify(seeds) === JSON.stringify(this.#listed)) return;
    this.#listed = seeds;
    this.#sink?.listed(this.name, seeds);
  }

  /** Exchanges attributes when it is time, beside the looks at the status: the API is far away. */
  #exchange(own: readonly string[]): void {
    const { attributes, clock } = this.#options;
    if (attributes === undefined || this.#exchanging !== undefined) return;
    if (clock.now() < this.#exchangeDue) return;
    this.#exchangeDue = clock.now() + ATTRIBUTES_INTERVAL_MS;
    const peers = this.#devices.flatMap(({ addresses }) => addresses);
    const { signal } = this.#stopping;
    this.#exchanging = attributes.exchange({ own, peers }, signal).then(
      () => undefined,
      (thrown) => NetworkError.from(thrown),
    ).then((failure) => {
      this.#exchanging = undefined;
      if (signal.aborted) return;
      const patienceMs = Math.min(failure?.retryAfterMs ?? 0, MAX_PATIENCE_MS);
      this.#exchangeDue = Math.max(this.#exchangeDue, clock.now() + patienceMs);
      this.#report("attributes", failure?.message);
      this.#list();
    });
  }

  /** A problem is logged once, however often it is met. */
  #report(of: "status" | "attributes", problem: string | undefined): void {
    this.#problems[of] = problem;
    if (problem === undefined || this.#told.has(problem)) return;
    if (this.#told.size >= MAX_TOLD) this.#told.clear();
    this.#told.add(problem);
    this.#options.logger.warn("{problem}", { problem });
  }
}

function usualCommands(os: string): readonly string[] {
  if (os === "windows") return ["tailscale.exe"];
  return os === "darwin" ? ["tailscale", MACOS_APP] : ["tailscale"];
}

function problemOfMany(online: number): string | undefined {
  if (online <= MAX_LISTED) return undefined;
  return `Cannot try all devices of the tailnet: more than ${MAX_LISTED} are online, and those ` +
    "first by name are tried. Name the others as peers.";
}
