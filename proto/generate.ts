/**
 * Writes what the program loads of `proto/`: a module from JSR or in a compiled binary cannot read
 * a file beside itself. With `--check` it only says whether that is current.
 */

import protobuf from "protobufjs";

/** One file of `proto/` and what is made of it. */
interface Description {
  /** The file, in this folder. */
  readonly proto: string;
  /** Its package. */
  readonly package: string;
  /** The module that is written, in `src/link/`, and the constant that it exports. */
  readonly module: string;
  readonly constant: string;
}

const DESCRIPTIONS: readonly Description[] = [
  {
    proto: "hanzo_network_v1.proto",
    package: "hanzo.network.v1",
    module: "network_descriptor.gen.ts",
    constant: "networkDescriptor",
  },
  {
    proto: "node_service.proto",
    package: "node_service",
    module: "node_service_descriptor.gen.ts",
    constant: "nodeServiceDescriptor",
  },
];

async function generate(description: Description): Promise<string> {
  const { proto, constant } = description;
  const source = await Deno.readTextFile(new URL(`./${proto}`, import.meta.url));
  const { root } = protobuf.parse(source, { keepCase: true });
  return `// Generated from proto/${proto} by \`deno task generate\`. Do not edit.

/** The description of \`${description.package}\`, as \`fromJSON\` of @grpc/proto-loader takes it. */
// deno-fmt-ignore
export const ${constant}: Record<string, unknown> = ${JSON.stringify(root.toJSON(), null, 2)};
`;
}

const checksOnly = Deno.args.includes("--check");
for (const description of DESCRIPTIONS) {
  const path = `src/link/${description.module}`;
  const target = new URL(`../${path}`, import.meta.url);
  const generated = await generate(description);
  if (!checksOnly) {
    await Deno.writeTextFile(target, generated);
  } else if (await Deno.readTextFile(target).catch(() => "") !== generated) {
    console.error(`${path} is not current. Run: deno task generate`);
    Deno.exitCode = 1;
  }
}
