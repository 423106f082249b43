/** What gRPC reads of the environment, answered where it may not read it. */

import process from "node:process";
import { isGranted } from "../base/permissions.ts";

/** All that grpc-js reads, most of it while it is loaded. */
const VARIABLES: readonly string[] = [
  "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
  "GRPC_EXPERIMENTAL_ENABLE_OUTLIER_DETECTION",
  "GRPC_NODE_DEBUG_SEND_ERROR_DETAILS",
  "GRPC_NODE_TRACE",
  "GRPC_NODE_USE_ALTERNATIVE_RESOLVER",
  "GRPC_NODE_VERBOSITY",
  "GRPC_SSL_CIPHER_SUITES",
  "GRPC_TRACE",
  "GRPC_VERBOSITY",
  "grpc_proxy",
  "http_proxy",
  "https_proxy",
  "no_grpc_proxy",
  "no_proxy",
];

let isShielded = false;

/**
 * Has `process.env` say of those of gRPC's variables that may not be read that they are not set, as
 * Deno's `--ignore-env` does: gRPC would be stopped by the first of them. Everything else of the
 * environment stays as it is. To be called before gRPC is loaded; idempotent.
 */
export function shieldEnvironment(): void {
  const hidden: ReadonlySet<string | symbol> = new Set(
    VARIABLES.filter((variable) => !isGranted({ name: "env", variable })),
  );
  if (isShielded || hidden.size === 0) return;
  isShielded = true;
  const real = process.env;
  // Not of the real one: a proxy's target is asked, too.
  process.env = new Proxy<NodeJS.ProcessEnv>({}, {
    get: (_, name) => hidden.has(name) ? undefined : Reflect.get(real, name),
    set: (_, name, value) => Reflect.set(real, name, value),
    has: (_, name) => !hidden.has(name) && Reflect.has(real, name),
    deleteProperty: (_, name) => Reflect.deleteProperty(real, name),
    defineProperty: (_, name, descriptor) => Reflect.defineProperty(real, name, descriptor),
    ownKeys: () => Reflect.ownKeys(real).filter((name) => !hidden.has(name)),
    getOwnPropertyDescriptor: (_, name) =>
      hidden.has(name) ? undefined : Reflect.getOwnPropertyDescriptor(real, name),
  });
}
