/** What went wrong with an MCP server, in a line. */

import { describeError } from "../../base/errors.ts";
import { safeLine } from "../../base/safe_text.ts";

/** Of what a server says so much is told: it may be a page. */
const MAX_LENGTH = 300;

/** The reason of a failure of the protocol's library, with the status where HTTP had one. */
export function reasonOf(thrown: unknown): string {
  const status = statusOf(thrown);
  const reason = safeLine(describeError(thrown)).slice(0, MAX_LENGTH);
  return status === undefined ? reason : `${reason} (status ${status})`;
}

/** The status with which a server over HTTP has refused. */
export function statusOf(thrown: unknown): number | undefined {
  const { status } = (thrown ?? {}) as { status?: unknown };
  return typeof status === "number" ? status : undefined;
}
