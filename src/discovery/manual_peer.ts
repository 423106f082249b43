/** A node that a person has named. */
export interface ManualPeer {
  /** A host name or an IP address. */
  readonly host: string;
  /** Where it accepts links, 1 to 65,535. */
  readonly port: number;
  /** The label that is expected there, if one is. */
  readonly nodeId?: string;
}
