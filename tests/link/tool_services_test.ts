/** Health and reflection, as ordinary tools of gRPC ask for them. */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { ManualClock } from "../../src/base/manual_clock.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { grpcTransport } from "../../src/link/grpc_transport.ts";
import { HEALTH_SERVICE, healthService } from "../../src/link/health_service.ts";
import { protoFiles } from "../../src/link/proto_files.gen.ts";
import { reflectionService } from "../../src/link/reflection_service.ts";
import { all, failureOf, type Message, Program } from "../support/program.ts";
import { endOf } from "./transport_suite.ts";

const NETWORK = "hanzo.network.v1.Network";
const REFLECTION = "grpc.reflection.v1.ServerReflection";

async function serve() {
  const clock = new ManualClock();
  const node = { isServing: true, refusal: undefined as NetworkError | undefined };
  const names = [NETWORK, HEALTH_SERVICE];
  const refuse = () => node.refusal;
  const transport = grpcTransport({
    clock: systemClock,
    services: [
      healthService({ clock, services: names, isServing: () => node.isServing, refuse }),
      ...reflectionService({ services: names, refuse }),
    ],
  });
  const address = { host: "127.0.0.1", port: 0 };
  const listener = await transport.listen(address, (stream) => endOf(stream).start());
  return {
    clock,
    node,
    address: listener.address,
    [Symbol.asyncDispose]: () => listener.close(),
  };
}

Deno.test("health says whether the node takes work, as a whole and for each service", async () => {
  await using served = await serve();
  using health = new Program(served.address, undefined, HEALTH_SERVICE);
  const check = async (service: string) => (await health.ask("Check", { service })).status;
  assertEquals([await check(""), await check(NETWORK)], ["SERVING", "SERVING"]);
  served.node.isServing = false;
  assertEquals(await check(""), "NOT_SERVING");
  assertEquals((await failureOf(check("nobody"))).code, "NOT_FOUND");
  served.node.refusal = new NetworkError("PERMISSION_DENIED", "Not you.");
  assertEquals((await failureOf(check(""))).code, "PERMISSION_DENIED");
});

Deno.test("who watches the health is told once, and again when it changes", async () => {
  await using served = await serve();
  using health = new Program(served.address, undefined, HEALTH_SERVICE);
  const call = health.stream("Watch", { service: "" });
  call.on("error", () => {});
  const next = () =>
    new Promise<string>((resolve) => call.once("data", ({ status }: Message) => resolve(status)));
  assertEquals(await next(), "SERVING");
  const changed = next();
  await served.clock.advance(5_000);
  served.node.isServing = false;
  await served.clock.advance(1_000);
  assertEquals(await changed, "NOT_SERVING");
  call.cancel();
});

Deno.test("reflection lists the services, and hands out the file that has a symbol", async () => {
  await using served = await serve();
  for (const version of ["v1", "v1alpha"]) {
    const path = `grpc.reflection.${version}.ServerReflection`;
    using reflection = new Program(served.address, undefined, REFLECTION, path);
    const call = reflection.talk("ServerReflectionInfo");
    for (
      const request of [
        { list_services: "*" },
        { file_containing_symbol: `${NETWORK}.Run` },
        { file_containing_symbol: "hanzo.network.v1.RunEvent" },
        { file_by_filename: "grpc_health_v1.proto" },
        { file_by_filename: "__proto__" },
        { file_containing_symbol: "\u001b[2Jnothing" },
        { all_extension_numbers_of_type: "hanzo.network.v1.RunEvent" },
      ]
    ) call.write(request);
    call.end();
    const [services, method, message, file, ...missing] = await all(call);
    assertEquals(
      services.list_services_response.service.map(({ name }: Message) => name),
      [HEALTH_SERVICE, REFLECTION, "grpc.reflection.v1alpha.ServerReflection", NETWORK],
    );
    const bytesOf = ({ file_descriptor_response }: Message): Uint8Array =>
      file_descriptor_response.file_descriptor_proto[0];
    assertEquals(bytesOf(method), bytesOf(message));
    assert(new TextDecoder().decode(bytesOf(method)).includes("ListAgentsResponse"));
    assertEquals(bytesOf(file).length, descriptorLength("grpc_health_v1.proto"));
    assertEquals(
      missing.map(({ error_response }) => error_response.error_code),
      [5, 5, 5],
    );
    assertEquals(
      missing[1].error_response.error_message,
      'There is no symbol "[2Jnothing" here.',
    );
  }
});

function descriptorLength(name: string): number {
  return Uint8Array.fromBase64(protoFiles[name].descriptor).length;
}
