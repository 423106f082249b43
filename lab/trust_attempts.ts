/**
 * The attempts on a {@linkcode Fortress}: each credential at each door.
 *
 * @module
 */

import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import net from "node:net";
import tls from "node:tls";
import { systemClock } from "../src/base/clock.ts";
import { NetworkError } from "../src/base/errors.ts";
import { grpcTransport } from "../src/link/grpc_transport.ts";
import { type InviteCode, joinByInvite } from "../src/link/joining.ts";
import type { LinkSecurity } from "../src/link/tls_gate.ts";
import { type Credentials, NodeIdentity } from "../src/security/identity.ts";
import { inviteAuthority } from "../src/security/invites.ts";
import { NetworkKey } from "../src/security/network_key.ts";
import { memberCredentials, strangerCredentials } from "../tests/support/certificates.ts";
import { makePool } from "../tests/support/pool_lan.ts";
import { EVICTED, type Fortress, VICTIM } from "./trust_fortress.ts";
import { Recorder } from "./trust_recorder.ts";

/** One credential at one door. */
export interface Attempt {
  readonly credential: string;
  /** What the door is: a column of the table. */
  readonly kind: "Link" | "Join" | "for programs" | "other RPCs" | "HTTP";
  readonly door: string;
  readonly expected: "served" | "refused";
  readonly outcome: "served" | "refused";
  readonly isRight: boolean;
}

/** What somebody comes with; what is missing is not tried. */
interface Comer {
  readonly name: string;
  /** What is shown in TLS: "plaintext" for no TLS at all, undefined for no certificate. */
  readonly shown: Credentials | "plaintext" | undefined;
  /** How it introduces itself. */
  readonly label: string;
  /** Its token for the HTTP API. */
  readonly token: string | undefined;
  /** How it joins; by default with what it shows, at the name of an invite that is good. */
  readonly join?: () => Promise<unknown>;
  /** Where it is to be served. */
  readonly isServed?: Partial<Record<Attempt["kind"], true>>;
}

const PATIENCE_MS = 3_000;
const YEAR_MS = 365 * 24 * 60 * 60 * 1_000;

/** Tries everything, one after the other. */
export async function attempts(fortress: Fortress): Promise<Attempt[]> {
  const [rpcs, routes] = await Promise.all([allRpcs(), allRoutes()]);
  const results: Attempt[] = [];
  for (const comer of await comers(fortress)) {
    const add = (kind: Attempt["kind"], door: string, isServed: boolean) => {
      const expected = comer.isServed?.[kind] ? "served" : "refused";
      const outcome = isServed ? "served" : "refused";
      results.push({
        credential: comer.name,
        kind,
        door,
        expected,
        outcome,
        isRight: expected === outcome,
      });
    };
    add("Link", "hanzo.network.v1.Network/Link", await links(fortress, comer));
    for (const rpc of rpcs) {
      const kind = rpc.startsWith("node_service.") ? "other RPCs" : "for programs";
      add(kind, rpc, await calls(fortress, comer, rpc));
    }
    add("Join", "an invite's name", await joins(fortress, comer));
    for (const route of routes) add("HTTP", route, await asks(fortress, comer, route));
  }
  return results;
}

