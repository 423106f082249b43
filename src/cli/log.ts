/** The log of a node, as lines for people or as JSON for programs. */

import {
  configure,
  getJsonLinesFormatter,
  getLogger,
  getTextFormatter,
  type LogRecord,
} from "@logtape/logtape";
import type { Logger } from "../base/log.ts";
import { safeJson, safeName } from "../base/safe_text.ts";

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
  const format = json ? jsonFormat() : getTextFormatter({ timestamp: "time", value: showValue });
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

/** A text of more characters is cut in a line for people. */
const MOST_TEXT = 4_000;

/** Texts stand in a message as they are: its author has put quotes around them, or none. */
function showValue(value: unknown): string {
  if (typeof value !== "string") return Deno.inspect(value);
  // A newline parts words as a blank does: what comes from outside begins no line of the log.
  return safeName(value.replaceAll(/\s+/g, " "), MOST_TEXT);
}

/** As the library's, whose messages have quotes around every text that is put into them. */
function jsonFormat(): (record: LogRecord) => string {
  const format = getJsonLinesFormatter();
  return (record) => {
    const message = record.message.map((part) =>
      typeof part === "string" ? part : Deno.inspect(part)
    ).join("");
    return safeJson(format({ ...record, message: [message] }));
  };
}
