/** What the doctor finds about the engines of this device. */

import { ENGINE_NAMES, type EngineStatus } from "../engines/engine_watch.ts";
import type { Finding } from "./diagnosis_facts.ts";

/** A place where nothing is, and nobody has said that there is, is not worth a line. */
export function aboutEngines(engines: readonly EngineStatus[]): Finding[] {
  if (engines.length === 0) return [];
  const found = engines.flatMap(aboutEngine);
  if (engines.some(({ state }) => state === "found" || state === "unknown")) return found;
  const ports = engines.filter(({ configured }) => !configured).map(({ url }) => new URL(url).port);
  return [...found, {
    severity: "info",
    subject: "engines",
    message: "this device has no engine of models" +
      (ports.length === 0 ? "" : `: none answers on its ports ${ports.join(", ")}`),
    mend: "start one, or name where it is: hanzo-network up --engine URL",
  }];
}

function aboutEngine({ url, kind, state, version, models, configured, note }: EngineStatus) {
  const subject = `engine ${url}`;
  const finding = (severity: Finding["severity"], message: string, mend?: string): Finding[] => [
    { severity, subject, message, ...(mend !== undefined && { mend }) },
  ];
  switch (state) {
    case "found": {
      const what = `${ENGINE_NAMES[kind!]}${version === null ? "" : ` ${version}`}`;
      const has = `${what} has ${models} model${models === 1 ? "" : "s"}`;
      return finding("ok", note === null ? has : `${has}; ${note}`);
    }
    case "unknown":
      return [];
    case "absent":
      return configured
        ? finding("warning", "nobody answers there", "start it, or leave out its --engine")
        : [];
    case "foreign":
      return configured
        ? finding("warning", `what answers there is no engine: ${note}`, "is its URL right?")
        : finding("info", `what answers on this port is no engine, and is left alone: ${note}`);
    case "locked":
      return finding(configured ? "warning" : "info", note ?? "it wants a key");
    case "failing":
      return finding(
        configured || kind !== null ? "warning" : "info",
        note ?? "it does not answer",
      );
  }
}
