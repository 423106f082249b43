/** What a node stands on. */

import { type Clock, systemClock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import { isGranted } from "../base/permissions.ts";
import { type Random, systemRandom } from "../base/random.ts";
import type { CapabilityOverrides, DeviceCapabilities } from "../device/capabilities.ts";
import { ConditionReader, type DeviceCondition } from "../device/condition.ts";
import { detectDeviceCapabilities } from "../device/detect.ts";
import { DeviceReader, type DeviceReading } from "../device/reading.ts";
import { engineHttp } from "../engines/pooled_http.ts";
import type { EngineHttp } from "../engines/http.ts";
import { KNOWN_PORTS, type KnownPort } from "../engines/place.ts";
import type { LinkTransport } from "../link/frame_stream.ts";
import { shieldEnvironment } from "../link/grpc_environment.ts";
import type { GrpcService } from "../link/grpc_service.ts";
import type { LinkSecurity } from "../link/tls_gate.ts";
import type { Tracer } from "../tasks/tracing.ts";
import type { DatagramTransport } from "../transport/datagram.ts";
import { systemDatagrams } from "../transport/system_datagrams.ts";
import { hasIPv6 } from "../transport/system_interfaces.ts";
import { usualDataDirectory } from "./data_directory.ts";
import { systemHostName } from "./node_label.ts";
import { openTelemetry } from "./open_telemetry.ts";

/** What a node stands on: the system in a program, a simulation in a test. */
export interface Platform {
  readonly clock: Clock;
  readonly random: Random;
  readonly datagrams: DatagramTransport;
  readonly links: (needs: LinkNeeds) => LinkTransport;
  /** Where links are accepted when the node may leave the machine, and when it may not. */
  readonly listenHosts: { readonly lan: string; readonly loopback: string };
  readonly hostName: string;
  /** Where it keeps data unless it is told otherwise, if there is such a place. */
  readonly dataDirectory: string | undefined;
  readonly cores: number;
  readonly detect: (overrides: CapabilityOverrides) => Promise<DeviceCapabilities>;
  readonly readDevice: () => Promise<DeviceReading>;
  readonly readCondition: () => Promise<DeviceCondition>;
  readonly engines: EngineMeans;
  /** What records traces, if anything does. */
  readonly openTracer: () => Promise<Tracer | undefined>;
}

/** How engines are found and asked. */
export interface EngineMeans {
  readonly http: EngineHttp;
  /** The ports of the loopback that are looked at unless an option says otherwise. */
  readonly usualPorts: readonly KnownPort[];
  /** Those that an option may ask for. */
  readonly knownPorts: readonly KnownPort[];
  /** A variable of the environment; undefined where there is none, or it may not be read. */
  readonly environment: (name: string) => string | undefined;
}

/** What links are made with. */
export interface LinkNeeds {
  /** What else is served where they are accepted. */
  readonly services: readonly GrpcService[];
  /** Undefined: they are in the clear. */
  readonly security: LinkSecurity | undefined;
}

/** The system that the program runs on; `options` may say where the node keeps its data. */
export function systemPlatform(options: { readonly dataDirectory?: string }): Platform {
  const dataDirectory = usualDataDirectory();
  // The one directory that a node must have; the one that it was started in may be any.
  const reader = new DeviceReader({ directory: options.dataDirectory ?? dataDirectory });
  const conditionReader = new ConditionReader();
  return {
    clock: systemClock,
    random: systemRandom,
    datagrams: systemDatagrams(),
    links: lazyGrpc,
    listenHosts: { lan: takesIPv6() ? "::" : "0.0.0.0", loopback: "127.0.0.1" },
    hostName: systemHostName(),
    dataDirectory,
    cores: navigator.hardwareConcurrency,
    detect: (overrides) => detectDeviceCapabilities({ overrides }),
    readDevice: () => reader.read(),
    readCondition: () => conditionReader.read(),
    engines: {
      http: engineHttp(),
      usualPorts: /^(true|1)$/.test(environment(NO_ENGINES) ?? "") ? [] : KNOWN_PORTS,
      knownPorts: KNOWN_PORTS,
      environment,
    },
    openTracer: openTelemetry,
  };
}

/** Keeps programs, too, from looking for engines: those that have nothing to do with models. */
const NO_ENGINES = "HANZO_NETWORK_NO_ENGINES";

function environment(name: string): string | undefined {
  return isGranted({ name: "env", variable: name }) ? Deno.env.get(name) : undefined;
}

/** Whether links by IPv6 are accepted: on `::`, which takes those of both kinds. */
function takesIPv6(): boolean {
  return hasIPv6() && isGranted({ name: "net", host: "[::]" });
}

/** gRPC costs 40 ms to load: that is spent in `start()`, beside the look at the device. */
function lazyGrpc(needs: LinkNeeds): LinkTransport {
  let loading: Promise<LinkTransport> | undefined;
  const load = () => {
    if (loading === undefined) shieldEnvironment();
    return loading ??= import("../link/grpc_transport.ts").then(
      ({ grpcTransport }) => grpcTransport(needs),
      (cause) => {
        if (!(cause instanceof Deno.errors.NotCapable)) throw cause;
        throw new NetworkError(
          "PERMISSION_DENIED",
          "Cannot load gRPC: it reads its settings from the environment, which is not permitted. " +
            "Grant --allow-env, or give --ignore-env, which answers it with nothing.",
          { cause },
        );
      },
    );
  };
  return {
    dial: async (...args) => (await load()).dial(...args),
    measure: async (...args) => (await load()).measure(...args),
    listen: async (...args) => (await load()).listen(...args),
  };
}
