/** Where a machine keeps the keyring of its network. */

import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { createPrivate, readPrivate, writePrivate } from "../base/private_file.ts";
import { decodeKeyring, encodeKeyring, type Keyring, newKeyring } from "./keyring.ts";

const FILE = "keyring.json";

/** See the top of the file. */
export class KeyringFile {
  readonly #path: string;
  readonly #logger: Logger;

  /** @param directory The data directory. */
  constructor(directory: string, logger: Logger) {
    this.#path = `${directory}/${FILE}`;
    this.#logger = logger;
  }

  /**
   * What is kept; undefined when nothing is.
   *
   * @throws {NetworkError} `FAILED_PRECONDITION` when it is damaged, without its content.
   */
  async read(): Promise<Keyring | undefined> {
    const kept = await readPrivate(this.#path);
    if (kept === undefined) return undefined;
    if (kept.wasOpen) {
      this.#logger.warn(
        "{path} could be read by others of this machine; it no longer can. Whoever has read it is " +
          "in the network: change the key with hanzo-network key rotate",
        { path: this.#path },
      );
    }
    try {
      return decodeKeyring(new TextEncoder().encode(kept.text));
    } catch (thrown) {
      throw new NetworkError(
        "FAILED_PRECONDITION",
        `Cannot read the network's key from ${this.#path}: ${describeError(thrown)} ` +
          `Restore the file, or remove it and join again: hanzo-network join`,
      );
    }
  }

  /** What is kept; a network of its own is made when nothing is. */
  async readOrMake(networkName: string): Promise<Keyring> {
    for (;;) {
      const kept = await this.read();
      if (kept !== undefined) return kept;
      const made = newKeyring(networkName);
      // Two nodes may be started for the first time at the same moment: one of them makes it.
      if (await createPrivate(this.#path, encodeKeyring(made))) return made;
    }
  }

  /**
   * Takes the place of what is kept.
   *
   * @throws {NetworkError} `PROTOCOL` when it could not be read again: a machine must not lose its
   * network by what somebody has handed in. What is kept stays.
   */
  async write(ring: Keyring): Promise<void> {
    const text = encodeKeyring(ring);
    decodeKeyring(new TextEncoder().encode(text));
    await writePrivate(this.#path, text);
  }

  /** A text that differs whenever the file has changed; undefined while there is none. */
  async stamp(): Promise<string | undefined> {
    try {
      const { mtime, size, ino } = await Deno.lstat(this.#path);
      return `${mtime?.getTime()} ${size} ${ino}`;
    } catch {
      return undefined;
    }
  }
}
