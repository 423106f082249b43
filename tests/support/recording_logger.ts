/** A log that the test can read. */

import type { Logger } from "../../src/base/log.ts";

/** What was logged, as a person would read it: `{name}` replaced by the property. */
export interface RecordingLogger {
  readonly logger: Logger;
  lines(level: keyof Logger): string[];
}

/** Makes a log that the test can read. */
export function recordingLogger(): RecordingLogger {
  const lines: Record<keyof Logger, string[]> = { debug: [], info: [], warn: [], error: [] };
  const record =
    (level: keyof Logger) => (message: string, properties: Record<string, unknown> = {}) => {
      lines[level].push(message.replaceAll(/\{(\w+)\}/g, (_, name) => String(properties[name])));
    };
  return {
    logger: {
      debug: record("debug"),
      info: record("info"),
      warn: record("warn"),
      error: record("error"),
    },
    lines: (level) => lines[level],
  };
}
