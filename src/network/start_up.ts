/** The steps of a node's start. */

import { every } from "../base/clock.ts";
import { describeError, NetworkError } from "../base/errors.ts";
import type { PeerEvent } from "../membership/peer.ts";
import { onFirstFreePort } from "../transport/first_free_port.ts";
import { missingPermissions } from "./missing_permissions.ts";
import { DEFAULT_LISTEN_PORT, leavesMachine, type ResolvedOptions } from "./options.ts";
import type { NetworkParts } from "./parts.ts";

/** How long the start waits for the device to be known; what is known later is told later. */
export const DETECTION_PATIENCE_MS = 100;

/** Says which permissions were not granted, and what the node therefore does without. */
export function warnOfMissingPermissions(options: ResolvedOptions): void {
  // What comes of it that there may be no files is told where the key would be kept.
  const needs = { lan: leavesMachine(options), dataDirectory: undefined };
  const missing = missingPermissions(needs);
  if (missing.length === 0) return;
  options.logger.warn("Not everything is permitted: {list}", {
    list: missing.map(({ flag, without }) => `without ${flag} ${without}`).join("; "),
  });
}

/** Looks at the device; resolves when it is known and told, or why it is not is logged. */
export async function detectDevice({ detect, describe, options }: NetworkParts): Promise<void> {
  try {
    describe({ capabilities: await detect() });
  } catch (thrown) {
    options.logger.warn("The device is unknown: {reason}", { reason: describeError(thrown) });
  }
}

/** Between two looks at what holds the device back. */
const CONDITION_MS = 60_000;
/** A battery that drains is told in steps of so many percent. */
const BATTERY_STEP = 5;

/**
 * Tells peers what holds the device back, from now on and whenever it changes.
 *
 * @returns Ends that; resolves when no tool is asked any more.
 */
export function watchCondition(
  { readCondition, describe, self, clock }: NetworkParts,
): () => Promise<void> {
  let isOver = false;
  const look = async () => {
    const read = await readCondition();
    const { batteryPercent } = read;
    const condition = {
      ...read,
      batteryPercent: batteryPercent && Math.ceil(batteryPercent / BATTERY_STEP) * BATTERY_STEP,
    };
    const isSame = JSON.stringify(condition) === JSON.stringify(self().condition);
    if (!isOver && !isSame) describe({ condition });
  };
  let looking = look();
  const cancel = every(clock, CONDITION_MS, () => void (looking = look()));
  return () => {
    isOver = true;
    cancel();
    return looking;
  };
}

/**
 * Accepts links, on the port that was asked for or on the first free one from the default.
 *
 * @throws {NetworkError} `PORT_IN_USE` when it is taken, or none is free.
 */
export async function listen(
  { pool, listenHost: host, options: { listenPort, logger } }: NetworkParts,
): Promise<{ port: number }> {
  if (listenPort !== undefined) return await pool.listen({ host, port: listenPort });
  const address = await onFirstFreePort(
    DEFAULT_LISTEN_PORT,
    (port) => pool.listen({ host, port }),
  );
  if (address.port !== DEFAULT_LISTEN_PORT) {
    logger.info("Port {taken} is taken; links are accepted on {port}", {
      taken: DEFAULT_LISTEN_PORT,
      port: address.port,
    });
  }
  return address;
}

/**
 * Resolves when so many peers are alive.
 *
 * @param events What becomes of peers since before the first one came; ended when time is up.
 * @throws {NetworkError} `DEADLINE_EXCEEDED` when time is up, `CANCELLED` when the node is stopped.
 */
export async function peersAlive(
  { clock, membership }: NetworkParts,
  count: number,
  timeoutMs: number,
  events: AsyncIterableIterator<PeerEvent>,
): Promise<void> {
  const alive = () => membership.peers().filter(({ state }) => state === "alive").length;
  let timedOut = false;
  const cancel = clock.after(timeoutMs, () => {
    timedOut = true;
    void events.return!();
  });
  try {
    while (alive() < count) {
      const { done } = await events.next();
      if (!done) continue;
      throw timedOut
        ? new NetworkError(
          "DEADLINE_EXCEEDED",
          `Cannot start the network with ${count} peers: ${alive()} came within ` +
            `${timeoutMs} ms. Are the others running, with the same name and broadcast port?`,
        )
        : new NetworkError("CANCELLED", "The network was stopped while it waited for peers.");
    }
  } finally {
    cancel();
  }
}
