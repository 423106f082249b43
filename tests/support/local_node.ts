/**
 * A whole node in the process of a test, with its API and its directory, as `up` starts it: commands
 * find it.
 *
 * @module
 */

import type { Logger } from "../../src/base/log.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { createDistributedNetwork } from "../../src/network/create.ts";
import { claimNode } from "../../src/network/data_directory.ts";
import type { DistributedNetwork } from "../../src/network/distributed_network.ts";
import type { NetworkOptions } from "../../src/network/options.ts";
import { freeUdpPort } from "./nodes.ts";
import { recordingLogger } from "./recording_logger.ts";

/** What may differ from one node to the next. */
export interface LocalNodeOptions extends Omit<NetworkOptions, "logger"> {
  nodeId: string;
  dataDirectory: string;
}

/** See the top of the file. */
export class LocalNode implements AsyncDisposable {
  readonly network: DistributedNetwork;
  readonly gateway: Gateway;
  readonly token: string;
  /** What it has logged so far, by level. */
  readonly logged: (level: keyof Logger) => string[];
  readonly #release: () => Promise<void>;

  private constructor(
    parts: Pick<LocalNode, "network" | "gateway" | "token" | "logged">,
    release: () => Promise<void>,
  ) {
    this.network = parts.network;
    this.gateway = parts.gateway;
    this.token = parts.token;
    this.logged = parts.logged;
    this.#release = release;
  }

  /** Starts a node that keeps to the loopback. */
  static async start(options: LocalNodeOptions): Promise<LocalNode> {
    const { nodeId, dataDirectory } = options;
    const { logger, lines } = recordingLogger();
    const claimed = await claimNode(dataDirectory, nodeId, nodeId);
    const network = createDistributedNetwork({
      networkInterfaces: ["lo"],
      findEngines: false,
      listenPort: 0,
      broadcastPort: freeUdpPort(),
      deviceCapabilities: { chip: "test", memory: 1_024 },
      logger,
      ...options,
    });
    try {
      await network.start();
      const token = crypto.getRandomValues(new Uint8Array(32)).toHex();
      const gateway = await Gateway.start({ network, port: 0, token, logger });
      const { name, address } = network.getNetworkStatus();
      const [api, grpc] = [gateway.url, address!];
      await claimed.publish(
        { nodeId, network: name, api, grpc, pid: Deno.pid, startedAt: Date.now() },
        token,
      );
      return new LocalNode({ network, gateway, token, logged: lines }, () => claimed.release());
    } catch (thrown) {
      await network.stop();
      await claimed.release();
      throw thrown;
    }
  }

  /** Where it accepts links, `host:port`. */
  get address(): string {
    return this.network.getNetworkStatus().address!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network.stop();
    await this.gateway.stop();
    await this.#release();
  }
}
