/** Values from outside, checked by a schema. */

import type { z } from "zod";
import { type ErrorCode, NetworkError } from "./errors.ts";
import { safeText } from "./safe_text.ts";

/** More faults of one value than this help nobody. */
const MAX_FAULTS = 10;

/**
 * The value as the schema has it.
 *
 * @param action What cannot be done otherwise: `Cannot read the peer's answer`.
 * @throws {NetworkError} With `code`, naming the fields that do not fit and what would.
 */
export function parseWith<T>(
  schema: z.ZodType<T>,
  value: unknown,
  code: ErrorCode,
  action: string,
): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.slice(0, MAX_FAULTS).map(({ path, message }) =>
    safeText(path.length === 0 ? message : `${path.join(".")}: ${message}`)
  );
  throw new NetworkError(code, `${action}: ${faults.join("; ")}.`);
}
