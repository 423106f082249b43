/** Tools: functions that agents call, with parameters that are checked before the call. */

import type { JsonValue } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { isLabel } from "../base/safe_text.ts";

/**
 * The part of Standard Schema (https://standardschema.dev) that is used here. Schemas of zod,
 * valibot, arktype and others satisfy it as they are.
 */
export interface StandardSchema<Output = unknown> {
  /** What a schema shows of itself. */
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (
      value: unknown,
    ) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** What a {@linkcode StandardSchema} says of a value. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** One thing that is wrong with a value, and where in it. */
export interface StandardIssue {
  /** What is wrong. */
  readonly message: string;
  /** Where in the value; empty or absent for all of it. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a tool's handler is given beside its arguments. */
export interface ToolContext {
  /** Aborts when the run that called the tool is cancelled or out of time. */
  signal: AbortSignal;
}

/** What {@linkcode createTool} takes. */
export interface ToolOptions<Arguments> {
  /** A label: letters, digits, `.`, `_` and `-`, 63 at most. */
  name: string;
  /** What the tool does, for people and models. */
  description: string;
  /** The schema of its arguments; without one it takes any JSON. */
  parameters?: StandardSchema<Arguments>;
  /** Does the work. What it throws fails the call with its message. */
  handler: (args: Arguments, context: ToolContext) => JsonValue | Promise<JsonValue>;
}

/** A tool that an agent can call. */
export interface Tool {
  /** A label, unique in its agent. */
  readonly name: string;
  /** What it does, for people and models. */
  readonly description: string;
  /** The schema of the arguments, if one was given. */
  readonly parameters?: StandardSchema;
  /**
   * Checks the arguments and calls the handler.
   *
   * @throws {NetworkError} `INVALID_ARGUMENT` naming each argument that does not fit.
   */
  call(args: unknown, context: ToolContext): Promise<JsonValue>;
}

/**
 * Makes a tool.
 *
 * @example A tool with checked arguments
 * ```ts
 * import { createTool } from "@hanzo/network";
 * import { z } from "zod";
 * import { assertEquals } from "@std/assert";
 *
 * const add = createTool({
 *   name: "add",
 *   description: "Adds two numbers",
 *   parameters: z.object({ a: z.number(), b: z.number() }),
 *   handler: ({ a, b }) => a + b,
 * });
 * assertEquals(await add.call({ a: 1, b: 2 }, { signal: new AbortController().signal }), 3);
 * ```
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when the name is not a label.
 */
export function createTool<Arguments = JsonValue>(options: ToolOptions<Arguments>): Tool {
  const { name, description, parameters, handler } = options;
  if (!isLabel(name)) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot create tool ${JSON.stringify(name)}: a name is 1 to 63 letters, digits, ".", "_" ` +
        `or "-", and begins with a letter or digit.`,
    );
  }
  return Object.freeze({
    name,
    description,
    ...(parameters === undefined ? {} : { parameters }),
    async call(args: unknown, context: ToolContext): Promise<JsonValue> {
      const checked = parameters === undefined
        ? args as Arguments
        : await checkArguments(name, parameters, args);
      return await handler(checked, context);
    },
  });
}

async function checkArguments<Arguments>(
  tool: string,
  schema: StandardSchema<Arguments>,
  args: unknown,
): Promise<Arguments> {
  const checked = await schema["~standard"].validate(args);
  if (checked.issues === undefined) return checked.value;
  const issues = checked.issues.map(({ path = [], message }) => {
    const where = path.map((step) => String(typeof step === "object" ? step.key : step)).join(".");
    return where === "" ? message : `${where}: ${message}`;
  });
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot call tool "${tool}": ${issues.join("; ")}. Pass arguments that fit its parameters.`,
  );
}
