/** What both processes of `moleculer.ts` know. */

export const CALLER = "mol-caller";
export const PEER = "mol-peer";
export const PORTS: Readonly<Record<string, number>> = { [CALLER]: 45_711, [PEER]: 45_712 };
/** Of payloads and answers. */
export const ECHO_SIZES: readonly number[] = [4_096];

/** Moleculer's own TCP transporter, without encryption, told where the other one is. */
export function transporter(port: number) {
  const urls = Object.entries(PORTS).map(([nodeId, port]) => `127.0.0.1:${port}/${nodeId}`);
  return { type: "TCP", options: { udpDiscovery: false, port, urls } };
}
