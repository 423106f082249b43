/** Addresses that are to be tried as long as somebody lists them, whoever may be there. */

/** One node that somebody has listed. */
export interface Seed {
  /** As it was written: a host name or an IP address. */
  readonly host: string;
  /** Where links are accepted, 1 to 65,535. */
  readonly port: number;
  /** The IP addresses of the host, best first; empty while its name cannot be resolved. */
  readonly addresses: readonly string[];
  /** The label that is expected there, if one is. */
  readonly nodeId?: string;
  /** Why it cannot be dialled at all, if that is so: its name is unknown, it is offline. */
  readonly problem?: string;
}
