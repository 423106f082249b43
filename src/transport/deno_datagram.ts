/** Datagrams on `Deno.listenDatagram`: half the memory of `node:dgram` under a flood. */

import { describeError, NetworkError } from "../base/errors.ts";
import { needGranted } from "../base/permissions.ts";
import type {
  DatagramAddress,
  DatagramReceiver,
  DatagramSocket,
  DatagramTransport,
} from "./datagram.ts";
import { systemInterfaces } from "./system_interfaces.ts";

/** The largest datagram of IPv4. With less room Windows makes an error of a larger one. */
const RECEIVE_BYTES = 65_507;

/** Whether this Deno was started with `--unstable-net`, as `deno.json` does. */
export function hasDenoDatagrams(): boolean {
  return typeof Deno.listenDatagram === "function";
}

/** See the top of the file. */
export const denoDatagrams: DatagramTransport = {
  name: "Deno.listenDatagram",
  interfaces: systemInterfaces,
  bind({ host, port }, { shared }, receive) {
    let socket: Deno.DatagramConn;
    try {
      needBind({ host, port });
      socket = Deno.listenDatagram({
        transport: "udp",
        hostname: host,
        port,
        reuseAddress: shared,
      });
    } catch (cause) {
      return Promise.reject(bindError(cause, { host, port }));
    }
    return Promise.resolve(new DenoDatagramSocket(socket, receive));
  },
};

class DenoDatagramSocket implements DatagramSocket {
  readonly #socket: Deno.DatagramConn;
  #closed = false;

  constructor(socket: Deno.DatagramConn, receive: DatagramReceiver) {
    this.#socket = socket;
    void this.#receiveAll(receive);
  }

  get address(): DatagramAddress {
    const { hostname, port } = this.#socket.addr as Deno.NetAddr;
    return { host: hostname, port };
  }

  async send(bytes: Uint8Array, { host, port }: DatagramAddress): Promise<void> {
    needSend({ host, port });
    try {
      await this.#socket.send(bytes, { transport: "udp", hostname: host, port });
    } catch (cause) {
      throw sendError(cause, { host, port });
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  async #receiveAll(receive: DatagramReceiver): Promise<void> {
    // One buffer for all: a flood then costs no memory.
    const buffer = new Uint8Array(RECEIVE_BYTES);
    for (;;) {
      let received: [Uint8Array, Deno.Addr];
      try {
        received = await this.#socket.receive(buffer);
      } catch (thrown) {
        // On some systems an ICMP answer to what was sent makes the next receive fail; it is no
        // reason to stop listening.
        if (
          thrown instanceof Deno.errors.ConnectionReset ||
          thrown instanceof Deno.errors.ConnectionRefused
        ) continue;
        return;
      }
      // It may have been closed after this had arrived, by what ran in between.
      if (this.#closed) return;
      const { hostname, port } = received[1] as Deno.NetAddr;
      receive(received[0], { host: hostname, port });
    }
  }
}

/**
 * Throws unless a socket may be bound to `address`.
 *
 * @throws {NetworkError} `PERMISSION_DENIED`
 */
export function needBind({ host, port }: DatagramAddress): void {
  const target = `${host}:${port}`;
  needGranted(`Cannot listen for beacons on ${target}`, { name: "net", host: target });
}

/**
 * Throws unless something may be sent to `address`.
 *
 * @throws {NetworkError} `PERMISSION_DENIED`
 */
export function needSend({ host, port }: DatagramAddress): void {
  const target = `${host}:${port}`;
  needGranted(`Cannot send a beacon to ${target}`, { name: "net", host: target });
}

/** What binding to `address` failed with, in this package's terms. */
export function bindError(cause: unknown, { host, port }: DatagramAddress): NetworkError {
  if (cause instanceof NetworkError) return cause;
  const action = `Cannot listen for beacons on ${host}:${port}`;
  if (cause instanceof Deno.errors.AddrInUse || codeOf(cause) === "EADDRINUSE") {
    return new NetworkError(
      "PORT_IN_USE",
      `${action}: another program has the port and does not share it. Stop it, or choose another ` +
        `with --broadcast-port on every node.`,
      { cause },
    );
  }
  if (cause instanceof Deno.errors.NotCapable) {
    return new NetworkError(
      "PERMISSION_DENIED",
      `${action}: not permitted. Grant --allow-net.`,
      { cause },
    );
  }
  return new NetworkError("UNAVAILABLE", `${action}: ${describeError(cause)}`, { cause });
}

/** What sending to `address` failed with, in this package's terms. */
export function sendError(cause: unknown, { host, port }: DatagramAddress): NetworkError {
  return new NetworkError(
    "UNAVAILABLE",
    `Cannot send a beacon to ${host}:${port}: ${describeError(cause)}`,
    { cause },
  );
}

function codeOf(thrown: unknown): unknown {
  return typeof thrown === "object" && thrown !== null && "code" in thrown
    ? thrown.code
    : undefined;
}
