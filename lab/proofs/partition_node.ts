/**
 * A node that writes to the shared state when a file says so, and tells when it has all:
 * `partition_node.ts NODE_ID DATA_DIRECTORY ORDERS_DIRECTORY`. An order is a file `PREFIX-COUNT`: a
 * node whose label begins the prefix writes so many keys; each tells when it has all of them. Further
 * orders: `pace`, to write one key now and then, and `digest`, to tell what it has.
 */

import { createDistributedNetwork } from "../../mod.ts";

const [nodeId, dataDirectory, orders] = Deno.args;
await using network = createDistributedNetwork({ nodeId, dataDirectory });
await network.start();
const tell = (event: string, more: Record<string, unknown> = {}) =>
  console.log(JSON.stringify({ event, ...more }));
tell("ready");

/** When something was written or seen: of one machine's clock, in milliseconds. */
const now = () => performance.timeOrigin + performance.now();
const PACED = 300;
const PACE_MS = 5;
/** How long what was written at a pace took to get here. */
const delays: number[] = [];

/** How many of each order are there. */
const counts = new Map<string, number>();
void (async () => {
  for await (const { key, value } of network.state.subscribe("", { capacity: 100_000 })) {
    if (key === "paced") delays.push(now() - (value as number));
    if (delays.length === PACED) {
      tell("delays", { delays: delays.splice(0).sort((one, other) => one - other) });
    }
    const [writer, total] = key.split("/");
    const order = `${writer}-${total}`;
    const count = (counts.get(order) ?? 0) + 1;
    counts.set(order, count);
    if (count === Number(total)) tell("has all", { order, ...traffic() });
  }
})();

void (async () => {
  for await (const event of network.events()) tell(event.type, { nodeId: event.nodeId });
})();

/** Bytes of this host's interface since it is there. */
function traffic(): { received: number } {
  const path = "/sys/class/net/eth0/statistics/rx_bytes";
  return { received: Number(Deno.readTextFileSync(path)) };
}

const done = new Set<string>();
for await (const _ of Deno.watchFs(orders)) {
  for (const { name } of Deno.readDirSync(orders)) {
    if (done.has(name)) continue;
    done.add(name);
    const [writer, count] = name.split("-");
    if (writer === "stop") Deno.exit(0);
    if (writer === "pace" && nodeId === "a1") await pace();
    if (writer === "digest") tell("digest", { digest: await digest() });
    if (!writer.startsWith(nodeId)) continue;
    for (let i = 0; i < Number(count); i += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, j) =>
          network.state.set(`${writer}/${count}/${i + j}`, {
            number: i + j,
            text: "x".repeat(30),
          })),
      );
    }
    tell("written", { name });
  }
}

async function pace(): Promise<void> {
  for (let i = 0; i < PACED; i++) {
    await network.state.set("paced", now());
    await new Promise((resolve) => setTimeout(resolve, PACE_MS));
  }
}

async function digest(): Promise<string> {
  const text = new TextEncoder().encode(JSON.stringify(network.state.entries()));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", text)).toHex();
}
