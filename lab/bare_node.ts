/**
 * The least that a node could do: beacons over UDP, one TCP connection to each peer, and events as
 * `up --json` prints them. What a real node is compared with.
 *
 *     deno run -A lab/bare_node.ts NAME ADDRESS BROADCAST_ADDRESS
 */

import { createSocket } from "node:dgram";
import { connect, createServer, type Socket } from "node:net";

const PORT = 5000;

const [self, address, broadcast] = Deno.args;
const known = new Set<string>();

const server = createServer((connection) => {
  connection.once("data", (name) => hold(connection, String(name)));
  connection.on("error", () => {});
});
const udp = createSocket("udp4");
udp.on("message", (bytes, from) => {
  const name = String(bytes);
  if (name === self || known.has(name)) return;
  known.add(name);
  udp.send(self, PORT, from.address);
  // One of the two dials.
  if (name < self) return;
  const connection = connect(PORT, from.address, () => {
    connection.write(self);
    hold(connection, name);
  });
  connection.on("error", () => known.delete(name));
});
server.listen(PORT, address, () =>
  udp.bind(PORT, () => {
    udp.setBroadcast(true);
    tell("ready");
    udp.send(self, PORT, broadcast);
  }));

function hold(connection: Socket, name: string): void {
  tell("peer-joined", name);
  connection.on("close", () => {
    known.delete(name);
    tell("peer-died", name);
  });
}

function tell(event: string, nodeId?: string): void {
  console.log(JSON.stringify({ event, nodeId }));
}
