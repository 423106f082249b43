/** A service on the port of the links: what it is made of, and who may call it. */

import * as grpc from "@grpc/grpc-js";
import type { PeerCredential } from "../security/trust.ts";
import { hostOf } from "./frame_stream.ts";
import type { Front } from "./front.ts";
import type { MessageLimit } from "./message_limits.ts";
import type { SessionGuard } from "./session_guard.ts";
import type { LinkSecurity } from "./tls_gate.ts";

/** Who calls a service. */
export interface GrpcCaller {
  readonly host: string;
  /** Undefined where nobody shows a certificate. */
  readonly credential: PeerCredential | undefined;
  /** To be told of each piece of an answer that is streamed: its client may answer with frames. */
  readonly streamed: () => void;
}

/**
 * Serves one method: it is given gRPC's call, what takes the answer where that is one message, and
 * who calls. (A method's type, so that each may name the kind of call that its definition makes.)
 */
export type GrpcHandler = {
  handle(call: unknown, reply: unknown, caller: GrpcCaller): unknown;
}["handle"];

/** A service on the port of the links. */
export interface GrpcService {
  readonly definition: grpc.ServiceDefinition;
  /** By the names of its methods. */
  readonly implementation: Readonly<Record<string, GrpcHandler>>;
  /** What methods take, by their paths, where that is not one message of a mebibyte. */
  readonly limits?: Readonly<Record<string, MessageLimit>>;
}

/**
 * Its implementation, for those who are still of the network, after the connection of a call was told apart
 * from one that makes none.
 */
export function proving(
  implementation: GrpcService["implementation"],
  front: Front,
  guards: ReadonlyMap<string, SessionGuard>,
  security: LinkSecurity | undefined,
): grpc.UntypedServiceImplementation {
  return Object.fromEntries(
    Object.entries(implementation).map(([name, handle]) => [
      name,
      (call: ServerCall, reply?: (error: Partial<grpc.StatusObject>) => void) => {
        const from = call.getPeer();
        const credential = front.credentialOf(from);
        const refuse = (code: grpc.status, details: string) =>
          void (reply === undefined
            ? call.emit("error", { code, details })
            : reply({ code, details }));
        // What was admitted at the handshake may have been evicted since.
        if (credential !== undefined && !security!.admits(credential)) {
          const details =
            "This certificate counts no more. Make a new one: hanzo-network key client";
          return refuse(grpc.status.PERMISSION_DENIED, details);
        }
        front.prove(from, "client");
        const streamed = () => guards.get(from)?.earnForMessage();
        const caller: GrpcCaller = { host: hostOf(from), credential, streamed };
        const answered = handle(call, reply, caller);
        if (!(answered instanceof Promise)) return;
        // Handlers tell what goes wrong; this is what they have not thought of.
        answered.catch(() => refuse(grpc.status.INTERNAL, "The node could not answer."));
      },
    ]),
  );
}

interface ServerCall {
  getPeer(): string;
  emit(event: "error", error: Partial<grpc.StatusObject>): boolean;
}
