/**
 * The data directory: it belongs to the machine, and in `nodes/` each node of the machine has a
 * directory of its own, with a lock while it runs and the files by which commands find it.
 */

import { sleep, systemClock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { isGranted, missingFlags, needGranted } from "../base/permissions.ts";
import { removeUnfinished, writePrivate } from "../base/private_file.ts";
import { systemRandom } from "../base/random.ts";
import { isLabel } from "../base/safe_text.ts";

/** How a program of this machine reaches a running node. */
export interface NodeEndpoint {
  nodeId: string;
  /** The name of its network. */
  network: string;
  /** The base URL of its HTTP API. */
  api: string;
  /** Where it accepts links, `host:port`. */
  grpc: string;
  /** Its process. */
  pid: number;
  /** When it was started, in milliseconds since 1970. */
  startedAt: number;
}

/** A running node with the token that its API asks for. */
export interface RunningNode extends NodeEndpoint {
  token: string;
}

/** A node's directory, held by this process until it is released. */
export interface ClaimedNode {
  readonly nodeId: string;
  /** The directory. */
  readonly path: string;
  /** Writes the files by which commands find the node: all of mode 0600. */
  publish(endpoint: NodeEndpoint, token: string): Promise<void>;
  /** Removes these files and lets go of the directory; idempotent. */
  release(): Promise<void>;
}

const ENDPOINT_FILE = "node.json";
const TOKEN_FILE = "token";
const LOCK_FILE = "lock";
/** Marks a directory whose label was made up: the next node without a label takes it again. */
const AUTO_FILE = "auto";
/** What says where the user's files are: nothing can be put in the place of these. */
export const HOME_VARIABLES: readonly string[] = {
  windows: ["LOCALAPPDATA"],
  darwin: ["HOME"],
}[Deno.build.os as string] ?? ["HOME", "XDG_DATA_HOME"];
/** How often a lock that nobody keeps is tried: for about a quarter of a second. */
const LOCK_ATTEMPTS = 100;

/**
 * The data directory that the user chose, or the platform's usual place.
 *
 * @throws {NetworkError} `FAILED_PRECONDITION` when the environment names no home.
 */
export function dataDirectory(
  chosen: string | undefined,
  env: (name: string) => string | undefined,
): string {
  if (chosen !== undefined) return chosen;
  const home = env("HOME");
  const join = (base: string | undefined, ...rest: string[]) =>
    base === undefined || base === "" ? undefined : [base, ...rest].join("/");
  const usual = Deno.build.os === "windows"
    ? join(env("LOCALAPPDATA"), "hanzo-network")
    : Deno.build.os === "darwin"
    ? join(home, "Library", "Application Support", "hanzo-network")
    : join(env("XDG_DATA_HOME"), "hanzo-network") ?? join(home, ".local", "share", "hanzo-network");
  if (usual !== undefined) return usual;
  throw new NetworkError(
    "FAILED_PRECONDITION",
    "Cannot find the data directory: no home is set. Give one with --data-dir.",
  );
}

/** {@linkcode dataDirectory} for a program that has chosen none, as far as it may know. */
export function usualDataDirectory(): string | undefined {
  const env = (name: string) =>
    isGranted({ name: "env", variable: name }) ? Deno.env.get(name) : undefined;
  const chosen = env("HANZO_NETWORK_DATA_DIR");
  if ((chosen === undefined || chosen === "") && missingHomeFlags().length > 0) return undefined;
  try {
    return dataDirectory(chosen === "" ? undefined : chosen, env);
  } catch {
    return undefined;
  }
}

/** The flags that are missing to know where the user's files are. */
export function missingHomeFlags(): string[] {
  return missingFlags(...HOME_VARIABLES.map((variable) => ({ name: "env", variable }) as const));
}

/**
 * Takes a node's directory for this process.
 *
 * @param chosen The label that the user gave; without one the first free directory that was made
 * up before, or a new one called `fallback`.
 * @throws {NetworkError} `FAILED_PRECONDITION` when the node runs already; `PERMISSION_DENIED` when
 * the directory cannot be written.
 */
export async function claimNode(
  directory: string,
  chosen: string | undefined,
  fallback: string,
): Promise<ClaimedNode> {
  needDirectory(directory, "read", "write");
  const nodes = `${directory}/nodes`;
  await removeUnfinished(directory).catch(() => {});
  if (chosen !== undefined) {
    // It becomes a part of a path.
    if (!isLabel(chosen)) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `Cannot start node ${JSON.stringify(chosen)}: a node id is 1 to 63 letters, digits, ".", ` +
          `"_" or "-", and begins with a letter or digit.`,
      );
    }
    const claimed = await claim(nodes, chosen);
    if (claimed !== undefined) return claimed;
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Cannot start node "${chosen}": it runs already on this machine. ` +
        `Stop that one, or choose another --node-id.`,
    );
  }
  for (const nodeId of await nodeNames(nodes)) {
    if (!await exists(`${nodes}/${nodeId}/${AUTO_FILE}`)) continue;
    const claimed = await claim(nodes, nodeId);
    if (claimed !== undefined) return claimed;
  }
  const claimed = await claim(nodes, fallback);
  if (claimed === undefined) {
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Cannot start node "${fallback}": it runs already. Choose another with --node-id.`,
    );
  }
  try {
    await writePrivate(`${claimed.path}/${AUTO_FILE}`, "");
  } catch (thrown) {
    await claimed.release();
    throw accessError(claimed.path, thrown);
  }
  return claimed;
}

