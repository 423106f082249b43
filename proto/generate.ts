/**
 * Writes what the program loads of `proto/`: a module from JSR or in a compiled binary cannot read
 * a file beside itself. With `--check` it only says whether that is current.
 */

import protobuf from "protobufjs";

const SOURCE = new URL("./hanzo_network_v1.proto", import.meta.url);
const TARGET = new URL("../src/link/network_descriptor.gen.ts", import.meta.url);

const { root } = protobuf.parse(await Deno.readTextFile(SOURCE), { keepCase: true });
const generated =
  `// Generated from proto/hanzo_network_v1.proto by \`deno task generate\`. Do not edit.

/** The description of \`hanzo.network.v1\`, as \`fromJSON\` of @grpc/proto-loader takes it. */
// deno-fmt-ignore
export const networkDescriptor: Record<string, unknown> = ${JSON.stringify(root.toJSON(), null, 2)};
`;

if (!Deno.args.includes("--check")) {
  await Deno.writeTextFile(TARGET, generated);
} else if (await Deno.readTextFile(TARGET).catch(() => "") !== generated) {
  console.error("src/link/network_descriptor.gen.ts is not current. Run: deno task generate");
  Deno.exit(1);
}
