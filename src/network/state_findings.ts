/** What the doctor makes of the shared state of a node. */

import type { Finding } from "./diagnosis_facts.ts";
import type { SharedStateStatus } from "./status.ts";

/** From this part of what it may take on, somebody should do something. */
const NEARLY_FULL = 0.9;

/** What is found; nothing before the start. */
export function aboutState(state: SharedStateStatus | null): Finding[] {
  if (state === null) return [];
  const { path, keys, bytes, maxBytes, differing, checkpointProblem, damagedPath } = state;
  const subject = "shared state";
  const found: Finding[] = [
    path === null
      ? {
        severity: "info",
        subject,
        message: `${keys} keys, in memory: what only this node has ends with it`,
        mend:
          "for a file of its own it needs a key, a node id and a data directory that it may use",
      }
      : { severity: "ok", subject, message: `${keys} keys in ${path}` },
  ];
  if (bytes >= NEARLY_FULL * maxBytes) {
    const isFull = bytes >= maxBytes;
    found.push({
      severity: isFull ? "error" : "warning",
      subject,
      message: `it takes ${bytes} bytes of at most ${maxBytes}: ` +
        (isFull ? "nothing can be added" : "soon nothing can be added"),
      mend: "delete what nobody needs any more; what is large belongs into files",
    });
  }
  if (damagedPath !== null) {
    found.push({
      severity: "warning",
      subject,
      message: `its file was damaged, and put aside as ${damagedPath}`,
      mend:
        "what others had has come back from them; look at a checkpoint for the rest, and remove " +
        "that file",
    });
  }
  if (checkpointProblem !== null) {
    found.push({
      severity: "warning",
      subject,
      message: `no checkpoint by interval could be made: ${checkpointProblem}`,
    });
  }
  if (differing.length > 0) {
    found.push({
      severity: "warning",
      subject,
      message: `not like that of ${differing.join(", ")} for more than half a minute`,
      mend: "the logs of both say why; where much is written all the time, nothing is wrong",
    });
  }
  return found;
}