async function comers(fortress: Fortress): Promise<Comer[]> {
  const { key, keyBeforeEviction, rotatedOut, otherTokens, usedInvite, goodInvites } = fortress;
  const member = NodeIdentity.create();
  const stranger = NetworkKey.generate();
  const now = Date.now();
  const asMember = (label: string) => memberCredentials(key, { label });
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");
  const joinWith = (code: InviteCode) => () =>
    joinByInvite(code, {
      name: "comer",
      keep: () => Promise.resolve(),
      clock: systemClock,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  const recorder = await Recorder.of(fortress.grpc);
  await joinWith({ ...goodInvites[0], addresses: [recorder.address] })();
  recorder.close();
  return [
    { name: "none", shown: undefined, label: "none", token: undefined },
    { name: "plaintext", shown: "plaintext", label: "plain", token: "Basic" },
    {
      name: "foreign authority",
      shown: await NodeIdentity.create().credentials(stranger, "foreign"),
      label: "foreign",
      token: otherTokens.foreign,
    },
    {
      name: "expired",
      shown: await memberCredentials(key, {
        label: "expired",
        notBefore: new Date(now - 2 * YEAR_MS),
        notAfter: new Date(now - YEAR_MS),
      }),
      label: "expired",
      token: otherTokens.former,
    },
    {
      name: "future",
      shown: await memberCredentials(key, {
        label: "future",
        notBefore: new Date(now + YEAR_MS),
      }),
      label: "future",
      token: text(crypto.getRandomValues(new Uint8Array(32))),
    },
    {
      name: "self-signed",
      shown: await strangerCredentials(key, { label: "self" }),
      label: "self",
      token: member.id,
    },
    {
      name: "member-minted for another's identity",
      shown: await asMember(VICTIM),
      label: VICTIM,
      token: key.tag,
      isServed: {},
    },
    {
      name: "right authority, wrong label",
      shown: await asMember("honest"),
      label: "liar",
      token: fortress.token.slice(0, -1),
      // There nobody introduces itself: it is the member that its certificate says.
      isServed: { "for programs": true },
    },
    {
      name: "rotated-out key",
      shown: await NodeIdentity.create().credentials(rotatedOut, "late"),
      label: "late",
      token: text(rotatedOut.reveal()),
    },
    {
      name: "evicted node",
      shown: fortress.evicted,
      label: EVICTED,
      token: otherTokens.evicted,
    },
    {
      name: "evicted node, new certificate",
      shown: await NodeIdentity.create().credentials(keyBeforeEviction, "newcomer"),
      label: "newcomer",
      token: text(keyBeforeEviction.reveal()),
    },
    {
      name: "reused invite",
      shown: undefined,
      label: "reuser",
      token: text(usedInvite.secret),
      join: joinWith(usedInvite),
    },
    {
      name: "replayed invite",
      shown: undefined,
      label: "replayer",
      token: text(goodInvites[0].secret),
      join: () => recorder.replay(fortress.grpc),
    },
    {
      name: "client certificate",
      shown: fortress.client,
      label: "client",
      token: text(new TextEncoder().encode(fortress.client.certificate).slice(0, 32)),
      isServed: { "for programs": true },
    },
    {
      name: "client certificate, as a node",
      // Of the label that it is for, and of a node that there is.
      shown: fortress.client,
      label: VICTIM,
      token: key.tag,
      isServed: { "for programs": true },
    },
    {
      name: "client certificate, before an eviction",
      shown: fortress.formerClient,
      label: "former-client",
      token: otherTokens.former,
    },
    {
      name: "(a good invite)",
      shown: undefined,
      label: "guest",
      token: undefined,
      join: joinWith(goodInvites[1]),
      isServed: { Join: true },
    },
    {
      name: "(a member)",
      shown: await member.credentials(key, "member"),
      label: "member",
      token: fortress.token,
      isServed: { Link: true, "for programs": true, HTTP: true },
    },
  ];
}

function securityOf({ shown }: Comer, fortress: Fortress): LinkSecurity | undefined {
  if (shown === "plaintext") return undefined;
  const { tag } = fortress.key;
  // Whoever shows nothing asks for the right name all the same.
  const credentials = [shown ?? { ...ANYBODY, tag, serverName: `${tag}.hanzo-network` }];
  return { credentials: () => credentials, verifiesPeers: false, admits: () => true };
}

const ANYBODY = { authority: "", certificate: "", privateKey: "" };

async function links(fortress: Fortress, comer: Comer): Promise<boolean> {
  if (comer.shown === undefined) return await handshakes(fortress, comer);
  const { pool } = makePool(comer.label, {
    host: "127.0.0.1",
    transport: grpcTransport({ security: securityOf(comer, fortress) }),
    clock: systemClock,
    description: { network: "hanzo" },
  });
  try {
    await pool.dial([fortress.grpc], AbortSignal.timeout(PATIENCE_MS));
    return true;
  } catch (thrown) {
    if (thrown instanceof NetworkError || thrown instanceof DOMException) return false;
    throw thrown;
  } finally {
    await pool.close();
  }
}

/** Whether anything but an answer that there is no such call came back. */
async function calls(fortress: Fortress, comer: Comer, rpc: string): Promise<boolean> {
  const status = await unary(fortress, comer, rpc);
  return status !== grpc.status.UNIMPLEMENTED && status !== grpc.status.UNAVAILABLE &&
    status !== grpc.status.DEADLINE_EXCEEDED && status !== grpc.status.PERMISSION_DENIED;
}

async function handshakes(fortress: Fortress, comer: Comer): Promise<boolean> {
  const status = await unary(fortress, comer, "hanzo.network.v1.Network/Link");
  return status !== grpc.status.UNAVAILABLE;
}

/** What comes back first: a message, or the end. */
function unary(fortress: Fortress, { shown }: Comer, rpc: string): Promise<grpc.status> {
  const { host, port } = fortress.grpc;
  const serverName = typeof shown === "object"
    ? shown.serverName
    : `${fortress.key.tag}.hanzo-network`;
  const credentials = shown === "plaintext"
    ? grpc.credentials.createInsecure()
    : grpc.credentials.createSsl(
      null,
      shown === undefined ? null : Buffer.from(shown.privateKey),
      shown === undefined ? null : Buffer.from(shown.certificate),
      { rejectUnauthorized: false },
    );
  const client = new grpc.Client(`${host}:${port}`, credentials, {
    "grpc.ssl_target_name_override": serverName,
    "grpc.use_local_subchannel_pool": 1,
  });
  const identity = (bytes: Buffer) => bytes;
  return new Promise((resolve) => {
    const deadline = Date.now() + PATIENCE_MS;
    const call = client.makeServerStreamRequest(`/${rpc}`, identity, identity, Buffer.alloc(0), {
      deadline,
    });
    const end = (code: grpc.status) => {
      call.cancel();
      client.close();
      resolve(code);
    };
    call.once("data", () => end(grpc.status.OK));
    call.once("end", () => end(grpc.status.OK));
    call.on("error", ({ code }: grpc.ServiceError) => end(code));
  });
}

async function joins(fortress: Fortress, { shown, join }: Comer): Promise<boolean> {
  if (join === undefined) return await asksToJoin(fortress, shown);
  try {
    await join();
    return true;
  } catch {
    return false;
  }
}

/** Asks at the name of an invite that is good, which is no secret, without knowing its secret. */
function asksToJoin(
  { grpc: { host, port }, goodInvites }: Fortress,
  shown: Comer["shown"],
): Promise<boolean> {
  const { serverName } = inviteAuthority(goodInvites[1].secret, "comer");
  return new Promise((resolve) => {
    const socket = shown === "plaintext" ? net.connect(port, host) : tls.connect({
      host,
      port,
      servername: serverName,
      cert: shown?.certificate,
      key: shown?.privateKey,
      rejectUnauthorized: false,
    });
    const end = (isServed: boolean) => {
      socket.destroy();
      resolve(isServed);
    };
    socket.setTimeout(PATIENCE_MS, () => end(false));
    socket.on("error", () => end(false));
    socket.on("close", () => end(false));
    socket.on("data", (bytes: Uint8Array) => {
      if (new TextDecoder().decode(bytes).includes("keyring")) end(true);
    });
    socket.once(shown === "plaintext" ? "connect" : "secureConnect", () => {
      socket.write('{"join":1}\n');
    });
  });
}

async function asks({ api }: Fortress, { token, shown }: Comer, route: string): Promise<boolean> {
  const [method, path] = route.split(" ");
  // In place of a plaintext certificate: the form of another kind of authorisation.
  const scheme = shown === "plaintext" ? "Basic" : "Bearer";
  const response = await fetch(`${api}${path}`, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `${scheme} ${token}` }),
      "content-type": "application/json",
    },
    // Nothing that any of them would act on.
    ...(method === "GET" ? {} : { body: '{"nonsense":true}' }),
  });
  await response.body?.cancel();
  return ![401, 403].includes(response.status);
}

/** Those of all services but the one of links. */
async function allRpcs(): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(new URL("../proto/", import.meta.url))) {
    if (!name.endsWith(".proto")) continue;
    const text = await Deno.readTextFile(new URL(`../proto/${name}`, import.meta.url));
    const [, pack] = /^package ([\w.]+);/m.exec(text)!;
    for (const [, service, body] of text.matchAll(/^service (\w+) \{([^}]*)\}/gms)) {
      for (const [, rpc] of body.matchAll(/rpc (\w+)/g)) found.push(`${pack}.${service}/${rpc}`);
    }
  }
  return found.filter((rpc) => !rpc.endsWith("/Link")).sort();
}

/** The routes of the control API, as its code names them. */
async function allRoutes(): Promise<string[]> {
  const found = new Set<string>();
  const gateway = new URL("../src/gateway/", import.meta.url);
  for await (const { name, isFile } of Deno.readDir(gateway)) {
    if (!isFile) continue;
    const text = await Deno.readTextFile(new URL(name, gateway));
    for (const [, route] of text.matchAll(/"((?:GET|POST|PUT|DELETE) \/[^"]+)"/g)) found.add(route);
  }
  return [...found].sort();
}
