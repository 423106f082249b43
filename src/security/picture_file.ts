/** Pictures as files bring them, PNG and JPEG, made grey; bounded before anything is unpacked. */

import { Buffer } from "node:buffer";
import { describeError, NetworkError } from "../base/errors.ts";
import { safeName } from "../base/safe_text.ts";
import type { GreyPicture } from "./grey_picture.ts";

/** What a file may have at most, in bytes. */
export const MAX_PICTURE_BYTES: number = 16 * 1024 * 1024;
/** What a picture may have at most, in pixels: more than a telephone takes, 160 MB unpacked. */
export const MAX_PICTURE_PIXELS: number = 40_000_000;

/** What a PNG may have unpacked, in bytes: the most pixels, in colour and with transparency. */
const MAX_UNPACKED_BYTES = 4 * MAX_PICTURE_PIXELS;
/**
 * What the JPEG decoder may count, in bytes: the most pixels, with colours as cameras store them.
 * The process takes about twice as much.
 */
const MAX_JPEG_MEMORY = 640 * 1024 * 1024;
/** A progressive JPEG has about ten; each costs time for all pixels, however few its bytes. */
const MAX_JPEG_SCANS = 32;

const PNG_BEGINNING = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const JPEG_BEGINNING = [0xff, 0xd8, 0xff];
/** What people have besides, by how it begins; `.` stands for any byte. */
const OTHER_KINDS: readonly [RegExp, string][] = [
  [/^....ftyp(heic|heix|heim|hevc|mif1|msf1)/s, "a HEIC picture, as iPhones take them"],
  [/^....ftypavi[fs]/s, "an AVIF picture"],
  [/^RIFF....WEBP/s, "a WebP picture"],
  [/^GIF8/, "a GIF picture"],
  [/^BM/, "a BMP picture"],
  [/^(II\*\0|MM\0\*)/, "a TIFF picture"],
  [/^%PDF/, "a PDF"],
  [/^(\xef\xbb\xbf)?\s*<(\?xml|!DOCTYPE svg|svg)/i, "an SVG drawing"],
];
/** Samples of a pixel by the PNG's type of colour. */
const PNG_SAMPLES: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Whether a file begins like PNG or JPEG. */
export function isPicture(bytes: Uint8Array): boolean {
  return beginsWith(bytes, PNG_BEGINNING) || beginsWith(bytes, JPEG_BEGINNING);
}

/**
 * The picture in a file of PNG or JPEG. What is transparent becomes white.
 *
 * @throws {NetworkError} `INVALID_ARGUMENT` when it is neither, is damaged, or has more bytes or
 * pixels than it may, which is seen before they are unpacked.
 */
export async function decodePicture(bytes: Uint8Array): Promise<GreyPicture> {
  if (bytes.length > MAX_PICTURE_BYTES) {
    throw tooLarge(`it has more than ${MAX_PICTURE_BYTES / 2 ** 20} MiB`);
  }
  if (!isPicture(bytes)) throw notAPicture(bytes);
  const isPng = beginsWith(bytes, PNG_BEGINNING);
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    return await (isPng ? decodePng(file) : decodeJpeg(file));
  } catch (thrown) {
    if (thrown instanceof NetworkError) throw thrown;
    throw damaged(isPng, safeName(describeError(thrown), 200), thrown);
  }
}

async function decodePng(file: Buffer): Promise<GreyPicture> {
  // Signature, then a first chunk with 13 bytes: size, depth, type of colour, …, interlaced or not.
  if (file.length < 33) throw damaged(true, "it ends within its first lines");
  const [width, height] = [file.readUInt32BE(16), file.readUInt32BE(20)];
  checkSize(true, width, height);
  const [depth, samples, isInterlaced] = [file[24], PNG_SAMPLES[file[25]] ?? 4, file[28] !== 0];
  const unpacked = Math.ceil(width * samples * depth / 8) * height;
  if (unpacked > MAX_UNPACKED_BYTES) throw tooLarge("its pixels have 16 bits for each colour");
  const { data, end } = pngData(file);
  if (isInterlaced) {
    // pngjs bounds what it inflates only when a picture is not interlaced. Interlacing makes at
    // most twice as many rows, each with a byte of its own and up to a byte of padding.
    const { inflateSync } = await import("node:zlib");
    inflateSync(data, { maxOutputLength: unpacked + 4 * height + 64 });
  }
  const { PNG }: PngPackage = await import("pngjs");
  const { data: rgba } = PNG.sync.read(file.subarray(0, end));
  const grey = new Uint8Array(width * height);
  for (let i = 0, at = 0; i < grey.length; i++, at += 4) {
    const light = (rgba[at] + 2 * rgba[at + 1] + rgba[at + 2]) >> 2;
    grey[i] = 255 - (255 - light) * rgba[at + 3] / 255;
  }
  return { width, height, data: grey };
}

/** A PNG's compressed pixels, and where it ends: cameras put things of their own behind it. */
function pngData(file: Buffer): { data: Buffer; end: number } {
  const parts: Buffer[] = [];
  let headers = 0;
  let at = PNG_BEGINNING.length;
  while (at + 12 <= file.length) {
    const length = file.readUInt32BE(at);
    const type = file.toString("latin1", at + 4, at + 8);
    // Of two, pngjs would believe the one that is not checked here.
    if (type === "IHDR" && ++headers > 1) throw damaged(true, "it says two sizes");
    if (type === "IDAT") parts.push(file.subarray(at + 8, at + 8 + length));
    at += length + 12;
    if (type === "IEND") return { data: Buffer.concat(parts), end: at };
  }
  throw damaged(true, "its end is missing");
}

