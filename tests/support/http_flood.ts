/** A program that asks an HTTP server without a pause, and without a token, until it is killed. */

import { HttpClient } from "./http_client.ts";

const AT_A_TIME = 64;
/** After so many it says that it is under way. */
const UNDER_WAY = 500;

let asked = 0;

async function flood(port: number): Promise<void> {
  const request = `GET /control/v1/status HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
  for (;;) {
    try {
      using client = await HttpClient.connect(port);
      await client.send(request);
      await client.rest();
    } catch {
      // It was turned away: that is no reason to stop.
    }
    if (++asked === UNDER_WAY) console.log("under way");
  }
}

if (import.meta.main) {
  const port = Number(Deno.args[0]);
  await Promise.all(Array.from({ length: AT_A_TIME }, () => flood(port)));
}
