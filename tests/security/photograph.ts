/**
 * Pictures of a code as a camera would take them: turned, tilted, blurred, noisy, badly lit.
 *
 * @module
 */

import { encode as encodeJpeg } from "jpeg-js";
import { Buffer } from "node:buffer";
// @ts-types="npm:@types/pngjs@^6.0.0"
import { PNG } from "pngjs";
import { type Random, seededRandom } from "../../src/base/random.ts";

/** A grey picture, row by row, 0 black to 255 white; between two steps it may go beyond. */
export interface Grey {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** A point of a picture: pixels from the left and from the top. */
export type Point = readonly [x: number, y: number];

/** The picture of a PNG, in grey. */
export function fromPng(bytes: Uint8Array): Grey {
  const { width, height, data } = PNG.sync.read(Buffer.from(bytes));
  return grey(width, height, (x, y) => data[(y * width + x) * 4]);
}

/** A picture whose pixels a function says. */
export function grey(width: number, height: number, at: (x: number, y: number) => number): Grey {
  const data = new Float32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) for (let x = 0; x < width; x++) data[i++] = at(x, y);
  return { width, height, data };
}

/** The picture with its pixels changed one by one. */
export function changed(
  picture: Grey,
  change: (value: number, x: number, y: number) => number,
): Grey {
  const { width, height, data } = picture;
  return grey(width, height, (x, y) => change(data[y * width + x], x, y));
}

/** What is at a place between pixels (bilinear); outside of the picture, `outside`. */
function sample({ width, height, data }: Grey, x: number, y: number, outside: number): number {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const pixel = (px: number, py: number) =>
    px < 0 || py < 0 || px >= width || py >= height ? outside : data[py * width + px];
  const [right, down] = [x - left, y - top];
  const above = pixel(left, top) * (1 - right) + pixel(left + 1, top) * right;
  const below = pixel(left, top + 1) * (1 - right) + pixel(left + 1, top + 1) * right;
  return above * (1 - down) + below * down;
}

/** The picture made `factor` times as large; each new pixel is the mean of what it covers. */
export function scaled(picture: Grey, factor: number): Grey {
  const parts = Math.max(1, Math.ceil(1 / factor));
  const [width, height] = [picture.width, picture.height].map((side) => Math.round(side * factor));
  return grey(width, height, (x, y) => {
    let sum = 0;
    for (let j = 0; j < parts; j++) {
      for (let i = 0; i < parts; i++) {
        const [u, v] = [x + (i + 0.5) / parts, y + (j + 0.5) / parts];
        sum += sample(picture, u / factor - 0.5, v / factor - 0.5, 255);
      }
    }
    return sum / (parts * parts);
  });
}

/** The picture turned clockwise about its middle, in a frame that holds it all. */
export function rotated(picture: Grey, degrees: number, background = 150): Grey {
  const [sin, cos] = [Math.sin(degrees * Math.PI / 180), Math.cos(degrees * Math.PI / 180)];
  const [w, h] = [picture.width, picture.height];
  const [width, height] = [
    Math.ceil(Math.abs(w * cos) + Math.abs(h * sin)),
    Math.ceil(Math.abs(w * sin) + Math.abs(h * cos)),
  ];
  return grey(width, height, (x, y) => {
    const [dx, dy] = [x - (width - 1) / 2, y - (height - 1) / 2];
    const [u, v] = [dx * cos + dy * sin + (w - 1) / 2, dy * cos - dx * sin + (h - 1) / 2];
    return sample(picture, u, v, background);
  });
}

/**
 * The picture as it looks from the side: its corners lie at `corners` (clockwise from the top
 * left), on a ground of `background`.
 */
export function tilted(
  picture: Grey,
  width: number,
  height: number,
  corners: readonly [Point, Point, Point, Point],
  background = 150,
): Grey {
  const map = inverseHomography(corners);
  return grey(width, height, (x, y) => {
    const w = map[6] * x + map[7] * y + map[8];
    const u = (map[0] * x + map[1] * y + map[2]) / w;
    const v = (map[3] * x + map[4] * y + map[5]) / w;
    if (u < 0 || v < 0 || u > 1 || v > 1) return background;
    return sample(picture, u * picture.width - 0.5, v * picture.height - 0.5, 255);
  });
}

/** Maps a quadrilateral onto the unit square: the adjugate of Heckbert's square-to-quad (1989). */
function inverseHomography([[x0, y0], [x1, y1], [x2, y2], [x3, y3]]: readonly Point[]): number[] {
  const [dx1, dx2, sx] = [x1 - x2, x3 - x2, x0 - x1 + x2 - x3];
  const [dy1, dy2, sy] = [y1 - y2, y3 - y2, y0 - y1 + y2 - y3];
  const den = dx1 * dy2 - dx2 * dy1;
  const [g, h] = [(sx * dy2 - dx2 * sy) / den, (dx1 * sy - sx * dy1) / den];
  const [a, b, c] = [x1 - x0 + g * x1, x3 - x0 + h * x3, x0];
  const [d, e, f] = [y1 - y0 + g * y1, y3 - y0 + h * y3, y0];
  return [
    e - f * h,
    c * h - b,
    b * f - c * e,
    f * g - d,
    a - c * g,
    c * d - a * f,
    d * h - e * g,
    b * g - a * h,
    a * e - b * d,
  ];
}

