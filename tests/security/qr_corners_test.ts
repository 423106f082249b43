/** Codes drawn straight: however they are seen, each module is where it belongs. */

import { assert, assertEquals } from "@std/assert";
import { seededRandom } from "../../src/base/random.ts";
import type { GreyPicture } from "../../src/security/grey_picture.ts";
import { straightCodes } from "../../src/security/qr_corners.ts";
import { drawPng } from "../../src/security/qr_drawing.ts";
import { clutter, fromPng, type Grey, mirrored, squareFromAside, tilted } from "./photograph.ts";

const DRAWN = fromPng(await drawPng("HANZO:1/".padEnd(150, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")));
/** As {@linkcode drawPng} draws: 8 pixels for each module, four modules around. */
const SIZE = DRAWN.width / 8 - 8;
/** What is left around a straight code, in shares of its side. */
const MARGIN = 0.12;

function picture({ width, height, data }: Grey): GreyPicture {
  return { width, height, data: Uint8Array.from(data) };
}

function seen(turn: number, tilt: number, axis: number): Grey {
  return tilted(DRAWN, 800, 640, squareFromAside([400, 320], 480, turn, tilt, axis));
}

/** Which share of the modules is dark where it should be light, or light where dark. */
function wrongShare({ width, data }: GreyPicture): number {
  let wrong = 0;
  for (let row = 0; row < SIZE; row++) {
    for (let column = 0; column < SIZE; column++) {
      const [x, y] = [column, row].map((module) =>
        Math.floor(((module + 0.5) / SIZE + MARGIN) / (1 + 2 * MARGIN) * width)
      );
      const [u, v] = [column, row].map((module) => (module + 4) * 8 + 4);
      if ((data[y * width + x] < 128) !== (DRAWN.data[v * DRAWN.width + u] < 128)) wrong++;
    }
  }
  return wrong / SIZE ** 2;
}

for (const tilt of [0, 20, 35, 45]) {
  Deno.test(`a code tilted by ${tilt}° is drawn straight, whichever way it is turned`, () => {
    for (let turn = 0; turn < 360; turn += 40) {
      for (const axis of [10, 75, 130]) {
        const [first] = straightCodes(picture(seen(turn, tilt, axis)));
        assert(first !== undefined, `no code at ${turn}°, axis ${axis}°`);
        const wrong = wrongShare(first);
        assert(wrong < 0.03, `${(100 * wrong).toFixed(1)} % wrong at ${turn}°, axis ${axis}°`);
      }
    }
  });
}

Deno.test("a code in a mirror is drawn right the second time", () => {
  const [first, second] = straightCodes(picture(mirrored(seen(20, 10, 30))));
  assert(wrongShare(first) > 0.3);
  assert(wrongShare(second) < 0.03);
});

Deno.test("where there is no code, nothing is drawn", () => {
  for (const seed of [1, 2, 3, 4]) {
    const table = clutter(640, 480, seededRandom(seed));
    assertEquals([...straightCodes(picture(table))].length, 0);
  }
});
