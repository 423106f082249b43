/** Agents that are loaded again whenever one of their files has changed, however it was replaced. */

import type { Agent } from "../agents/agent.ts";
import type { AgentNetwork } from "../agents/networks/agent_network.ts";
import type { CancelTimer, Clock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { missingFlags, type Permission } from "../base/permissions.ts";
import { type AgentFiles, concerns, foldersOf } from "./agent_files.ts";

/** Tells which paths have changed; {@linkcode Deno.FsWatcher} is one. */
export interface FolderWatch extends AsyncIterable<{ kind: string; paths: string[] }> {
  close(): void;
}

/** What they are made of. */
export interface WatchedAgentsNeeds {
  readonly files: Pick<AgentFiles, keyof AgentFiles>;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Takes what was loaded.
   *
   * @throws {NetworkError} When these agents cannot be had: those of before stay.
   */
  readonly replace: (agents: (Agent | AgentNetwork)[]) => void;
  /** Watches folders, without those in them. */
  readonly watch?: (folders: string[]) => FolderWatch;
}

/** Editors write in several steps; after the last one nothing happens for so long. */
const QUIET_MS = 100;
/** A folder that is gone is looked for so often: one that comes in its place is another one. */
const LOOK_MS = 1_000;

/** See the top of the file. */
export class WatchedAgents {
  readonly #needs: WatchedAgentsNeeds;
  readonly #watch: (folders: string[]) => FolderWatch;
  #watching: { folders: string[]; watch: FolderWatch; ended: Promise<void> } | undefined;
  /** What the files held when they were last loaded, well or not. */
  #contents: string | undefined;
  #cancel: CancelTimer = () => {};
  /** Whether a folder that was watched is gone. */
  #isBlind = false;
  #work: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(needs: WatchedAgentsNeeds) {
    this.#needs = needs;
    this.#watch = needs.watch ?? ((folders) => Deno.watchFs(folders, { recursive: false }));
  }

  /** Watches from now on; the files have been loaded once. */
  start(): void {
    this.#work = this.#work.then(async () => {
      this.#contents = await this.#needs.files.contents();
      await this.#rewatch();
    });
  }

  /** Watches no more; idempotent. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    this.#watching?.watch.close();
    await this.#work;
    await this.#watching?.ended;
  }

  #changed(paths: readonly string[]): void {
    if (concerns(paths, this.#needs.files.paths)) this.#lookAfter(QUIET_MS);
  }

  #lookAfter(delayMs: number): void {
    if (this.#isStopped) return;
    this.#cancel();
    this.#cancel = this.#needs.clock.after(delayMs, () => {
      this.#work = this.#work.then(() => this.#look());
    });
  }

  async #look(): Promise<void> {
    const contents = await this.#needs.files.contents();
    if (this.#isStopped) return;
    if (contents !== this.#contents) await this.#reload(contents);
    else if (this.#isBlind) await this.#rewatch();
  }

  async #reload(contents: string): Promise<void> {
    const { files, logger, replace } = this.#needs;
    try {
      const agents = await files.load();
      if (this.#isStopped) return;
      replace(agents);
      const names = agents.map(({ name }) => name).join(", ");
      logger.info("The files of --agents have changed: the agents are {names} now", { names });
    } catch (thrown) {
      const problem = describeError(thrown);
      logger.warn("{problem} The agents of before stay.", { problem });
    }
    // What is imported for the first time counts as it is now; all else as it was before.
    const before = new Map<string, string | null>(JSON.parse(contents));
    const now: [string, string | null][] = JSON.parse(await files.contents());
    const loaded = now.map(([path, text]) => [path, before.has(path) ? before.get(path) : text]);
    this.#contents = JSON.stringify(loaded);
    await this.#rewatch();
    // Changed while it was loaded.
    if (this.#contents !== JSON.stringify(now)) this.#changed(files.paths);
  }

  /** Watches the folders of all files that are known by now. */
  async #rewatch(): Promise<void> {
    const folders = foldersOf(this.#needs.files.paths);
    if (this.#isStopped || folders.length === 0) return;
    const isSame = this.#watching?.folders.join("\n") === folders.join("\n");
    if (isSame && !this.#isBlind) return;
    this.#watching?.watch.close();
    await this.#watching?.ended;
    if (this.#isStopped) return;
    this.#watching = undefined;
    const flags = missingFlags(
      ...folders.map((path): Permission => ({ name: "read", path })),
    );
    if (flags.length > 0) {
      const text = `Changes of agents are not seen: grant ${flags.join(" ")}`;
      return this.#needs.logger.info("{text}", { text });
    }
    try {
      const watch = this.#watch(folders);
      this.#watching = { folders, watch, ended: this.#listen(watch, folders) };
      // It may have changed before it was watched again.
      if (this.#isBlind) this.#lookAfter(QUIET_MS);
      this.#isBlind = false;
    } catch (thrown) {
      if (this.#isBlind) return this.#lookAfter(LOOK_MS);
      const problem = describeError(thrown);
      this.#needs.logger.warn("Changes of agents are not seen: {problem}", { problem });
    }
  }

  async #listen(watch: FolderWatch, folders: readonly string[]): Promise<void> {
    try {
      for await (const { kind, paths } of watch) {
        if (kind === "remove" && paths.some((path) => folders.includes(path))) {
          this.#isBlind = true;
          this.#lookAfter(QUIET_MS);
        }
        // Reading them is no change.
        if (kind !== "access") this.#changed(paths);
      }
    } catch (thrown) {
      const problem = describeError(thrown);
      this.#needs.logger.warn("Changes of agents are no longer seen: {problem}", { problem });
    }
  }
}
