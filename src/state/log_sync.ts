/** Brings what was committed onto the disk, off this thread. */

/**
 * Syncs SQLite's write-ahead log. SQLite would do it at each commit and hold everything up until it
 * is done, which on an SD card takes tens of milliseconds.
 */
export class LogSync {
  readonly #path: string;
  #file: Promise<Deno.FsFile> | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** @param path The database. */
  constructor(path: string) {
    // Nothing is locked by way of this file, so that it may be opened and closed beside SQLite.
    this.#path = `${path}-wal`;
  }

  /** Resolves when all that was committed before is on the disk. */
  sync(): Promise<void> {
    if (this.#running === undefined) return this.#begin();
    // One that is under way may have begun before the last commit. All that wait share the next one.
    return this.#next ??= this.#running.catch(() => {}).then(() => {
      this.#next = undefined;
      return this.#begin();
    });
  }

  /** Nothing is synced any more. */
  async close(): Promise<void> {
    await this.#next?.catch(() => {});
    await this.#running?.catch(() => {});
    (await this.#file?.catch(() => undefined))?.close();
    this.#file = undefined;
  }

  #begin(): Promise<void> {
    return this.#running = this.#syncFile().finally(() => this.#running = undefined);
  }

  async #syncFile(): Promise<void> {
    this.#file ??= Deno.open(this.#path, { read: true, write: true });
    try {
      await (await this.#file).syncData();
    } catch (thrown) {
      this.#file = undefined;
      throw thrown;
    }
  }
}
