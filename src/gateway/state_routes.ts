/** The routes under `/control/v1` for the shared state and its checkpoints. */

import { z } from "zod";
import type { JsonValue } from "../base/bounded_json.ts";
import { NetworkError } from "../base/errors.ts";
import { parseWith } from "../base/schema.ts";
import type { DistributedNetwork } from "../network/distributed_network.ts";
import type { StateChange } from "../state/shared_state.ts";
import { MAX_DOCUMENT_BYTES } from "../state/state_document.ts";
import type { JsonBodies } from "./json_bodies.ts";
import { LongBodies } from "./long_body.ts";
import { streamed } from "./streamed.ts";
import type { HttpAnswer, HttpRequest } from "./http/service.ts";

/** A key and what it shows: what `GET /control/v1/state?key=KEY` answers, or a list for `?prefix=`. */
export interface StateEntry {
  key: string;
  value: JsonValue;
}

/** What `POST /control/v1/state/set` takes. */
export type SetBody = StateEntry;

/** What `POST /control/v1/state/delete` takes; it answers `{ deleted }`. */
export interface DeleteBody {
  key: string;
}

/** What `POST /control/v1/state/add` takes; it answers a {@linkcode StateEntry}. */
export interface AddBody {
  key: string;
  /** By how much; by default 1. */
  by?: number;
}

/** What `POST /control/v1/state/append` takes; it answers a {@linkcode StateEntry}. */
export interface AppendBody {
  key: string;
  items: JsonValue[];
}

/** A line of the answer to `GET /control/v1/state/watch`, after a first one that is empty. */
export type StateChangeLine = Omit<StateChange, "value" | "previous"> & {
  /** Absent when the key was deleted. */
  value?: JsonValue;
  previous?: JsonValue;
};

/** What `POST /control/v1/checkpoints/save`, `restore` and `delete` take. */
export interface CheckpointBody {
  name: string;
}

const checkpointSchema: z.ZodType<CheckpointBody> = z.strictObject({ name: z.string() });
const keySchema = z.string();
// What they hold is checked where they are kept.
const valueSchema = z.any().refine((value) => value !== undefined, "a value is missing");
const setSchema: z.ZodType<SetBody> = z.strictObject({ key: keySchema, value: valueSchema });
const deleteSchema: z.ZodType<DeleteBody> = z.strictObject({ key: keySchema });
const addSchema: z.ZodType<AddBody> = z.strictObject({
  key: keySchema,
  by: z.number().optional(),
});
const appendSchema: z.ZodType<AppendBody> = z.strictObject({
  key: keySchema,
  items: z.array(z.any()).min(1),
});

/** A route: what it answers to a request. */
export type StateRoute = (request: HttpRequest, ending: AbortSignal) => Promise<HttpAnswer>;

/** The routes of `network`. */
export function stateRoutes(
  network: DistributedNetwork,
  bodies: JsonBodies,
): Record<string, StateRoute> {
  const documents = new LongBodies(MAX_DOCUMENT_BYTES);
  const read = async <T>(request: HttpRequest, schema: z.ZodType<T>): Promise<T> =>
    parseWith(schema, await bodies.read(request), "INVALID_ARGUMENT", "Cannot read the body");
  const entry = (key: string): StateEntry => {
    const value = network.state.get(key);
    if (value !== undefined) return { key, value };
    throw new NetworkError(
      "NOT_FOUND",
      `The shared state has no ${JSON.stringify(key)}. See: hanzo-network state list`,
    );
  };
  return {
    // deno-lint-ignore require-await
    "GET /control/v1/state": async ({ url }) => {
      const { searchParams } = url;
      const key = searchParams.get("key");
      if (key !== null) return Response.json(entry(key));
      const entries = network.state.entries(searchParams.get("prefix") ?? "");
      return Response.json(entries.map(([key, value]): StateEntry => ({ key, value })));
    },
    "POST /control/v1/state/set": async (request) => {
      const { key, value } = await read(request, setSchema);
      await network.state.set(key, value);
      return Response.json({ key, value } satisfies StateEntry);
    },
    "POST /control/v1/state/delete": async (request) => {
      const { key } = await read(request, deleteSchema);
      return Response.json({ deleted: await network.state.delete(key) });
    },
    "POST /control/v1/state/add": async (request) => {
      const { key, by } = await read(request, addSchema);
      return Response.json({ key, value: await network.state.increment(key, by) });
    },
    "POST /control/v1/state/append": async (request) => {
      const { key, items } = await read(request, appendSchema);
      await network.state.append(key, ...items);
      return Response.json(entry(key));
    },
    // Whole before it is sent: a client that reads slowly holds nothing up.
    "GET /control/v1/state/export": async () =>
      new Response(await network.exportState(), {
        headers: { "content-type": "application/json" },
      }),
    "POST /control/v1/state/import": (request) =>
      documents.use(request, async (document) => {
        const { searchParams } = request.url;
        const options = {
          replace: searchParams.has("replace"),
          dryRun: searchParams.has("dry-run"),
        };
        return Response.json(await network.importState(document, options));
      }),
    "GET /control/v1/checkpoints": async () => Response.json(await network.listCheckpoints()),
    "POST /control/v1/checkpoints/save": async (request) => {
      const { name } = await read(request, checkpointSchema);
      return Response.json(await network.checkpoint(name));
    },
    "POST /control/v1/checkpoints/restore": async (request) => {
      const { name } = await read(request, checkpointSchema);
      return Response.json(await network.restore(name));
    },
    "POST /control/v1/checkpoints/delete": async (request) => {
      const { name } = await read(request, checkpointSchema);
      return Response.json({ deleted: await network.deleteCheckpoint(name) });
    },
    // deno-lint-ignore require-await
    "GET /control/v1/state/watch": async ({ url }, ending) => {
      const prefix = url.searchParams.get("prefix") ?? "";
      return streamed(changeLines(network, prefix, ending), "application/x-ndjson");
    },
  };
}

async function* changeLines(
  network: DistributedNetwork,
  prefix: string,
  ending: AbortSignal,
): AsyncGenerator<string, void, void> {
  const changes = network.state.subscribe(prefix, { signal: ending });
  // So that a client knows that nothing is missed from now on.
  yield "\n";
  for await (const change of changes) {
    yield `${JSON.stringify(change satisfies StateChangeLine)}\n`;
  }
}
