/** Reading a code of ours from a picture, as a camera takes it: turned, tilted, blurred, noisy. */

import { type Clock, systemClock } from "../base/clock.ts";
import { NetworkError } from "../base/errors.ts";
import { blurred, type GreyPicture, inverted, scaled, sharpened } from "./grey_picture.ts";
import { decodePicture } from "./picture_file.ts";
import { straightCodes } from "./qr_corners.ts";

/** How long {@linkcode readQrImage} may try. */
export interface QrReadingOptions {
  /**
   * When no further look is begun, in milliseconds from the first. All of them take 1 to 2 seconds
   * on a fast processor, whatever the picture's size, and several times as much on a small one.
   *
   * @default {10000}
   */
  timeLimitMs?: number;
  /** Keeps the time. @default {systemClock} */
  clock?: Clock;
}

/** Finds a code in a picture and says its text. */
type Decoder = (picture: GreyPicture) => string | undefined;

/** One way of looking at a picture. */
interface View {
  /** Pixels of the longer side to which the picture is scaled. */
  side: number;
  /** What makes the corner patterns stand out; without, the decoder looks for them by itself. */
  prepare?: (picture: GreyPicture) => GreyPicture;
}

const clearer = (picture: GreyPicture) => sharpened(blurred(picture, 1), 9, 2);
const muchClearer = (picture: GreyPicture) => sharpened(blurred(picture, 3), 12, 6);
const negative = (picture: GreyPicture) => inverted(clearer(picture));

// In the order of what they bring for what they cost. Of 480 synthetic photographs of 960 × 720
// pixels, 40 each of twelve kinds, they read 250, then 171, 27, 14 and 6 more; the last two are for
// codes that are small in a large picture.
const VIEWS: readonly View[] = [
  { side: 1280 },
  { side: 1280, prepare: clearer },
  { side: 1280, prepare: negative },
  { side: 640, prepare: clearer },
  { side: 1280, prepare: muchClearer },
  { side: 2560, prepare: clearer },
  { side: 2560, prepare: negative },
];
// A small picture gains nothing from being made larger than this.
const MAX_FACTOR = 2;
// Of the decoder: how many ways it tries, and for how many milliseconds, in one look.
const DECODER = { format: "I420", effort: 64, timeLimit: 500 } as const;

/**
 * The text of the code of this program that a picture shows.
 *
 * It computes on the thread that calls it, in pieces between which others may run: unpacking takes
 * up to a few seconds, each look half a second.
 *
 * @param bytes A file of PNG or JPEG.
 * @throws {NetworkError} `INVALID_ARGUMENT` when it is no such file, is too large or damaged, or
 * shows no code or one of something else.
 */
export async function readQrImage(
  bytes: Uint8Array,
  { timeLimitMs = 10_000, clock = systemClock }: QrReadingOptions = {},
): Promise<string> {
  const picture = await decodePicture(bytes);
  const decode = await loadDecoder();
  const end = clock.now() + timeLimitMs;
  let isForeign = false;
  for (const view of viewsOf(picture)) {
    for (const text of textsIn(picture, view, decode)) {
      if (/^hanzo:/i.test(text)) return text;
      isForeign = true;
    }
    if (clock.now() >= end) break;
    await new Promise<void>((resolve) => clock.after(0, resolve));
  }
  throw isForeign ? foreign() : noCode();
}

/** The views of a picture, without those that a small one makes equal to an earlier one. */
function viewsOf(picture: GreyPicture): readonly View[] {
  return VIEWS.filter(({ side, prepare }, i) =>
    !VIEWS.slice(0, i).some((earlier) =>
      earlier.prepare === prepare && factorOf(picture, earlier.side) === factorOf(picture, side)
    )
  );
}

function factorOf({ width, height }: GreyPicture, side: number): number {
  return Math.min(MAX_FACTOR, side / Math.max(width, height));
}

/** What a view shows of codes, of whatever program. */
function* textsIn(
  picture: GreyPicture,
  { side, prepare }: View,
  decode: Decoder,
): Generator<string> {
  const seen = scaled(picture, factorOf(picture, side));
  const codes = prepare === undefined ? [seen] : straightCodes(prepare(seen));
  for (const code of codes) {
    const text = decode(code) ?? (prepare && decode(muchClearer(code)));
    if (text !== undefined) yield text.trim();
  }
}

/** The package is loaded when a picture is to be read, not when a node starts. */
async function loadDecoder(): Promise<Decoder> {
  const { decodeQR } = await import("qr/decode.js");
  return (picture) => {
    try {
      return decodeQR(picture, DECODER);
    } catch {
      // It throws when it finds nothing, and when a picture is too small for it.
      return undefined;
    }
  };
}

function foreign(): NetworkError {
  return new NetworkError(
    "INVALID_ARGUMENT",
    "Cannot read a code from the picture: its QR code is of something else. Show the one that " +
      "hanzo-network invite draws.",
  );
}

function noCode(): NetworkError {
  return new NetworkError(
    "INVALID_ARGUMENT",
    "Cannot read a code from the picture: no QR code is found in it. Take it again: nearer, " +
      "straighter, in more light, with all of the code and some of the ground around it.",
  );
}
