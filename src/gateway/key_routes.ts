/** The routes under `/control/v1` for keys, and for letting other devices in. */

import { z } from "zod";
import { parseWith } from "../base/schema.ts";
import type { DistributedNetwork } from "../network/distributed_network.ts";
import type { JsonBodies } from "./json_bodies.ts";

/** What `POST /control/v1/invite` takes. */
export interface InviteBody {
  /** For how long it is good, in milliseconds. */
  validMs?: number;
}

/** What `POST /control/v1/keys/rotate` takes. */
export interface RotateBody {
  /** For how long the old key counts, in milliseconds. */
  graceMs?: number;
}

/** What `POST /control/v1/keys/evict` and `…/forget` take. */
export interface NodeBody {
  node: string;
}

const inviteSchema: z.ZodType<InviteBody> = z.strictObject({ validMs: z.number().optional() });
const rotateSchema: z.ZodType<RotateBody> = z.strictObject({ graceMs: z.number().optional() });
const nodeSchema: z.ZodType<NodeBody> = z.strictObject({ node: z.string().max(256) });

/** A route: what it answers to a request. */
export type KeyRoute = (request: Request) => Promise<Response>;

/**
 * The routes of `network`. None of them tells a key; an invite is a secret for minutes, and whoever
 * has the token may make one.
 */
export function keyRoutes(
  network: DistributedNetwork,
  bodies: JsonBodies,
): Record<string, KeyRoute> {
  const read = async <T>(request: Request, schema: z.ZodType<T>): Promise<T> =>
    parseWith(schema, await bodies.read(request), "INVALID_ARGUMENT", "Cannot read the body");
  const list = () => Response.json(network.keys.list());
  return {
    "POST /control/v1/invite": async (request) => {
      const { validMs } = await read(request, inviteSchema);
      const { uri, kind, expiresAt, networkName } = await network.generateJoinQr({ validMs });
      return Response.json({ uri, kind, expiresAt, networkName });
    },
    // deno-lint-ignore require-await
    "GET /control/v1/keys": async () => list(),
    "POST /control/v1/keys/rotate": async (request) => {
      await network.keys.rotate(await read(request, rotateSchema));
      return list();
    },
    "POST /control/v1/keys/evict": async (request) => {
      await network.keys.evict((await read(request, nodeSchema)).node);
      return list();
    },
    "POST /control/v1/keys/forget": async (request) => {
      await network.keys.forget((await read(request, nodeSchema)).node);
      // An open node remembers who was seen with a key, and has none itself that could be listed.
      return network.getNetworkStatus().security.mode === "keyed" ? list() : Response.json(null);
    },
  };
}