/** The nodes that run on this machine now, the longest-running first. */
export async function runningNodes(directory: string): Promise<RunningNode[]> {
  needDirectory(directory, "read");
  const nodes = `${directory}/nodes`;
  const running: RunningNode[] = [];
  for (const nodeId of await nodeNames(nodes)) {
    const path = `${nodes}/${nodeId}`;
    if (!await isLocked(path)) continue;
    try {
      const endpoint = JSON.parse(await Deno.readTextFile(`${path}/${ENDPOINT_FILE}`));
      const token = await Deno.readTextFile(`${path}/${TOKEN_FILE}`);
      running.push({ ...endpoint as NodeEndpoint, nodeId, token });
    } catch (thrown) {
      // It is starting or stopping: its files are not there yet, or no more.
      if (!(thrown instanceof Deno.errors.NotFound)) throw accessError(path, thrown);
    }
  }
  return running.sort((a, b) => a.startedAt - b.startedAt);
}

async function claim(nodes: string, nodeId: string): Promise<ClaimedNode | undefined> {
  const path = `${nodes}/${nodeId}`;
  let lock: Deno.FsFile;
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    lock = await Deno.open(`${path}/${LOCK_FILE}`, { create: true, write: true, mode: 0o600 });
  } catch (thrown) {
    throw accessError(path, thrown);
  }
  if (!await take(lock)) {
    lock.close();
    return undefined;
  }
  // Of a node that was killed: whoever looks now must not find it here.
  await removeFiles(path);
  await removeUnfinished(path);
  let released = false;
  return {
    nodeId,
    path,
    async publish(endpoint, token) {
      try {
        await writePrivate(`${path}/${TOKEN_FILE}`, token);
        await writePrivate(`${path}/${ENDPOINT_FILE}`, JSON.stringify(endpoint));
      } catch (thrown) {
        throw accessError(path, thrown);
      }
    },
    async release() {
      if (released) return;
      released = true;
      await removeFiles(path);
      lock.close();
    },
  };
}

/** Takes the lock unless a node has it; the system lets go of it when the process ends. */
async function take(lock: Deno.FsFile): Promise<boolean> {
  for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
    if (await lock.tryLock(true)) return true;
    // A command that looks whether a node runs has it for a moment, too, but shares it.
    if (!await lock.tryLock(false)) return false;
    await lock.unlock();
    await sleep(systemClock, 1 + 4 * systemRandom.next());
  }
  return false;
}

async function removeFiles(path: string): Promise<void> {
  for (const file of [ENDPOINT_FILE, TOKEN_FILE]) {
    await Deno.remove(`${path}/${file}`).catch(() => {});
  }
}

async function nodeNames(nodes: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(nodes)) {
      if (isDirectory && isLabel(name)) names.push(name);
    }
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw accessError(nodes, thrown);
  }
  return names.sort();
}

async function isLocked(path: string): Promise<boolean> {
  let lock: Deno.FsFile;
  try {
    lock = await Deno.open(`${path}/${LOCK_FILE}`, { read: true });
  } catch {
    return false;
  }
  try {
    // Shared, so that two commands that look at the same time do not take each other for a node.
    return !await lock.tryLock(false);
  } finally {
    lock.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * Throws unless this program may use the data directory.
 *
 * @throws {NetworkError} `PERMISSION_DENIED` naming the flags.
 */
export function needDirectory(path: string, ...ways: readonly ("read" | "write")[]): void {
  needGranted(
    `Cannot use the data directory ${path}`,
    ...ways.map((name) => ({ name, path })),
  );
}

function accessError(path: string, cause: unknown): NetworkError {
  if (cause instanceof NetworkError) return cause;
  const action = `Cannot use the data directory ${path}`;
  if (cause instanceof Deno.errors.NotCapable) {
    return new NetworkError(
      "PERMISSION_DENIED",
      `${action}: not permitted. Grant --allow-read and --allow-write for it.`,
      { cause },
    );
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return new NetworkError(
      "PERMISSION_DENIED",
      `${action}: the system denies it. Give another with --data-dir.`,
      { cause },
    );
  }
  return new NetworkError(
    "FAILED_PRECONDITION",
    `${action}: ${describeError(cause)}. Give another with --data-dir.`,
    { cause },
  );
}
