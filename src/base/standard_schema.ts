/** Schemas of whatever library, as far as they are used here. */

import { NetworkError } from "./errors.ts";
import { safeText } from "./safe_text.ts";

/** More faults of one value than this help nobody. */
const MAX_FAULTS = 10;

/**
 * The part of Standard Schema (https://standardschema.dev) that is used here. Schemas of zod,
 * valibot, arktype and others satisfy it as they are.
 */
export interface StandardSchema<Output = unknown, Input = unknown> {
  /** What a schema shows of itself. */
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (
      value: unknown,
    ) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
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

/** What is wrong with a value, in one line: where it is, and why. */
export function faultsOf(issues: readonly StandardIssue[]): string {
  return issues.slice(0, MAX_FAULTS).map(({ path = [], message }) => {
    const where = path.map((step) => String(typeof step === "object" ? step.key : step)).join(".");
    return safeText(where === "" ? message : `${where}: ${message}`);
  }).join("; ");
}

/**
 * What a schema says of a value, at once.
 *
 * @param action What cannot be done otherwise, for the error: `set "x"`.
 * @throws {NetworkError} `INVALID_ARGUMENT` when the schema has to wait for something.
 */
export function checkNow<Output>(
  schema: StandardSchema<Output>,
  value: unknown,
  action: string,
): StandardResult<Output> {
  const result = schema["~standard"].validate(value);
  if (!("then" in result)) return result;
  // What it comes to is of no use any more.
  result.then(() => {}, () => {});
  throw new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot ${action}: its schema is asynchronous, and what it checks is read and written at once. ` +
      "Take one that does not wait, and check the rest before you write.",
  );
}

/** What a schema may show beside its check: https://standardschema.dev/json-schema. */
interface SelfDescribing {
  readonly "~standard": {
    readonly jsonSchema?: {
      readonly input?: (options: {
        readonly target: string;
        readonly libraryOptions?: Readonly<Record<string, unknown>>;
      }) => unknown;
    };
  };
}

/**
 * The JSON Schema of what a schema takes, as it says it of itself; undefined where it says none, or
 * cannot: a date, a function.
 */
export function jsonSchemaOf(schema: StandardSchema): Record<string, unknown> | undefined {
  const { jsonSchema } = (schema as SelfDescribing)["~standard"];
  try {
    const told = jsonSchema?.input?.({
      target: "draft-2020-12",
      // zod: what has no words in JSON Schema is left open instead of refused.
      libraryOptions: { unrepresentable: "any" },
    });
    if (typeof told !== "object" || told === null) return undefined;
    // What it holds beside data, such as its own check, is nobody's business; models know no dialect.
    const { $schema: _, ...rest } = JSON.parse(JSON.stringify(told));
    return rest;
  } catch {
    return undefined;
  }
}
