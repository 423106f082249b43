/** Keys of a node's network and who may join it, through its HTTP API. */

import type {
  ClientBody,
  EvictAnswer,
  EvictBody,
  InviteBody,
  NodeBody,
  RotateBody,
} from "../../gateway/key_routes.ts";
import type { JoinQrFields } from "../../network/join_qr.ts";
import type { KeyList } from "../../network/network_keys.ts";
import type { ClientCertificate } from "../../security/client_certificate.ts";
import type { NodeConnection } from "./connection.ts";

/** See the top of the file. */
export class KeyClient {
  readonly #node: NodeConnection;

  constructor(node: NodeConnection) {
    this.#node = node;
  }

  /** A code by which one device may join. */
  invite(body: InviteBody, signal?: AbortSignal): Promise<JoinQrFields> {
    return this.#node.answer("invite", signal, body);
  }

  /** The keys of its network. */
  list(signal?: AbortSignal): Promise<KeyList> {
    return this.#node.answer("keys", signal);
  }

  /** Moves its network to a new key. */
  rotate(body: RotateBody, signal?: AbortSignal): Promise<KeyList> {
    return this.#node.answer("keys/rotate", signal, body);
  }

  /** Moves all but some nodes to a new key. */
  evict(body: EvictBody, signal?: AbortSignal): Promise<EvictAnswer> {
    return this.#node.answer("keys/evict", signal, body);
  }

  /** Certifies that a program may call. */
  certifyClient(body: ClientBody, signal?: AbortSignal): Promise<ClientCertificate> {
    return this.#node.answer("keys/client", signal, body);
  }

  /** Lets another device have a label. */
  forget(body: NodeBody, signal?: AbortSignal): Promise<KeyList> {
    return this.#node.answer("keys/forget", signal, body);
  }
}
