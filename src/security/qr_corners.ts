/**
 * Where the three corner patterns of a QR code are in a picture, and the code drawn straight.
 *
 * The package `qr` takes any three patterns that lie squarely for a code's, so that of 240 codes
 * photographed from up to 40° aside it read 116. These are found by what does not change with the
 * point of view: a dark patch, in a light ring, in a dark ring that touches nothing.
 */

import { darkPatches, type Patches } from "./dark_patches.ts";
import { type GreyPicture, type Point, redrawn } from "./grey_picture.ts";

/** One corner pattern: a dark square, a light ring and a dark ring, 3, 5 and 7 modules wide. */
interface Corner {
  readonly middle: Point;
  /** Pixels of the dark ring, which has 24 modules. */
  readonly area: number;
  /** The number of the dark ring among the patches. */
  readonly ring: number;
}

/** The corners of a code as it lies. */
type Triple = readonly [topLeft: Corner, topRight: Corner, bottomLeft: Corner];

// Bounds of what perspective and blur do to the patterns, found on 400 synthetic photographs.
const RING_TO_SQUARE = { least: 1.3, most: 5 }; // 24 : 9 = 2.7 when nothing disturbs it
const OFF_CENTRE_MODULES = 1.2;
const AREA_SPREAD = 4;
const LEAST_SINE = 0.5;
// Corners are `size - 7` modules apart; versions 1 to 10 (21 to 57 modules), and room for errors.
const MODULES_APART = { least: 10, most: 60 };
// Clutter has patterns by chance; more than these cost time and bring nothing.
const MAX_CORNERS = 12;
const MAX_TRIPLES = 3;
// What a straightened code is drawn in, and how much of the code's side is left around it. 720
// pixels are 9 to 17 for each module of versions 4 to 10; 560 read a fifth fewer of small codes.
const STRAIGHT_SIDE = 720;
const MARGIN = 0.12;

/**
 * What may be codes in a picture, each drawn as seen from straight above; the likelier the earlier,
 * each followed by itself in a mirror.
 */
export function* straightCodes(picture: GreyPicture): Generator<GreyPicture> {
  const patches = darkPatches(picture);
  for (const triple of triples(cornersOf(picture, patches))) {
    const quad = outline(picture, patches, triple);
    if (quad === undefined) continue;
    const [topLeft, topRight, bottomRight, bottomLeft] = quad;
    for (const corners of [quad, [topLeft, bottomLeft, bottomRight, topRight] as const]) {
      const place = squareToQuad(...corners);
      if (place === undefined) continue;
      const scale = (1 + 2 * MARGIN) / STRAIGHT_SIDE;
      yield redrawn(
        picture,
        STRAIGHT_SIDE,
        STRAIGHT_SIDE,
        (x, y) => place(x * scale - MARGIN, y * scale - MARGIN),
      );
    }
  }
}

/** The patches that have one and the same patch around them in all four directions. */
function cornersOf({ width, height }: GreyPicture, patches: Patches): Corner[] {
  const { numbers, areas, sumX, sumY } = patches;
  const corners: Corner[] = [];
  for (let square = 1; square < areas.length; square++) {
    const area = areas[square];
    if (area < 9) continue;
    const [x, y] = [sumX[square] / area, sumY[square] / area];
    const [column, row] = [Math.round(x), Math.round(y)];
    const start = row * width + column;
    if (numbers[start] !== square) continue;
    // From the middle to the ring it is 2.5 modules, or 3.5 across; the square's side has 3.
    const reach = Math.ceil(Math.sqrt(area) * 1.8) + 2;
    const ring = nextPatch(numbers, start, 1, Math.min(reach, width - 1 - column));
    if (
      ring === 0 || nextPatch(numbers, start, -1, Math.min(reach, column)) !== ring ||
      nextPatch(numbers, start, width, Math.min(reach, height - 1 - row)) !== ring ||
      nextPatch(numbers, start, -width, Math.min(reach, row)) !== ring
    ) continue;
    const ratio = areas[ring] / area;
    if (ratio < RING_TO_SQUARE.least || ratio > RING_TO_SQUARE.most) continue;
    const [ringX, ringY] = [sumX[ring] / areas[ring], sumY[ring] / areas[ring]];
    const module = Math.sqrt(areas[ring] / 24);
    if (Math.hypot(ringX - x, ringY - y) > OFF_CENTRE_MODULES * module) continue;
    const middle = { x: (x + ringX + 1) / 2, y: (y + ringY + 1) / 2 };
    corners.push({ middle, area: areas[ring], ring });
  }
  return corners;
}

