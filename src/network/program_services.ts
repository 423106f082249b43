/** What a node serves to programs in other languages, and to ordinary tools of gRPC. */

import type { Clock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import type { GrpcCaller, GrpcService } from "../link/grpc_service.ts";
import { HEALTH_SERVICE, healthService } from "../link/health_service.ts";
import { NETWORK_SERVICE, NetworkService } from "../link/network_service.ts";
import { reflectionService } from "../link/reflection_service.ts";
import type { AskedRun } from "../link/run_messages.ts";
import { RoutingStrategy } from "../routing/strategy.ts";
import type { PeerCredential } from "../security/trust.ts";
import type { DistributedNetwork } from "./distributed_network.ts";
import type { RunOptions } from "./run_options.ts";
import type { ResolvedOptions } from "./options.ts";

/** What they are made of. */
export interface ProgramServicesNeeds {
  readonly clock: Clock;
  readonly options: Pick<ResolvedOptions, "nodeId" | "openAcceptTasks">;
  /** Whether a stranger at that host may be answered at all. */
  readonly allows: (host: string) => boolean;
  /** Whether who shows that certificate is of the network now. */
  readonly admits: (peer: PeerCredential) => boolean;
  /** Whether a node's certificate is for a label that another one has. */
  readonly isImpostor: (peer: PeerCredential) => boolean;
  readonly network: () => DistributedNetwork;
}

/** See the top of the file. */
export interface ProgramServices {
  readonly services: readonly GrpcService[];
  /** Who is of the network has changed. */
  reconsider(): void;
}

/** See the top of the file. */
export function programServices(needs: ProgramServicesNeeds): ProgramServices {
  const { clock, network, admits } = needs;
  const isServing = () => network().getNetworkStatus().state === "running";
  const names = [NETWORK_SERVICE, HEALTH_SERVICE];
  const refuse = (caller: GrpcCaller) => refuseStranger(caller, needs);
  const service = new NetworkService({
    clock,
    admits,
    refuse: (caller) => refuse(caller) ?? refuseWork(caller, needs),
    run: (asked, signal) => network().stream(promptOf(asked), runOptions(asked, signal)),
    agents: () => network().agents(),
    status: () => network().getNetworkStatus(),
  });
  return {
    services: [
      service,
      healthService({ clock, services: names, isServing, refuse }),
      ...reflectionService({ services: names, refuse }),
    ],
    reconsider: () => service.reconsider(),
  };
}

/** Who has shown a certificate is of the network, or would not have come so far. */
function refuseStranger(
  { credential, host }: GrpcCaller,
  { options: { nodeId }, allows, isImpostor }: ProgramServicesNeeds,
): NetworkError | undefined {
  if (credential !== undefined && !credential.isClient && isImpostor(credential)) {
    return new NetworkError(
      "PERMISSION_DENIED",
      `Node "${nodeId}" knows another device by the name of this certificate.`,
    );
  }
  if (credential !== undefined || allows(host)) return undefined;
  return new NetworkError(
    "PERMISSION_DENIED",
    `Node "${nodeId}" does not answer ${host}: without certificates it talks to the private ` +
      `addresses that it is open to. Its owner can name another range: --open=CIDR.`,
  );
}

function refuseWork(
  { credential }: GrpcCaller,
  { options: { nodeId, openAcceptTasks } }: ProgramServicesNeeds,
): NetworkError | undefined {
  if (credential !== undefined || openAcceptTasks) return undefined;
  return new NetworkError(
    "PERMISSION_DENIED",
    `Node "${nodeId}" does nothing for strangers: it does not know who they are, and was started ` +
      "without --open-accept-tasks.",
  );
}

/** A message has no text that is not there: in a thread an empty one is none. */
function promptOf({ prompt, thread }: AskedRun): string | undefined {
  return thread !== undefined && prompt === "" ? undefined : prompt;
}

function runOptions(asked: AskedRun, signal: AbortSignal): RunOptions {
  const { agent, near, strategy, prompt: _, thread, resume, rerun, ...rest } = asked;
  return {
    ...rest,
    ...(thread !== undefined && { thread, resume, rerun }),
    initialAgent: agent,
    strategy: Object.values(RoutingStrategy).find((one) => one === strategy),
    near: near.length === 0 ? undefined : near,
    signal,
  };
}
