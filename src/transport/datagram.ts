/** The port under UDP discovery: datagrams on this machine's interfaces. */

import type { NetworkInterface } from "./interfaces.ts";

/** An IPv4 address and port. */
export interface DatagramAddress {
  host: string;
  port: number;
}

/** A bound socket that may also broadcast. */
export interface DatagramSocket {
  /** Where it is bound, with the port that the system chose. */
  readonly address: DatagramAddress;
  /**
   * Sends one datagram. What the network does not carry is lost without a word.
   *
   * @throws {NetworkError} `UNAVAILABLE` when the interface is down or has no route.
   */
  send(bytes: Uint8Array, to: DatagramAddress): Promise<void>;
  /** Idempotent; nothing is delivered afterwards. */
  close(): void;
}

/** Takes what arrives; `bytes` is only valid during the call. */
export type DatagramReceiver = (bytes: Uint8Array, from: DatagramAddress) => void;

/** Datagrams: of the system in a node, in memory in a test. All pass one compliance suite. */
export interface DatagramTransport {
  /** What makes the sockets, for people: `"Deno.listenDatagram"`. */
  readonly name: string;
  /** The interfaces of this machine, whatever their state. */
  interfaces(): NetworkInterface[];
  /**
   * Binds a socket.
   *
   * @param address Port 0 lets the system choose.
   * @param options.shared Whether others of this machine may share the port; all must say so. A
   * broadcast reaches all of them, a unicast only one.
   * @throws {NetworkError} `PORT_IN_USE`, or `UNAVAILABLE` when the address is not this machine's.
   */
  bind(
    address: DatagramAddress,
    options: { shared: boolean },
    receive: DatagramReceiver,
  ): Promise<DatagramSocket>;
}
