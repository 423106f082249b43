/**
 * Writes what the program loads of `proto/`: a module from JSR or in a compiled binary cannot read
 * a file beside itself. With `--check` it only says whether that is current.
 */

import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor/index.js";

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
  {
    proto: "grpc_health_v1.proto",
    package: "grpc.health.v1",
    module: "grpc_health_descriptor.gen.ts",
    constant: "grpcHealthDescriptor",
  },
  {
    proto: "grpc_reflection_v1.proto",
    package: "grpc.reflection.v1",
    module: "grpc_reflection_descriptor.gen.ts",
    constant: "grpcReflectionDescriptor",
  },
];

/** What reflection shows: all files, and those that no code of its own reads. */
const SHOWN = [...DESCRIPTIONS.map(({ proto }) => proto), "grpc_reflection_v1alpha.proto"];

/** A module of `src/link/`, by its name. */
type Generated = readonly [module: string, text: string];

async function parse(proto: string): Promise<protobuf.Root> {
  const source = await Deno.readTextFile(new URL(`./${proto}`, import.meta.url));
  const { root } = protobuf.parse(source, { keepCase: true });
  root.resolveAll();
  return root;
}

async function generate(description: Description): Promise<Generated> {
  const { proto, constant, module } = description;
  const root = await parse(proto);
  const text = `// Generated from proto/${proto} by \`deno task generate\`. Do not edit.

/** The description of \`${description.package}\`, as \`fromJSON\` of @grpc/proto-loader takes it. */
// deno-fmt-ignore
export const ${constant}: Record<string, unknown> = ${JSON.stringify(root.toJSON(), null, 2)};
`;
  return [module, text];
}

/** Each file as reflection hands it out. */
async function generateFiles(): Promise<Generated> {
  const files: string[] = [];
  for (const proto of SHOWN) {
    const root = await parse(proto);
    const symbols = symbolsIn(root);
    const set = (root as unknown as Descriptive).toDescriptor("proto3");
    for (const file of set.file) {
      file.name = proto;
      file.messageType.forEach(nameMapEntries);
      const bytes: Uint8Array = descriptor.FileDescriptorProto.encode(file).finish();
      files.push(
        `  ${JSON.stringify(proto)}: {\n    symbols: ${JSON.stringify(symbols)},\n` +
          `    descriptor: ${JSON.stringify(bytes.toBase64())},\n  },`,
      );
    }
  }
  const text = `// Generated from proto/ by \`deno task generate\`. Do not edit.

/** A file of \`proto/\`: what it defines, and itself as a serialized FileDescriptorProto in base64. */
export interface ProtoFile {
  /** Full names of services, methods, messages and enums. */
  readonly symbols: readonly string[];
  readonly descriptor: string;
}

/** Each file of \`proto/\`, by its name. */
// deno-fmt-ignore
export const protoFiles: Readonly<Record<string, ProtoFile>> = {
${files.join("\n")}
};
`;
  return ["proto_files.gen.ts", text];
}

/** The full names of all that is defined in a namespace and those within. */
function symbolsIn(namespace: protobuf.NamespaceBase): string[] {
  return namespace.nestedArray.flatMap((one) => {
    const name = one.fullName.slice(1);
    const methods = one instanceof protobuf.Service
      ? one.methodsArray.map((method) => `${name}.${method.name}`)
      : [];
    const isPackage = one.constructor === protobuf.Namespace;
    const nested = one instanceof protobuf.Namespace ? symbolsIn(one) : [];
    return [...isPackage ? [] : [name], ...methods, ...nested];
  });
}

/**
 * The messages that maps are made of bear the names that are prescribed for them, not those that
 * protobufjs gives: tools refuse a file otherwise.
 */
function nameMapEntries({ nestedType, field }: DescribedMessage): void {
  for (const entry of nestedType.filter(({ options }) => options?.mapEntry)) {
    const users = field.filter(({ typeName }) => typeName?.split(".").at(-1) === entry.name);
    for (const user of users) {
      const words = user.name.split("_").map((word) => word[0].toUpperCase() + word.slice(1));
      entry.name = `${words.join("")}Entry`;
      user.typeName = entry.name;
    }
  }
}

interface DescribedMessage {
  name: string;
  readonly nestedType: (DescribedMessage & { options?: { mapEntry?: boolean } })[];
  readonly field: { readonly name: string; typeName?: string }[];
}

/** What the extension adds. */
interface Descriptive {
  toDescriptor(
    edition: string,
  ): { file: (protobuf.Message & { name: string; messageType: DescribedMessage[] })[] };
}

const checksOnly = Deno.args.includes("--check");
for (
  const [module, text] of [...await Promise.all(DESCRIPTIONS.map(generate)), await generateFiles()]
) {
  const path = `src/link/${module}`;
  const target = new URL(`../${path}`, import.meta.url);
  if (!checksOnly) {
    await Deno.writeTextFile(target, text);
  } else if (await Deno.readTextFile(target).catch(() => "") !== text) {
    console.error(`${path} is not current. Run: deno task generate`);
    Deno.exitCode = 1;
  }
}