async function decodeJpeg(file: Buffer): Promise<GreyPicture> {
  const { width, height, samples } = jpegSize(file);
  checkSize(false, width, height);
  // jpeg-js keeps each sample in 4 bytes and again in 1, and the picture twice in 3 for each pixel.
  const memory = 5 * samples + 6 * width * height;
  if (memory > MAX_JPEG_MEMORY) {
    throw tooLarge(`it has ${width} × ${height} pixels in full colour`);
  }
  let scans = 0;
  for (let at = file.indexOf(JPEG_SCAN); at !== -1; at = file.indexOf(JPEG_SCAN, at + 2)) scans++;
  if (scans > MAX_JPEG_SCANS) throw tooLarge(`it is made of ${scans} layers`);
  const { decode }: JpegPackage = (await import("jpeg-js")).default;
  const { data: rgb } = decode(file, {
    useTArray: true,
    formatAsRGBA: false,
    maxResolutionInMP: MAX_PICTURE_PIXELS / 1e6,
    // Room for its tables and for edges; a second frame that says another size finds none.
    maxMemoryUsageInMB: 16 + 1.25 * memory / 2 ** 20,
  });
  const grey = new Uint8Array(width * height);
  if (rgb.length !== 3 * grey.length) throw damaged(false, "it says two sizes");
  for (let i = 0, at = 0; i < grey.length; i++, at += 3) {
    grey[i] = (rgb[at] + 2 * rgb[at + 1] + rgb[at + 2]) >> 2;
  }
  return { width, height, data: grey };
}

/** Begins the entropy-coded data; within that, 0xff stands only before 0x00 and 0xd0 to 0xd7. */
const JPEG_SCAN = Buffer.from([0xff, 0xda]);

/**
 * What a JPEG's first frame header says (ITU-T T.81, B.2.2): its size in pixels, and its samples,
 * of which the colours may have fewer than there are pixels.
 */
function jpegSize(file: Buffer): { width: number; height: number; samples: number } {
  let at = 2;
  while (at + 10 <= file.length) {
    const marker = file[at + 1];
    if (file[at] !== 0xff || marker === 0xff || marker === 0) at++;
    else if (marker === 1 || (marker >= 0xd0 && marker <= 0xd9)) at += 2;
    else if (marker < 0xc0 || marker > 0xc2) at += 2 + file.readUInt16BE(at + 2);
    else {
      const [height, width] = [file.readUInt16BE(at + 5), file.readUInt16BE(at + 7)];
      const densities = Array.from({ length: file[at + 9] }, (_, i) => {
        const density = file[at + 11 + 3 * i] ?? 0;
        return (density >> 4) * (density & 15);
      });
      const all = densities.reduce((sum, density) => sum + density, 0);
      const samples = width * height * all / Math.max(1, ...densities);
      return { width, height, samples };
    }
  }
  throw damaged(false, "its size is missing");
}

function checkSize(isPng: boolean, width: number, height: number): void {
  if (width === 0 || height === 0) throw damaged(isPng, "it has no pixels");
  if (width * height > MAX_PICTURE_PIXELS) {
    throw tooLarge(
      `it has ${width} × ${height} pixels, more than ${MAX_PICTURE_PIXELS / 1e6} million`,
    );
  }
}

function beginsWith(bytes: Uint8Array, beginning: readonly number[]): boolean {
  return beginning.every((byte, i) => bytes[i] === byte);
}

/** What these bytes are when they are a picture that cannot be read here. */
export function otherKindOf(bytes: Uint8Array): string | undefined {
  const beginning = String.fromCharCode(...bytes.subarray(0, 64));
  return OTHER_KINDS.find(([pattern]) => pattern.test(beginning))?.[1];
}

function notAPicture(bytes: Uint8Array): NetworkError {
  const kind = otherKindOf(bytes);
  return new NetworkError(
    "INVALID_ARGUMENT",
    "Cannot read a code from the picture: it is " +
      (kind === undefined ? "neither PNG nor JPEG" : `${kind}, not PNG or JPEG`) +
      ". Save it as one of these, or take a picture of the screen.",
  );
}

function tooLarge(why: string): NetworkError {
  return new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot read a code from the picture: ${why}. Make it smaller, or cut the code out of it.`,
  );
}

function damaged(isPng: boolean, why: string, cause?: unknown): NetworkError {
  return new NetworkError(
    "INVALID_ARGUMENT",
    `Cannot read a code from the picture: the ${isPng ? "PNG" : "JPEG"} is damaged (${why}). ` +
      "Save or take it again.",
    { cause },
  );
}

/** What is used of pngjs. */
interface PngPackage {
  PNG: { sync: { read(file: Buffer): { data: Uint8Array } } };
}

/** What is used of jpeg-js. */
interface JpegPackage {
  decode(
    file: Uint8Array,
    options: {
      useTArray: true;
      formatAsRGBA: boolean;
      maxResolutionInMP: number;
      maxMemoryUsageInMB: number;
    },
  ): { data: Uint8Array };
}
