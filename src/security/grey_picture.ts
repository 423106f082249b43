/** Grey pictures and what is done to them before a code is looked for. */

/** A grey picture: one byte for each pixel, row by row, 0 black to 255 white. */
export interface GreyPicture {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** Its pixels. */
  readonly data: Uint8Array;
}

/** Where something is in a picture, in pixels, fractions included. */
export interface Point {
  /** From the left edge. */
  readonly x: number;
  /** From the top edge. */
  readonly y: number;
}

/** The picture with each pixel replaced by the mean of the square of `2 * radius + 1` around it. */
export function blurred(picture: GreyPicture, radius: number): GreyPicture {
  const { width, height } = picture;
  const sideways = new Uint8Array(width * height);
  const result = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    meanAlong(picture.data, sideways, y * width, 1, width, radius);
  }
  for (let x = 0; x < width; x++) meanAlong(sideways, result, x, width, height, radius);
  return { width, height, data: result };
}

/** The running mean of a row or column; beyond its ends the last pixel goes on. */
function meanAlong(
  from: Uint8Array,
  to: Uint8Array,
  start: number,
  step: number,
  length: number,
  radius: number,
): void {
  const at = (i: number) => from[start + Math.min(Math.max(i, 0), length - 1) * step];
  const size = 2 * radius + 1;
  let sum = size >> 1;
  for (let i = -radius; i <= radius; i++) sum += at(i);
  for (let i = 0; i < length; i++) {
    to[start + i * step] = sum / size;
    sum += at(i + radius + 1) - at(i - radius);
  }
}

/** The picture in which a pixel differs `1 + strength` times as much from the mean around it. */
export function sharpened(picture: GreyPicture, radius: number, strength: number): GreyPicture {
  const { width, height, data } = picture;
  const around = blurred(picture, radius).data;
  const result = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i++) result[i] = data[i] + strength * (data[i] - around[i]);
  return { width, height, data: new Uint8Array(result.buffer) };
}

/** The picture with black and white changed for each other. */
export function inverted({ width, height, data }: GreyPicture): GreyPicture {
  return { width, height, data: data.map((value) => 255 - value) };
}

/**
 * A part of the picture, or all of it, drawn anew in a frame of `width` times `height`.
 *
 * @param source Which place of the picture is shown at a place of the new one.
 */
export function redrawn(
  picture: GreyPicture,
  width: number,
  height: number,
  source: (x: number, y: number) => Point,
): GreyPicture {
  const { data, width: from } = picture;
  const [right, bottom] = [from - 1.001, picture.height - 1.001];
  const result = new Uint8Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const place = source(x + 0.5, y + 0.5);
      // NaN, from beyond a horizon, becomes the corner.
      const u = Math.min(Math.max(place.x - 0.5, 0) || 0, right);
      const v = Math.min(Math.max(place.y - 0.5, 0) || 0, bottom);
      const [left, top] = [Math.floor(u), Math.floor(v)];
      const [a, b, p] = [u - left, v - top, top * from + left];
      const above = data[p] * (1 - a) + data[p + 1] * a;
      const below = data[p + from] * (1 - a) + data[p + from + 1] * a;
      result[i] = above * (1 - b) + below * b;
    }
  }
  return { width, height, data: result };
}

/** The picture made `factor` times as large; for a smaller one, pixels are averaged before. */
export function scaled(picture: GreyPicture, factor: number): GreyPicture {
  const smooth = factor < 0.75 ? blurred(picture, Math.round(0.5 / factor)) : picture;
  const width = Math.max(1, Math.round(picture.width * factor));
  const height = Math.max(1, Math.round(picture.height * factor));
  return redrawn(smooth, width, height, (x, y) => ({ x: x / factor, y: y / factor }));
}
