/** Answers that fit a schema: how a model is asked for them, and what it has to mend. */

import { type JsonValue, parseBoundedJson } from "../../base/bounded_json.ts";
import { describeError, NetworkError } from "../../base/errors.ts";
import { faultsOf, jsonSchemaOf, type StandardSchema } from "../../base/standard_schema.ts";
import { unfenced } from "./fence.ts";
import type { ModelAnswer, ModelResponseFormat } from "./model.ts";

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** An answer, read: a value, or what is wrong. */
export type ReadOutput = { readonly value: JsonValue } | { readonly fault: string };

/** See the top of the file. */
export class StructuredOutput {
  /** What engines are to hold the model to. */
  readonly format: ModelResponseFormat;
  readonly #schema: StandardSchema;

  /**
   * @param action What cannot be done otherwise: `Cannot create agent "x"`.
   * @throws {NetworkError} `INVALID_ARGUMENT` when it is no schema, or says no JSON Schema of itself.
   */
  constructor(schema: StandardSchema, action: string) {
    const told = typeof schema?.["~standard"]?.validate === "function"
      ? jsonSchemaOf(schema)
      : undefined;
    if (told === undefined) {
      throw new NetworkError(
        "INVALID_ARGUMENT",
        `${action}: "output" is no schema that can say itself as JSON Schema. Give one of zod 4.2 ` +
          "or another library that knows Standard JSON Schema, without dates and functions.",
      );
    }
    this.#schema = schema;
    this.format = { name: "answer", schema: told as ModelResponseFormat["schema"] };
  }

  /** What a model is told that is not held to it. */
  get instructions(): string {
    return "Answer with JSON and nothing else, without a fence around it. It must fit this JSON " +
      `Schema: ${JSON.stringify(this.format.schema)}`;
  }

  /** What an answer comes to. */
  async read({ text, isCut = false }: ModelAnswer): Promise<ReadOutput> {
    if (isCut) return { fault: "it was cut off before its end" };
    let value: unknown;
    try {
      const bytes = new TextEncoder().encode(unfenced(text));
      value = parseBoundedJson(bytes, { maxBytes: MAX_ANSWER_BYTES });
    } catch (thrown) {
      return { fault: `it is no JSON (${describeError(thrown)})` };
    }
    const checked = await this.#schema["~standard"].validate(value);
    if (checked.issues !== undefined) return { fault: faultsOf(checked.issues) };
    return { value: checked.value as JsonValue };
  }
}
