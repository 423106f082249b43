/** What peers send over their links: calls, what they say of themselves, rumours. */

import { NetworkError } from "../base/errors.ts";
import type { IncomingCall } from "../link/call.ts";
import type { Membership } from "../membership/membership.ts";
import { type NodeDescription, parseNodeDescription } from "../membership/node_description.ts";
import { parseRumour } from "../membership/rumour.ts";
import type { Executor } from "../tasks/executor.ts";
import { RUN_METHOD, serveRun } from "../tasks/remote.ts";

/**
 * Answers a call that runs a task, the only one beside those that others have taken.
 *
 * @param acceptsTasks Whether tasks of others are run here.
 */
export function serveCall(
  call: IncomingCall,
  executor: Executor,
  acceptsTasks: boolean,
  caller: string,
): void {
  if (call.method !== RUN_METHOD) {
    return call.fail(new NetworkError("NOT_FOUND", `There is no call "${call.method}" here.`));
  }
  if (!acceptsTasks) {
    return call.fail(
      new NetworkError(
        "PERMISSION_DENIED",
        "This node runs no tasks of others: it does not know who they are, and was started without " +
          "--open-accept-tasks.",
      ),
    );
  }
  serveRun(call, executor, caller);
}

/** Believes what a peer says of itself; of nobody else it may speak. */
export function takeDescription(
  body: Uint8Array,
  peer: NodeDescription,
  membership: Membership,
): void {
  let description: NodeDescription;
  try {
    description = parseNodeDescription(body);
  } catch {
    return;
  }
  const { nodeId, bootId } = peer;
  if (description.nodeId === nodeId && description.bootId === bootId) {
    membership.described(description);
  }
}

/** Passes on what a peer has heard of others. */
export function takeRumour(body: Uint8Array, peer: NodeDescription, membership: Membership): void {
  try {
    membership.heardRumour(peer, parseRumour(body));
  } catch {
    // What cannot be read says nothing.
  }
}