/** The first other patch on the way from a pixel; 0 when there is none within `reach` pixels. */
function nextPatch(numbers: Int32Array, start: number, step: number, reach: number): number {
  const own = numbers[start];
  let inLight = false;
  for (let i = 1; i <= reach; i++) {
    const number = numbers[start + i * step];
    if (number === 0) inLight = true;
    else if (number !== own) return number;
    else if (inLight) return 0;
  }
  return 0;
}

/** Corners that can belong to one code, the most regular first. */
function triples(corners: readonly Corner[]): Triple[] {
  const largest = [...corners].sort((a, b) => b.area - a.area).slice(0, MAX_CORNERS);
  const found: { triple: Triple; error: number }[] = [];
  for (const [i, a] of largest.entries()) {
    for (const [j, b] of largest.entries()) {
      for (const c of largest.slice(j + 1)) {
        if (j <= i) continue;
        const judged = judge([a, b, c]);
        if (judged !== undefined) found.push(judged);
      }
    }
  }
  found.sort((a, b) => a.error - b.error);
  return found.slice(0, MAX_TRIPLES).map(({ triple }) => triple);
}

function judge(three: readonly Corner[]): { triple: Triple; error: number } | undefined {
  const areas = three.map(({ area }) => area);
  const spread = Math.max(...areas) / Math.min(...areas);
  // The top left one is opposite the longest side.
  const sides = three.map((_, i) => distance(three[(i + 1) % 3], three[(i + 2) % 3]));
  const first = sides.indexOf(Math.max(...sides));
  const topLeft = three[first];
  let [topRight, bottomLeft] = three.filter((_, i) => i !== first);
  const turn = cross(
    minus(topRight.middle, topLeft.middle),
    minus(bottomLeft.middle, topLeft.middle),
  );
  if (turn < 0) [topRight, bottomLeft] = [bottomLeft, topRight];
  const [across, down] = [distance(topLeft, topRight), distance(topLeft, bottomLeft)];
  const sine = Math.abs(turn) / (across * down);
  const module = Math.sqrt((areas[0] + areas[1] + areas[2]) / 72);
  const modules = Math.sqrt(across * down) / module;
  if (
    spread > AREA_SPREAD || !(sine >= LEAST_SINE) ||
    modules < MODULES_APART.least || modules > MODULES_APART.most
  ) return undefined;
  const error = Math.log(spread) + Math.abs(Math.log(across / down)) + (1 - sine);
  return { triple: [topLeft, topRight, bottomLeft], error };
}

/**
 * The code's four corners, clockwise from the top left: the fourth is where the outer edges of the
 * two patterns beside it meet.
 */
function outline(
  picture: GreyPicture,
  patches: Patches,
  [topLeft, topRight, bottomLeft]: Triple,
): [Point, Point, Point, Point] | undefined {
  const across = minus(topRight.middle, topLeft.middle);
  const down = minus(bottomLeft.middle, topLeft.middle);
  const rings = [topLeft, topRight, bottomLeft].map((corner) => ringOf(picture, patches, corner));
  const [a, b, c] = rings.map((ring, i) =>
    ringCorners(ring, [topLeft, topRight, bottomLeft][i].middle, across, down)
  );
  const right = fittedEdge(rings[1], b[1], b[2]);
  const bottom = fittedEdge(rings[2], c[2], c[3]);
  const bottomRight = right && bottom && meetingPoint(...right, ...bottom);
  return bottomRight && [a[0], b[1], bottomRight, c[3]];
}

/** The middles of a ring's pixels. */
function ringOf(
  { width, height }: GreyPicture,
  { numbers }: Patches,
  { middle, ring, area }: Corner,
): Point[] {
  // A square ring's corner is 5 modules from its middle, its area's root 4.9.
  const reach = Math.ceil(Math.sqrt(area) * 1.6) + 2;
  const [left, top] = [Math.floor(middle.x) - reach, Math.floor(middle.y) - reach];
  const [right, bottom] = [left + 2 * reach, top + 2 * reach];
  const pixels: Point[] = [];
  for (let y = Math.max(0, top); y <= Math.min(bottom, height - 1); y++) {
    for (let x = Math.max(0, left); x <= Math.min(right, width - 1); x++) {
      if (numbers[y * width + x] === ring) pixels.push({ x: x + 0.5, y: y + 0.5 });
    }
  }
  return pixels;
}