/** The picture on a larger ground, its top left corner at `left` and `top`. */
export function onto(
  picture: Grey,
  width: number,
  height: number,
  [left, top]: Point,
  ground: (x: number, y: number) => number,
): Grey {
  return grey(width, height, (x, y) => {
    const [u, v] = [x - left, y - top];
    const isIn = u >= 0 && v >= 0 && u < picture.width && v < picture.height;
    return isIn ? picture.data[v * picture.width + u] : ground(x, y);
  });
}

/** A table with papers on it: rectangles of chance, for a ground. */
export function clutter(width: number, height: number, random: Random): Grey {
  const papers = Array.from({ length: 60 }, () => ({
    left: random.next() * width,
    top: random.next() * height,
    width: 4 + random.next() * width / 6,
    height: 4 + random.next() * height / 6,
    shade: random.next() * 255,
  }));
  return grey(width, height, (x, y) => {
    const covers = papers.findLast(({ left, top, width, height }) =>
      x >= left && x < left + width && y >= top && y < top + height
    );
    return covers?.shade ?? 140;
  });
}

/**
 * The corners of a square that is looked at from aside, clockwise from its top left.
 *
 * @param middle Where its middle is.
 * @param side Its side in pixels, seen from straight above.
 * @param turn By how many degrees it is turned.
 * @param tilt By how many degrees it is tilted, about an axis at `axis` degrees; it is looked at
 * from two and a half times its side.
 */
export function squareFromAside(
  [left, top]: Point,
  side: number,
  turn: number,
  tilt: number,
  axis: number,
): [Point, Point, Point, Point] {
  const [turned, tilted, along] = [turn, tilt, axis].map((degrees) => degrees * Math.PI / 180);
  const corner = (x: number, y: number): Point => {
    const u = (x * Math.cos(turned - along) - y * Math.sin(turned - along)) * side / 2;
    const v = (x * Math.sin(turned - along) + y * Math.cos(turned - along)) * side / 2;
    const nearness = 2.5 * side / (2.5 * side + u * Math.sin(tilted));
    const [a, b] = [u * Math.cos(tilted) * nearness, v * nearness];
    return [
      left + a * Math.cos(along) - b * Math.sin(along),
      top + a * Math.sin(along) + b * Math.cos(along),
    ];
  };
  return [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)];
}

/** The picture out of focus: a Gaussian of `sigma` pixels. */
export function blurred(picture: Grey, sigma: number): Grey {
  if (sigma <= 0) return picture;
  const radius = Math.ceil(sigma * 3);
  const kernel = Array.from(
    { length: 2 * radius + 1 },
    (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma * sigma)),
  );
  const total = kernel.reduce((sum, weight) => sum + weight);
  const clamp = (value: number, end: number) => Math.min(Math.max(value, 0), end - 1);
  const along = (source: Grey, dx: number, dy: number) =>
    grey(source.width, source.height, (x, y) => {
      let sum = 0;
      for (let i = -radius; i <= radius; i++) {
        const [px, py] = [clamp(x + i * dx, source.width), clamp(y + i * dy, source.height)];
        sum += kernel[i + radius] * source.data[py * source.width + px];
      }
      return sum / total;
    });
  return along(along(picture, 1, 0), 0, 1);
}

/** The picture moved while it was taken: the mean along `length` pixels to the right. */
export function smeared(picture: Grey, length: number): Grey {
  return grey(picture.width, picture.height, (x, y) => {
    let sum = 0;
    for (let i = 0; i < length; i++) sum += sample(picture, x - i, y, 150);
    return sum / length;
  });
}

/** The picture with noise of a standard deviation of `sigma` (a sum of 12 uniform ones). */
export function noisy(picture: Grey, sigma: number, random: Random = seededRandom(1)): Grey {
  return changed(picture, (value) => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += random.next();
    return value + sum * sigma;
  });
}

/** The picture in the light of a window at its left: `dark` times as bright at the right. */
export function unevenlyLit(picture: Grey, dark: number): Grey {
  return changed(picture, (value, x) => value * (1 - (1 - dark) * x / picture.width));
}

/** The picture with what was 0 to 255 between `low` and `high`. */
export function faded(picture: Grey, low: number, high: number): Grey {
  return changed(picture, (value) => low + value / 255 * (high - low));
}

/** The picture with black and white changed for each other. */
export function inverted(picture: Grey): Grey {
  return changed(picture, (value) => 255 - value);
}

/** The picture as a mirror shows it. */
export function mirrored(picture: Grey): Grey {
  const { width, data } = picture;
  return changed(picture, (_, x, y) => data[y * width + width - 1 - x]);
}

/** A PNG file of the picture. */
export function toPng(picture: Grey): Uint8Array {
  const png = new PNG({ width: picture.width, height: picture.height });
  png.data.set(toRgba(picture));
  return PNG.sync.write(png);
}

/** A JPEG file of the picture; `quality` 1 to 100. */
export function toJpeg(picture: Grey, quality = 75): Uint8Array {
  const { width, height } = picture;
  return encodeJpeg({ width, height, data: toRgba(picture) }, quality).data;
}

function toRgba({ data }: Grey): Uint8Array {
  const rgba = new Uint8ClampedArray(data.length * 4);
  data.forEach((value, i) => {
    rgba.fill(value, i * 4, i * 4 + 3);
    rgba[i * 4 + 3] = 255;
  });
  return new Uint8Array(rgba.buffer);
}
