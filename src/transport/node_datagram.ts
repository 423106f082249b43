/** Datagrams on `node:dgram`, for a Deno that was started without `--unstable-net`. */

import type { Socket } from "node:dgram";
import { createSocket } from "node:dgram";
import type {
  DatagramAddress,
  DatagramReceiver,
  DatagramSocket,
  DatagramTransport,
} from "./datagram.ts";
import { bindError, needBind, needSend, sendError } from "./deno_datagram.ts";
import { systemInterfaces } from "./system_interfaces.ts";

/** See the top of the file. */
export const nodeDatagrams: DatagramTransport = {
  name: "node:dgram",
  interfaces: systemInterfaces,
  bind({ host, port }, { shared }, receive) {
    return new Promise((resolve, reject) => {
      needBind({ host, port });
      const socket = createSocket({ type: "udp4", reuseAddr: shared });
      socket.once("error", (cause) => {
        socket.close();
        reject(bindError(cause, { host, port }));
      });
      socket.bind(port, host, () => {
        socket.removeAllListeners("error");
        // Errors of single datagrams; what cannot be received is as good as lost on the way.
        socket.on("error", () => {});
        socket.setBroadcast(true);
        resolve(new NodeDatagramSocket(socket, receive));
      });
    });
  },
};

class NodeDatagramSocket implements DatagramSocket {
  readonly #socket: Socket;
  #closed = false;
  readonly address: DatagramAddress;

  constructor(socket: Socket, receive: DatagramReceiver) {
    this.#socket = socket;
    const { address, port } = socket.address();
    this.address = { host: address, port };
    socket.on("message", (bytes, from) => {
      // Closing does not stop what has arrived already.
      if (!this.#closed) receive(bytes, { host: from.address, port: from.port });
    });
  }

  send(bytes: Uint8Array, to: DatagramAddress): Promise<void> {
    return new Promise((resolve, reject) => {
      needSend(to);
      if (this.#closed) return reject(sendError(new Error("the socket is closed"), to));
      try {
        this.#socket.send(bytes, to.port, to.host, (cause) => {
          if (cause) reject(sendError(cause, to));
          else resolve();
        });
      } catch (cause) {
        // A datagram that claims to come from port 0 cannot be answered.
        reject(sendError(cause, to));
      }
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}
