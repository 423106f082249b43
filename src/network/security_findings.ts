/** What a node finds about who may talk to it, and who tried and may not. */

import type { RefusalReason } from "../link/refusals.ts";
import type { DiagnosisFacts, Finding } from "./diagnosis_facts.ts";

/** Of an identity, for people: enough to tell their devices apart. */
const SHORT = 16;

/** By what links are secured, and what was refused where they are accepted. */
export function aboutSecurity(
  { status, refused }: Pick<DiagnosisFacts, "status" | "refused">,
): Finding[] {
  const reasons = Object.entries(refused ?? {}) as [
    RefusalReason,
    { count: number; host: string },
  ][];
  return [
    aboutMode(status),
    ...reasons.filter(([, { count }]) => count > 0).map(([reason, { count, host }]): Finding => ({
      subject: "strangers",
      ...REFUSALS[reason](count === 1 ? "a connection" : `${count} connections`, host),
    })),
  ];
}

function aboutMode({ security: { mode, keyTag, identity } }: DiagnosisFacts["status"]): Finding {
  const subject = "security";
  const who = `this node is ${identity?.slice(0, SHORT)}`;
  if (mode === "open") {
    return {
      severity: "warning",
      subject,
      message: "this node is open: nothing is encrypted, and anybody near can pretend to be a node",
      mend: "start it without --open, and let the others join: hanzo-network invite",
    };
  }
  return {
    severity: "ok",
    subject,
    message: mode === "keyed"
      ? `links are encrypted and authenticated by the network key ${keyTag}; ${who}`
      : `links are encrypted and authenticated by your own certificates; ${who}`,
  };
}

type Told = Pick<Finding, "severity" | "message" | "mend">;

const REFUSALS: Record<RefusalReason, (what: string, host: string) => Told> = {
  stranger: (what, host) => ({
    severity: "info",
    message: `${what} showed no certificate of this network, the last from ${host}`,
    mend: "if that is a device of yours, let it join: hanzo-network invite here",
  }),
  "not-admitted": (what, host) => ({
    severity: "warning",
    message: `${what} came with a key that does not count any more, the last from ${host}`,
    mend: "an evicted node tries that; a device that was away for long has to join again",
  }),
  slow: (what, host) => ({
    severity: "info",
    message: `${what} did not say in time who is there, the last from ${host}`,
  }),
  crowd: (what, host) => ({
    severity: "warning",
    message: `${what} had to go because too many had not said who is there, the last from ${host}`,
    mend: "if that goes on, find out what that host does",
  }),
  flood: (what, host) => ({
    severity: "warning",
    message: `${what} sent what makes nothing but work, the last from ${host}`,
    mend: "no node does that: find out what runs there",
  }),
};