/** A ring's outermost pixels along the code's diagonals, clockwise from the top left. */
function ringCorners(ring: readonly Point[], middle: Point, across: Point, down: Point): Point[] {
  const best = [-Infinity, -Infinity, -Infinity, -Infinity];
  const corners = [middle, middle, middle, middle];
  for (const pixel of ring) {
    const offset = minus(pixel, middle);
    // How far along the code's own axes, but for a common factor.
    const [u, v] = [cross(offset, down), cross(across, offset)];
    for (const [i, score] of [-u - v, u - v, u + v, v - u].entries()) {
      if (score > best[i]) [best[i], corners[i]] = [score, pixel];
    }
  }
  return corners;
}

/**
 * Two points of the edge of a ring that goes clockwise from one corner to the next. A pixel at the
 * corner is easily off by one, which is six times as much at the other end of the code: so the edge
 * is the line that fits best (least squares) to the outermost pixels along the middle part of it.
 */
function fittedEdge(ring: readonly Point[], from: Point, to: Point): [Point, Point] | undefined {
  const along = minus(to, from);
  const length = Math.hypot(along.x, along.y);
  const outermost = new Map<number, number>();
  for (const pixel of ring) {
    const offset = minus(pixel, from);
    const place = Math.round((offset.x * along.x + offset.y * along.y) / length);
    if (place < 0.15 * length || place > 0.85 * length) continue;
    const outwards = cross(offset, along) / length;
    if (outwards > (outermost.get(place) ?? -Infinity)) outermost.set(place, outwards);
  }
  const [places, offsets] = [[...outermost.keys()], [...outermost.values()]];
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [place, offset] = [mean(places), mean(offsets)];
  const slope = mean(places.map((one, i) => (one - place) * (offsets[i] - offset))) /
    mean(places.map((one) => (one - place) ** 2));
  if (!Number.isFinite(slope)) return undefined;
  const pointAt = (at: number): Point => {
    const [u, v] = [at / length, (offset + slope * (at - place)) / length];
    return { x: from.x + along.x * u + along.y * v, y: from.y + along.y * u - along.x * v };
  };
  return [pointAt(0), pointAt(length)];
}

/** Where the line through `a` and `b` meets the one through `c` and `d`. */
function meetingPoint(a: Point, b: Point, c: Point, d: Point): Point | undefined {
  const [ab, cd] = [minus(b, a), minus(d, c)];
  const t = cross(minus(c, a), cd) / cross(ab, cd);
  return Number.isFinite(t) ? { x: a.x + ab.x * t, y: a.y + ab.y * t } : undefined;
}

/**
 * Where a place of the unit square is in a quadrilateral seen in perspective (P. Heckbert,
 * Fundamentals of Texture Mapping and Image Warping, 1989, section 2.2.3).
 */
function squareToQuad(
  a: Point,
  b: Point,
  c: Point,
  d: Point,
): ((u: number, v: number) => Point) | undefined {
  const [cb, cd] = [minus(b, c), minus(d, c)];
  const sum = { x: a.x - b.x + c.x - d.x, y: a.y - b.y + c.y - d.y };
  const [g, h] = [cross(sum, cd) / cross(cb, cd), cross(cb, sum) / cross(cb, cd)];
  if (!Number.isFinite(g) || !Number.isFinite(h)) return undefined;
  const alongU = { x: b.x - a.x + g * b.x, y: b.y - a.y + g * b.y };
  const alongV = { x: d.x - a.x + h * d.x, y: d.y - a.y + h * d.y };
  return (u, v) => {
    const w = g * u + h * v + 1;
    return {
      x: (alongU.x * u + alongV.x * v + a.x) / w,
      y: (alongU.y * u + alongV.y * v + a.y) / w,
    };
  };
}

function minus(a: Point, b: Point): Point {
  return { x: a.x - b.x, y: a.y - b.y };
}

function cross(a: Point, b: Point): number {
  return a.x * b.y - a.y * b.x;
}

function distance(a: Corner, b: Corner): number {
  return Math.hypot(a.middle.x - b.middle.x, a.middle.y - b.middle.y);
}
