/** A code by which another device joins, and its pictures. */

import { drawPng, drawSvg, drawTerminal } from "../security/qr_drawing.ts";

/** What a code says of itself. */
export interface JoinQrFields {
  /** `HANZO:1/…`: a secret, as long as it is good. */
  readonly uri: string;
  /** `invite`: for one device, for minutes. `static`: the key itself. */
  readonly kind: "invite" | "static";
  /** When it ends, in milliseconds since 1970; null when it never does. */
  readonly expiresAt: number | null;
  /** What the network is called. */
  readonly networkName: string;
}

/** A code by which another device joins, and its pictures. */
export interface JoinQr extends JoinQrFields {
  /**
   * The lines that a terminal of 80 × 24 shows it with.
   *
   * @param options.colours Black on white, whatever the terminal's colours are, which is the
   * default; without them it is for light letters on a dark ground.
   */
  terminal(options?: { colours?: boolean }): string[];
  /** As an SVG document. */
  svg(): string;
  /** As a PNG file. */
  png(): Promise<Uint8Array>;
}

/** The code with its pictures. */
export function joinQr({ uri, kind, expiresAt, networkName }: JoinQrFields): JoinQr {
  return {
    uri,
    kind,
    expiresAt,
    networkName,
    terminal: ({ colours = true } = {}) => drawTerminal(uri, { colours }),
    svg: () => drawSvg(uri),
    png: () => drawPng(uri),
  };
}
