/** Where the log of a node goes: to stderr, as lines for people or as JSON for programs. */

import { configure, getJsonLinesFormatter, getLogger, getTextFormatter } from "@logtape/logtape";
import type { Logger } from "../base/log.ts";

/** What `--log-level` takes, the most talkative first. */
export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;

/** One of {@linkcode LOG_LEVELS}. */
export type LogLevel = (typeof LOG_LEVELS)[number];

const encoder = new TextEncoder();

/** The log of this process. */
export async function stderrLogger(level: LogLevel, json: boolean): Promise<Logger> {
  const format = json ? getJsonLinesFormatter() : getTextFormatter({ timestamp: "time" });
  await configure({
    sinks: { stderr: (record) => void Deno.stderr.writeSync(encoder.encode(format(record))) },
    loggers: [
      { category: "hanzo-network", lowestLevel: level, sinks: ["stderr"] },
      // The library's own notices, but not that it was configured.
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["stderr"] },
    ],
  });
  return getLogger("hanzo-network");
}
