/**
 * What the official clients do at each route, and what becomes of it at each kind of engine: run by
 * a test, which makes of it the tables of docs/MODELS.md.
 *
 * @module
 */

import type { EngineServer, RecordedRequest } from "../../../support/engines/engine_server.ts";
import type { ModelsRig } from "../models_rig.ts";

/** The kinds of engine that make a difference. */
export type EngineSide = "openai" | "ollama";

/** The official clients. */
export type ClientName = "openai" | "ollama" | "@anthropic-ai/sdk" | "ai";

/** What a case works with. */
export interface CaseContext {
  readonly rig: ModelsRig;
  readonly side: EngineSide;
  /** A model that chats. */
  readonly model: string;
  /** One that makes embeddings. */
  readonly embedder: string;
  readonly engine: EngineServer;
  /** What the engine was asked last. */
  readonly asked: () => RecordedRequest;
}

/** One thing that a client does. */
export interface Case {
  readonly feature: string;
  readonly client: ClientName;
  /** Throws where the client does not get what it should. */
  readonly run: (context: CaseContext) => Promise<void>;
  /** Where it is refused, what the client is told, and what the table says about it. */
  readonly refused?: Partial<Record<EngineSide, readonly [told: RegExp, why: string]>>;
  /** What else is to be known of it. */
  readonly note?: Partial<Record<EngineSide, string>>;
}

/** A path of the API. */
export interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly cases: readonly Case[];
}

/** What became of a case: as the table says it. */
export type Outcome = "✓ untouched" | "✓ translated" | "✓" | `– ${string}`;

/** Something that all clients show, and no two in the same way. */
export const PICTURE =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/** What a tool takes, and what an answer by a schema has. */
export const CITY = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
} as const;

/** The tables: of each route what became of each case. */
export function tables(
  routes: readonly { readonly route: Route; readonly rows: readonly Row[] }[],
): string {
  return routes.map(({ route, rows }) => {
    const clients = [...new Set(rows.map(({ client }) => `\`npm:${client}\``))].join(", ");
    const body = rows.map(({ feature, client, outcomes: { openai, ollama } }) =>
      route.method === "GET" || isOwn(rows)
        ? [feature, `\`${client}\``, openai]
        : [feature, `\`${client}\``, openai, ollama]
    );
    const head = body[0].length === 3
      ? ["What the client does", "Client", "Here"]
      : ["What the client does", "Client", "Engine of OpenAI's protocol", "Ollama"];
    return `### ${route.method} ${route.path}\n\nProved with ${clients}.\n\n${
      grid([head, ...body])
    }`;
  }).join("\n\n");
}

/** A line of a table. */
export interface Row {
  readonly feature: string;
  readonly client: ClientName;
  readonly outcomes: Readonly<Record<EngineSide, string>>;
}

/** No engine is asked. */
function isOwn(rows: readonly Row[]): boolean {
  return rows.every(({ outcomes }) => outcomes.openai === "✓" && outcomes.ollama === "✓");
}

/** As `deno fmt` has tables. */
function grid(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => [...row[i]].length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => cell + " ".repeat(widths[i] - [...cell].length)).join(" | ")} |`;
  const [head, ...body] = rows;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}
