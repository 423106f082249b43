/** Asking one tool one question: what came of it, or why nothing did. */

import type { CommandRunner } from "./command.ts";
import type { GpuVendor } from "./gpu.ts";
import { parseBoundedJson } from "../base/bounded_json.ts";
import type { Clock } from "../base/clock.ts";
import { describeError, type ErrorCode, NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";

/**
 * A figure with where it came from, or the reason why it is missing, and whether that is that a
 * permission was not granted.
 */
export type Finding<T extends NonNullable<unknown>> =
  | {
    readonly value: T;
    readonly source: string;
    readonly reason?: undefined;
    readonly isForbidden?: undefined;
  }
  | { readonly value: null; readonly reason: string; readonly isForbidden?: true };

/** What a probe needs. */
export interface ProbeContext {
  readonly run: CommandRunner;
  readonly clock: Clock;
  /** For each command, in milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** A GPU as a tool found it, before the table of chips is asked. */
export interface FoundGpu {
  readonly name: string;
  readonly vendor: GpuVendor;
  /** Memory of its own in MB. */
  readonly memory: number | null;
  /** Whether it shares the RAM; `null` when the tool does not say. */
  readonly unified: boolean | null;
  /** The command that found it. */
  readonly source: string;
  /** Why `memory` is `null`, when that is not because it shares the RAM. */
  readonly memoryReason?: string;
}

/** One command, and what its output means. */
export interface Question<T extends NonNullable<unknown>> {
  readonly command: string;
  readonly args: readonly string[];
  /** What to do when there is no such command, such as `it comes with the NVIDIA driver`. */
  readonly hint: string;
  /** Reads the output; `null` when it cannot be read. Must not throw. */
  readonly parse: (stdout: string) => T | null;
}

// The runner keeps the time; this is for one that does not, such as a test's that never answers.
const LATE_MS = 250;

/** `Promise.all` that waits for the others when one fails: no command is left behind. */
export async function allOf<T extends readonly unknown[]>(
  work: readonly [...{ [K in keyof T]: Promise<T[K]> }],
): Promise<T> {
  await Promise.allSettled(work);
  return await Promise.all(work) as unknown as T;
}

/**
 * Runs the command and reads what it prints. It rejects only when the signal aborts, with
 * `CANCELLED`.
 */
export async function ask<T extends NonNullable<unknown>>(
  context: ProbeContext,
  question: Question<T>,
): Promise<Finding<T>> {
  const { run, clock, timeoutMs, signal } = context;
  const { command, args, hint, parse } = question;
  const late = Promise.withResolvers<never>();
  const cancelTimer = clock.after(
    timeoutMs + LATE_MS,
    () => late.reject(new NetworkError("DEADLINE_EXCEEDED", "late")),
  );
  try {
    const { code, stdout } = await Promise.race([
      run(command, args, signal === undefined ? { timeoutMs } : { timeoutMs, signal }),
      late.promise,
    ]);
    if (code !== 0) {
      const said = safeName(stdout.trim().split("\n", 1)[0]);
      return missing(`${command} failed with exit code ${code}${said === "" ? "" : `: ${said}`}`);
    }
    const value = parse(stdout);
    if (value === null) return missing(`the output of ${command} could not be read`);
    return { value, source: [command, ...args].join(" ") };
  } catch (error) {
    if (signal?.aborted) {
      throw new NetworkError("CANCELLED", `Cannot use ${command}: the caller gave up.`, {
        cause: error,
      });
    }
    const found = missing(reasonOf(error, command, timeoutMs, hint));
    return codeOf(error) === "PERMISSION_DENIED" ? { ...found, isForbidden: true } : found;
  } finally {
    cancelTimer();
  }
}

/** A figure that could not be had. */
export function missing(reason: string): { readonly value: null; readonly reason: string } {
  return { value: null, reason };
}

function codeOf(error: unknown): ErrorCode | undefined {
  return error instanceof NetworkError ? error.code : undefined;
}

function reasonOf(error: unknown, command: string, timeoutMs: number, hint: string): string {
  switch (codeOf(error)) {
    case "NOT_FOUND":
      return `${command} is not installed or not on the PATH (${hint})`;
    case "PERMISSION_DENIED":
      return `running ${command} is not allowed; grant it with --allow-run=${command}`;
    case "DEADLINE_EXCEEDED":
      return `${command} did not answer within ${timeoutMs} ms`;
    default:
      return `${command} could not be run: ${describeError(error)}`;
  }
}

const encoder = new TextEncoder();

/** The JSON object in a tool's output, which may have warnings before and after it. */
export function jsonObjectIn(stdout: string): Record<string, unknown> | null {
  const from = stdout.indexOf("{");
  const to = stdout.lastIndexOf("}");
  if (from < 0 || to < from) return null;
  try {
    const bytes = encoder.encode(stdout.slice(from, to + 1));
    return asRecord(parseBoundedJson(bytes, { maxBytes: bytes.length }));
  } catch {
    return null;
  }
}

/** The value as an object, when it is one. */
export function asRecord(value: unknown): Record<string, unknown> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as Record<string, unknown>
    : null;
}

/** The value as a list; a single value is a list of one, nothing an empty one. */
export function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : value === undefined || value === null ? [] : [value];
}

/** The value as a name that is fit to be shown, or `null` when it is none. */
export function asName(value: unknown): string | null {
  const name = typeof value === "string" ? safeName(value) : "";
  return name === "" || /^\[?n\/?a\]?$/i.test(name) ? null : name;
}

/** A finite number, 0 or more, given as one or as decimal digits. */
export function asFigure(value: unknown): number | null {
  const number = typeof value === "number"
    ? value
    : typeof value === "string" && /^\s*\d+(?:\.\d+)?\s*$/.test(value)
    ? Number(value)
    : NaN;
  return Number.isFinite(number) && number >= 0 ? number : null;
}

/** Bytes as whole MB (2²⁰ bytes). */
export function megabytes(bytes: number | null): number | null {
  return bytes === null ? null : Math.round(bytes / 2 ** 20);
}
