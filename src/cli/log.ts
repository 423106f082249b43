/** The log of a node, as lines for people or as JSON for programs. */

import { configure, getJsonLinesFormatter, getLogger, getTextFormatter } from "@logtape/logtape";
import type { Logger } from "../base/log.ts";

/** What `--log-level` takes, the most talkative first. */
export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;

/** One of {@linkcode LOG_LEVELS}. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * The log of this process.
 *
 * @param write Takes each line, without its end.
 */
export async function openLog(
  level: LogLevel,
  json: boolean,
  write: (line: string) => void,
): Promise<Logger> {
  const format = json ? getJsonLinesFormatter() : getTextFormatter({ timestamp: "time" });
  await configure({
    sinks: { lines: (record) => write(format(record).trimEnd()) },
    loggers: [
      { category: "hanzo-network", lowestLevel: level, sinks: ["lines"] },
      // The library's own notices, but not that it was configured.
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["lines"] },
    ],
  });
  return getLogger("hanzo-network");
}
