/** A code by which another device joins, and its pictures. */

import { drawPng, drawSvg, drawTerminal } from "../security/qr_drawing.ts";

/** What a {@linkcode JoinQr} is made of. */
export interface JoinQrFields {
  /** `HANZO:1/…`: a secret, as long as it is good. */
  readonly uri: string;
  /** `invite`: for one device, for minutes. `static`: the key itself. */
  readonly kind: "invite" | "static";
  /** When it ends, in milliseconds since 1970; null when it never does. */
  readonly expiresAt: number | null;
  readonly networkName: string;
}

/** See the top of the file. */
export class JoinQr implements JoinQrFields {
  readonly uri: string;
  readonly kind: "invite" | "static";
  readonly expiresAt: number | null;
  readonly networkName: string;

  /**
   * Takes what the code says.
   *
   * @param fields What it says.
   */
  constructor({ uri, kind, expiresAt, networkName }: JoinQrFields) {
    this.uri = uri;
    this.kind = kind;
    this.expiresAt = expiresAt;
    this.networkName = networkName;
  }

  /**
   * The lines that a terminal of 80 × 24 shows it with.
   *
   * @param options.colours Black on white, whatever the terminal's colours are; without them it is
   * for light letters on a dark ground.
   */
  terminal({ colours = true }: { colours?: boolean } = {}): string[] {
    return drawTerminal(this.uri, { colours });
  }

  /** As an SVG document. */
  svg(): string {
    return drawSvg(this.uri);
  }

  /** As a PNG file. */
  async png(): Promise<Uint8Array> {
    return await drawPng(this.uri);
  }
}

/**
 * Prints a code to the terminal.
 *
 * @param options.print Takes each line. By default the console.
 */
export function printQr(
  qr: JoinQr,
  { print = (line) => console.log(line) }: { print?: (line: string) => void } = {},
): void {
  const colours = Deno.stdout.isTerminal() && !Deno.noColor;
  for (const line of qr.terminal({ colours })) print(line);
}
