/** Tools: functions that agents call, with parameters that are checked before the call. */

import type { JsonValue } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { isLabel } from "../base/safe_text.ts";
import { faultsOf, type StandardSchema } from "../base/standard_schema.ts";

/** What a tool's handler is given beside its arguments. */
export interface ToolContext {
  /** Aborts when the run that called the tool is cancelled or out of time. */
  signal: AbortSignal;
}

/** A JSON Schema (https://json-schema.org), as it is told to models. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** What {@linkcode createTool} takes. */
export interface ToolOptions<Arguments> {
  /** A label: letters, digits, `.`, `_` and `-`, 63 at most. */
  name: string;
  /** What the tool does, for people and models. */
  description: string;
  /** The schema of its arguments; without one it takes any JSON. */
  parameters?: StandardSchema<Arguments>;
  /**
   * What models are told of its arguments, where that is not what `parameters` says of itself: of a
   * tool that is elsewhere and checks its arguments there.
   */
  inputSchema?: JsonSchema;
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
  /** What models are told of the arguments; by default what `parameters` says of itself. */
  readonly inputSchema?: JsonSchema;
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
  const { name, description, parameters, inputSchema, handler } = options;
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
    ...(inputSchema === undefined ? {} : { inputSchema }),
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
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot call tool "${tool}": ${
      faultsOf(checked.issues)
    }. Pass arguments that fit its parameters.`,
  );
}
