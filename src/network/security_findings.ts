/** What a node finds about who may talk to it, and who tried and may not. */

import type { RefusalReason } from "../link/refusals.ts";
import type { DiagnosisFacts, Finding } from "./diagnosis_facts.ts";

/** Of those that refuse this node. */
const MOST_NAMED = 8;
/** Of an identity, for people: enough to tell their devices apart. */
const SHORT = 16;

/** By what links are secured, and what was refused where they are accepted. */
export function aboutSecurity(
  { status, refused, trustProblems }: Pick<DiagnosisFacts, "status" | "refused" | "trustProblems">,
): Finding[] {
  const reasons = Object.entries(refused ?? {}) as [
    RefusalReason,
    { count: number; host: string },
  ][];
  return [
    ...aboutMode(status, trustProblems),
    ...aboutRefusers(status),
    ...reasons.filter(([, { count }]) => count > 0).map(([reason, { count, host }]): Finding => {
      const what = count === 1 ? "a connection" : `${count} connections`;
      const isOwnTls = status.security.mode === "tls" && reason === "stranger";
      const tell = isOwnTls ? uncertified(status) : REFUSALS[reason];
      return { subject: "strangers", ...tell(what, host) };
    }),
  ];
}

function aboutMode(
  { security: { mode, verifiesPeers, keyTag, identity } }: DiagnosisFacts["status"],
  problems: DiagnosisFacts["trustProblems"],
): Finding[] {
  const subject = "security";
  const who = `this node is ${identity?.slice(0, SHORT)}`;
  if (mode === "open") {
    return [{
      severity: "warning",
      subject,
      message: "this node is open: nothing is encrypted, and anybody near can pretend to be a node",
      mend: "start it without --open, and let the others join: hanzo-network invite",
    }];
  }
  const found = problems.map((one): Finding => ({ ...one, subject: "certificates" }));
  if (!verifiesPeers) {
    return [...found, {
      severity: "warning",
      subject,
      message:
        "links are encrypted, with whoever comes: this node asks nobody for a certificate, " +
        "and anybody near can pretend to be a node",
      mend: "start it without --verify-peers=false",
    }];
  }
  // Nothing is well while others may refuse what this node shows.
  if (found.length > 0) return found;
  return [{
    severity: "ok",
    subject,
    message: mode === "keyed"
      ? `links are encrypted and authenticated by the network key ${keyTag}; ${who}`
      : `links are encrypted and authenticated by your own certificates; ${who}`,
  }];
}

/** Who refuses this node; one finding for each reason, however many they are. */
function aboutRefusers({ nodeId, refusedBy, security }: DiagnosisFacts["status"]): Finding[] {
  return Object.entries(Object.groupBy(refusedBy, ({ code }) => code)).map(([code, refusers]) => {
    const who = refusers.slice(0, MOST_NAMED).map((one) => one.nodeId ?? one.address).join(", ");
    const more = refusers.length > MOST_NAMED ? ` and ${refusers.length - MOST_NAMED} more` : "";
    const told = `${who}${more} ${refusers.length === 1 ? "refuses" : "refuse"} this node`;
    const [severity, subject] = ["error" as const, `this node, ${nodeId}`];
    if (code !== "NAME_CONFLICT") {
      return { severity, subject, message: `${told}: ${refusers[0].reason}` };
    }
    return {
      severity,
      subject,
      message: `${told} (NAME_CONFLICT): another node has its label there`,
      mend: "start this one with another --node-id" +
        (security.mode !== "keyed"
          ? ""
          : `; if it is the same device, set up anew, let it be forgotten there: hanzo-network key ` +
            `forget ${nodeId}`),
    };
  });
}

type Told = Pick<Finding, "severity" | "message" | "mend">;

/** Strangers where an authority of the operator's decides: nobody can be invited there. */
function uncertified({ security: { verifiesPeers } }: DiagnosisFacts["status"]) {
  return (what: string, host: string): Told => ({
    severity: "info",
    message: verifiesPeers
      ? `${what} showed no certificate that an authority in --tls-ca has issued and that is valid ` +
        `now, the last from ${host}`
      : `${what} spoke no TLS, the last from ${host}`,
    mend: verifiesPeers
      ? "if that is a device of yours, both certificates must be issued by an authority in the " +
        "other's --tls-ca: look at doctor on both"
      : "if that is a device of yours, start it with certificates, too",
  });
}

const REFUSALS: Record<RefusalReason, (what: string, host: string) => Told> = {
  stranger: (what, host) => ({
    severity: "info",
    message: `${what} showed no certificate of this network, the last from ${host}`,
    mend: "if that is a device of yours, let it join: hanzo-network invite here",
  }),
  "not-admitted": (what, host) => ({
    severity: "info",
    message: `${what} came with a key that does not count any more, the last from ${host}`,
    mend:
      "an evicted node tries that, and nothing needs doing; a device that was away has to join " +
      "again",
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
