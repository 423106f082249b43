/** The routes under `/control/v1` for keys, and for letting other devices in. */

import { z } from "zod";
import { parseWith } from "../base/schema.ts";
import type { DistributedNetwork } from "../network/distributed_network.ts";
import type { KeyList } from "../network/network_keys.ts";
import type { Eviction } from "../security/eviction.ts";
import type { JsonBodies } from "./json_bodies.ts";
import type { HttpAnswer, HttpRequest } from "./http/service.ts";

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

/** What `POST /control/v1/keys/evict` takes. */
export interface EvictBody {
  /** The labels of those that are to be out; at least one. */
  nodes: string[];
  /** The labels of those that stay whatever was seen of them. */
  keep?: string[];
  /** Only says who would be out. */
  dryRun?: boolean;
}

/** What it answers. */
export interface EvictAnswer extends KeyList {
  /** Who is out, and who stays. */
  eviction: Eviction;
}

/** What `POST /control/v1/keys/forget` takes. */
export interface NodeBody {
  node: string;
}

/** What `POST /control/v1/keys/client` takes; it answers a {@linkcode ClientCertificate}. */
export interface ClientBody {
  /** What the program is called. */
  name: string;
  /** Of the program: on P-256, as DER (SubjectPublicKeyInfo) in base64. */
  publicKey: string;
}

/** As many as can be known. */
const MAX_LABELS = 4_096;

const inviteSchema: z.ZodType<InviteBody> = z.strictObject({ validMs: z.number().optional() });
const rotateSchema: z.ZodType<RotateBody> = z.strictObject({ graceMs: z.number().optional() });
const labelSchema = z.string().max(256);
const labelsSchema = z.array(labelSchema).max(MAX_LABELS);
const evictSchema: z.ZodType<EvictBody> = z.strictObject({
  nodes: labelsSchema.min(1),
  keep: labelsSchema.optional(),
  dryRun: z.boolean().optional(),
});
const clientSchema: z.ZodType<ClientBody> = z.strictObject({
  name: labelSchema,
  publicKey: z.base64().max(1_024),
});
const nodeSchema: z.ZodType<NodeBody> = z.strictObject({ node: labelSchema });

/** A route: what it answers to a request. */
export type KeyRoute = (request: HttpRequest) => Promise<HttpAnswer>;

/**
 * The routes of `network`. None of them tells a key; an invite is a secret for minutes, and whoever
 * has the token may make one. Who asks for a client's certificate has made its private key itself.
 */
export function keyRoutes(
  network: DistributedNetwork,
  bodies: JsonBodies,
): Record<string, KeyRoute> {
  const read = async <T>(request: HttpRequest, schema: z.ZodType<T>): Promise<T> =>
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
      const { nodes, ...options } = await read(request, evictSchema);
      const eviction = await network.keys.evict(nodes, options);
      return Response.json({ ...network.keys.list(), eviction } satisfies EvictAnswer);
    },
    "POST /control/v1/keys/client": async (request) => {
      const { name, publicKey } = await read(request, clientSchema);
      const der = Uint8Array.fromBase64(publicKey);
      return Response.json(await network.keys.certifyClient(name, der));
    },
    "POST /control/v1/keys/forget": async (request) => {
      await network.keys.forget((await read(request, nodeSchema)).node);
      // An open node remembers who was seen with a key, and has none itself that could be listed.
      return network.getNetworkStatus().security.mode === "keyed" ? list() : Response.json(null);
    },
  };
}
