/** What is dark in a picture, as patches of pixels that touch each other. */

import { blurred, type GreyPicture } from "./grey_picture.ts";

/** What is dark in a picture, patch by patch. A patch's number, from 1, is its place in the lists. */
export interface Patches {
  /** For each pixel the number of its patch, 0 where it is light. */
  readonly numbers: Int32Array;
  /** How many pixels. */
  readonly areas: Int32Array;
  /** The sum of the pixels' columns. */
  readonly sumX: Float64Array;
  /** The sum of the pixels' rows. */
  readonly sumY: Float64Array;
}

// Light is compared with its mean in a window of an eighth of the picture.
const WINDOW_SHARE = 16;
// Of the noise in an even surface, what is less than this below the mean is light.
const LEAST_DARK = 2;

/**
 * The dark patches: pixels that are darker than what is around them and share an edge. Numbered in
 * two passes, with union and find (Rosenfeld and Pfaltz, 1966).
 */
export function darkPatches(picture: GreyPicture): Patches {
  const { width, height, data } = picture;
  const side = Math.max(width, height);
  const around = blurred(picture, Math.max(4, Math.round(side / WINDOW_SHARE))).data;
  const numbers = new Int32Array(width * height);
  const parents = [0];
  const find = (number: number) => {
    while (parents[number] !== number) number = parents[number] = parents[parents[number]];
    return number;
  };
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (data[i] >= around[i] - LEAST_DARK) continue;
      const left = x > 0 ? numbers[i - 1] : 0;
      const above = y > 0 ? numbers[i - width] : 0;
      if (left !== 0 && above !== 0) {
        const [a, b] = [find(left), find(above)];
        numbers[i] = parents[Math.max(a, b)] = Math.min(a, b);
      } else if (left !== 0 || above !== 0) {
        numbers[i] = left | above;
      } else {
        numbers[i] = parents.length;
        parents.push(parents.length);
      }
    }
  }
  const areas = new Int32Array(parents.length);
  const [sumX, sumY] = [new Float64Array(parents.length), new Float64Array(parents.length)];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (numbers[i] === 0) continue;
      const number = numbers[i] = find(numbers[i]);
      areas[number]++;
      sumX[number] += x;
      sumY[number] += y;
    }
  }
  return { numbers, areas, sumX, sumY };
}
