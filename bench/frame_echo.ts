/** The other process of `mutual_tls.ts`: sends every frame back, in the clear and over mutual TLS. */

import type { FrameStream } from "../src/link/frame_stream.ts";
import { grpcTransport } from "../src/link/grpc_transport.ts";
import { NetworkKey } from "../src/security/network_key.ts";
import { memberOf } from "../tests/support/members.ts";

const key = NetworkKey.from(await new Response(Deno.stdin.readable).bytes());
const here = { host: "127.0.0.1", port: 0 };
const echo = (stream: FrameStream) =>
  stream.start({ onFrame: (frame) => void stream.send(frame), onDrain() {}, onClose() {} });
const plain = await grpcTransport().listen(here, echo);
const secured = await grpcTransport({ security: await memberOf(key, "echo") }).listen(here, echo);
console.log(`${plain.address.port} ${secured.address.port}`);
