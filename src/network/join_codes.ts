/** Makes the codes by which other devices join. */

import { Buffer } from "node:buffer";
import { NetworkError } from "../base/errors.ts";
import type { Address } from "../link/frame_stream.ts";
import { FINGERPRINT_BYTES } from "../security/identity.ts";
import { INVITE_FOR_MS, type Invites } from "../security/invites.ts";
import type { JoinCode } from "../security/join_code.ts";
import type { Trust } from "../security/trust.ts";
import { chooseInterfaces, isLoopback, type NetworkInterface } from "../transport/interfaces.ts";
import { needInterfaces } from "../transport/system_interfaces.ts";
import type { NodeDescription } from "../membership/node_description.ts";
import type { JoinQr } from "./join_qr.ts";
import { keyedTrust } from "./key_exchange.ts";
import { leavesMachine, type ResolvedOptions } from "./options.ts";

/** What a code is to be. */
export interface JoinQrOptions {
  /**
   * `"invite"` is good for one device and `validMs`, and this node must be up meanwhile; `"static"`
   * is the network's key itself, good for every device and as long as the key: guard it as such.
   *
   * @default {"invite"}
   */
  kind?: "invite" | "static";
  /**
   * For how long an invite is good, in milliseconds, 1,000 to 86,400,000.
   *
   * @default {600000}
   */
  validMs?: number;
}

/** What they are made of. */
export interface JoinCodeNeeds {
  readonly options: ResolvedOptions;
  readonly self: () => NodeDescription;
  readonly trust: () => Trust | undefined;
  readonly invites: () => Invites | undefined;
  readonly interfaces: () => readonly NetworkInterface[];
  readonly wallTime: () => number;
}

/** More addresses than a code has room for. */
const MAX_ADDRESSES = 4;

/** See {@linkcode JoinQrOptions}. */
export async function makeJoinQr(
  needs: JoinCodeNeeds,
  { kind = "invite", validMs = INVITE_FOR_MS }: JoinQrOptions,
): Promise<JoinQr> {
  const { ring, identity } = keyedTrust(needs.trust(), "make a code");
  if (!(validMs >= 1_000 && validMs <= 86_400_000)) {
    throw new NetworkError(
      "INVALID_ARGUMENT",
      `Cannot make a code: validMs is ${validMs}, expected 1000 to 86400000.`,
    );
  }
  const { nodeId, capabilities: { chip, memory, flops } } = needs.self();
  const [{ key }] = ring.keys;
  const common = {
    networkTag: key.tag,
    networkName: ring.networkName,
    nodeId,
    fingerprint: Uint8Array.from(Buffer.from(identity, "hex").subarray(0, FINGERPRINT_BYTES)),
    addresses: addressesOf(needs),
    capabilities: { chip: chip ?? "", memoryMB: memory ?? 0, fp16Tflops: flops.fp16 ?? 0 },
  };
  const code: JoinCode = kind === "static"
    ? { kind, key, ...common }
    : { kind, secret: await needs.invites()!.make(validMs), ...common };
  // What draws is needed by nobody else.
  const [{ encodeJoinCode }, { joinQr }] = await Promise.all([
    import("../security/join_code.ts"),
    import("./join_qr.ts"),
  ]);
  return joinQr({
    uri: encodeJoinCode(code),
    kind,
    expiresAt: kind === "static" ? null : needs.wallTime() + validMs,
    networkName: ring.networkName,
  });
}

/** Where this node can be dialled: the networks first, the machine itself only without any. */
function addressesOf({ options, self, interfaces }: JoinCodeNeeds): Address[] {
  const lan = leavesMachine(options);
  if (lan) needInterfaces("Cannot make a code, which says where this node is");
  const chosen = chooseInterfaces(interfaces(), { names: options.networkInterfaces, lan });
  const networks = chosen.filter((one) => !isLoopback(one));
  const { listenPort: port } = self();
  return (networks.length > 0 ? networks : chosen)
    .slice(0, MAX_ADDRESSES)
    .map(({ address: host }) => ({ host, port }));
}
