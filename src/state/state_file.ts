/** The file that a node's replica is kept in: whose it is, and what becomes of one that is no good. */

import { describeError, NetworkError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { LogSync } from "./log_sync.ts";
import { isDamage, isOfStore, storeError } from "./store_error.ts";
import { RowStore } from "./row_store.ts";

/** An open one. */
export interface StateFile {
  readonly path: string;
  readonly store: RowStore;
  /** The last one that was put aside because it was damaged, if it is there still. */
  readonly damagedPath: string | undefined;
  /** Resolves when all that was committed so far is on the disk. */
  sync(): Promise<void>;
  /** The network is called by these from now on. */
  belongsTo(networks: readonly string[]): void;
  /** Lets go of it; the store is to be disposed of by whoever has it. */
  close(): Promise<void>;
}

/** What a state file is opened for. */
export interface StateFileOptions {
  /** The node's own directory. */
  readonly directory: string;
  /** What the network is called, by any of its keys. */
  readonly networks: readonly string[];
  readonly logger: Logger;
}

const NAME = "state.db";
/** In the name of one that is no good; the time follows. */
const DAMAGED = ".damaged-";
/** What SQLite keeps beside a file. */
const COMPANIONS = ["", "-wal", "-shm"];

/**
 * Opens the file in a node's directory, or makes one. The state of another network, which the device
 * was in before, is put aside, and taken up again when it comes back; so is a file that is damaged.
 *
 * @throws {NetworkError} `FAILED_PRECONDITION` when a later version has written it;
 * `PERMISSION_DENIED`; `RESOURCE_EXHAUSTED` when the disk is full.
 */
export async function openStateFile(options: StateFileOptions): Promise<StateFile> {
  const { directory, networks, logger } = options;
  const path = `${directory}/${NAME}`;
  await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
  let store = await openUndamaged(path, logger);
  const others = store.networks();
  if (others.length > 0 && !others.some((one) => networks.includes(one))) {
    store[Symbol.dispose]();
    await move(path, asidePath(directory, others[0]));
    for (const network of networks) await move(asidePath(directory, network), path);
    store = await openUndamaged(path, logger);
    logger.info("The shared state of another network was put aside.");
  }
  store.setNetworks(networks);
  const log = new LogSync(path);
  return {
    path,
    store,
    damagedPath: await damagedIn(directory),
    sync: () => log.sync(),
    belongsTo: (names) => store.setNetworks(names),
    close: () => log.close(),
  };
}

async function openUndamaged(path: string, logger: Logger): Promise<RowStore> {
  try {
    return await open(path, logger);
  } catch (thrown) {
    if (!isDamage(thrown)) throw notOpened(path, thrown);
    const aside = `${path}${DAMAGED}${new Date().toISOString().replaceAll(":", "-")}`;
    await move(path, aside);
    logger.error("The shared state here is damaged: {error}. {mend}", {
      error: describeError(thrown),
      mend: `What others have comes back from them; the damaged file is ${aside}`,
    });
    return await open(path, logger).catch((thrown) => {
      throw notOpened(path, thrown);
    });
  }
}

async function damagedIn(directory: string): Promise<string | undefined> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(directory)) {
    if (name.startsWith(NAME + DAMAGED) && name.endsWith("Z")) names.push(name);
  }
  const last = names.sort().at(-1);
  return last && `${directory}/${last}`;
}

async function open(path: string, logger: Logger): Promise<RowStore> {
  // SQLite gives its companions the mode of the file.
  (await Deno.open(path, { create: true, write: true, mode: 0o600 })).close();
  const store = new RowStore(path);
  try {
    store.check();
    const damaged = store.dropDamaged();
    if (damaged > 0) {
      logger.error(
        "Of the shared state here {damaged} entries are damaged, and left out. What others have of " +
          "them comes back from them; look whether the disk fails.",
        { damaged },
      );
    }
    return store;
  } catch (thrown) {
    store[Symbol.dispose]();
    throw thrown;
  }
}

/** Moves a file that may not be there, with what belongs to it. */
async function move(from: string, to: string): Promise<void> {
  for (const companion of COMPANIONS) {
    try {
      await Deno.rename(from + companion, to + companion);
    } catch (thrown) {
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    }
  }
}

/** @param network A tag, of hexadecimal digits: it becomes a part of a path. */
function asidePath(directory: string, network: string): string {
  return `${directory}/state-${network.replaceAll(/[^0-9a-z]/gi, "")}.db`;
}

function notOpened(path: string, thrown: unknown): unknown {
  const action = `Cannot open the shared state in ${path}`;
  if (isOfStore(thrown)) return storeError(thrown, action);
  if (thrown instanceof NetworkError) return thrown;
  const isDenied = thrown instanceof Deno.errors.PermissionDenied ||
    thrown instanceof Deno.errors.NotCapable;
  return NetworkError.from(thrown, isDenied ? "PERMISSION_DENIED" : "FAILED_PRECONDITION", action);
}
