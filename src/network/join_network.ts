/** How this machine comes into a network: by a code that a device of it shows. */

import { systemClock } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/log.ts";
import { createPrivate, fileError } from "../base/private_file.ts";
import { joinByInvite } from "../link/joining.ts";
import { decodeJoinCode, type JoinCode } from "../security/join_code.ts";
import { type Keyring, merged, newKeyring } from "../security/keyring.ts";
import { KeyringFile } from "../security/keyring_file.ts";
import { KnownNodes } from "../security/known_nodes.ts";
import { needDirectory } from "./data_directory.ts";
import { hostLabel, systemHostName } from "./node_label.ts";

/** How joining is to be. */
export interface JoinOptions {
  /** Where this machine keeps the key. */
  readonly dataDirectory: string;
  /**
   * Whether to leave the network that this machine is in, when it has met other devices there.
   *
   * @default {false}
   */
  readonly leave?: boolean;
  readonly logger?: Logger;
  /** Gives up. */
  readonly signal?: AbortSignal;
}

/** What came of it. */
export interface Joined {
  readonly networkName: string;
  /** Who has shown the code. */
  readonly inviter: string;
  /** Whether this machine was of the network already. */
  readonly wasMember: boolean;
}

/**
 * Joins the network of a code, for good: nodes of this machine are of it from then on, those that
 * run within a second.
 *
 * @param text `HANZO:1/…`
 * @throws {NetworkError} `INVALID_ARGUMENT` when it is no such code, cut off or mistyped;
 * `FAILED_PRECONDITION` when this machine is of a network with other devices; `UNAVAILABLE` when the
 * inviter cannot be reached; `PERMISSION_DENIED` when the code is used, expired or not known.
 */
export async function joinNetwork(text: string, options: JoinOptions): Promise<Joined> {
  const { dataDirectory, leave = false, logger = silentLogger } = options;
  const { signal = new AbortController().signal } = options;
  const code = decodeJoinCode(text);
  needDirectory(dataDirectory, "read", "write");
  await makeDirectory(dataDirectory);
  const file = new KeyringFile(dataDirectory, logger);
  const before = await file.read();
  const { networkName, networkTag, nodeId: inviter } = code;
  if (before?.keys[0].key.tag === networkTag) {
    // It has the newest key: an invite stays good for another device.
    return { networkName, inviter, wasMember: true };
  }
  const isOfIt = (ring: Keyring | undefined): ring is Keyring =>
    ring?.keys.some(({ key }) => key.tag === networkTag) ?? false;
  const wasMember = isOfIt(before);
  if (before !== undefined && !wasMember && !leave) {
    await refuseToLeave(dataDirectory, before, code);
  }
  const keep = async (ring: Keyring) => {
    // A node of this machine may have changed it meanwhile.
    const present = await file.read();
    await file.write(isOfIt(present) ? merged(present, ring, systemClock.wallTime()) : ring);
  };
  if (code.kind === "static") await keep(newKeyring(networkName, code.key));
  else {
    await checkRoom(dataDirectory);
    const name = hostLabel(systemHostName());
    try {
      await joinByInvite(code, { name, keep, clock: systemClock, signal });
    } catch (thrown) {
      if (thrown !== signal.reason) throw thrown;
      throw new NetworkError("CANCELLED", "Cancelled: this machine has not joined.", {
        cause: thrown,
      });
    }
  }
  return { networkName, inviter, wasMember };
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw fileError("write", path, thrown);
  }
}

/** An invite is good once: whether its key could be kept is to be known before it is used. */
async function checkRoom(directory: string): Promise<void> {
  const path = `${directory}/room`;
  try {
    await createPrivate(path, "x".repeat(8_192));
  } finally {
    await Deno.remove(path).catch(() => {});
  }
}

/** A network of this machine alone is left without a word: every first `up` makes one. */
async function refuseToLeave(directory: string, ring: Keyring, code: JoinCode): Promise<void> {
  const others = await othersKnown(directory);
  if (others.length === 0) return;
  const some = others.slice(0, 3).join(", ") + (others.length > 3 ? ", …" : "");
  throw new NetworkError(
    "FAILED_PRECONDITION",
    `Cannot join "${code.networkName}": this machine is in "${ring.networkName}", with ${some}. ` +
      `To leave that one for good, add --leave.` +
      // A key says nothing of those before it: who was away comes as a stranger.
      (ring.networkName === code.networkName
        ? " If it is the same, whose key was changed while this machine was away, do that, too."
        : ""),
  );
}

/** The labels of nodes that this machine's nodes have met and that are not its own. */
async function othersKnown(directory: string): Promise<string[]> {
  const nodes = `${directory}/nodes`;
  const own = new Set<string>();
  const met = new Set<string>();
  try {
    for await (const { name, isDirectory } of Deno.readDir(nodes)) {
      if (!isDirectory) continue;
      own.add(name);
      const path = `${nodes}/${name}/known_nodes.json`;
      const known = await KnownNodes.open({ path, clock: systemClock, logger: silentLogger });
      for (const { nodeId } of known.list()) met.add(nodeId);
    }
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return [];
    throw new NetworkError(
      "FAILED_PRECONDITION",
      `Cannot see which network this machine is in: ${
        describeError(thrown)
      }. To leave it anyway, ` +
        `add --leave.`,
      { cause: thrown },
    );
  }
  return [...met.difference(own)].sort();
}
