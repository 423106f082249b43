/**
 * Reading codes of ours from pictures: as they are drawn, as a camera takes them, and from files
 * that are something else or are made to do harm.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import { crc32, deflateSync } from "node:zlib";
import { systemClock } from "../../src/base/clock.ts";
import { NetworkError } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import { encodeJoinCode } from "../../src/security/join_code.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { drawPng } from "../../src/security/qr_drawing.ts";
import { readQrImage } from "../../src/security/qr_reading.ts";
import {
  blurred,
  changed,
  clutter,
  faded,
  fromPng,
  type Grey,
  grey,
  inverted,
  mirrored,
  noisy,
  onto,
  rotated,
  scaled,
  smeared,
  squareFromAside,
  tilted,
  toJpeg,
  toPng,
  unevenlyLit,
} from "./photograph.ts";

const CODE = encodeJoinCode({
  kind: "static",
  key: NetworkKey.from(new Uint8Array(32).fill(5)),
  networkTag: NetworkKey.from(new Uint8Array(32).fill(5)).tag,
  networkName: "home",
  nodeId: "gpu-server",
  fingerprint: new Uint8Array(16).fill(7),
  addresses: [{ host: "192.168.1.20", port: 5681 }, { host: "10.0.0.4", port: 5681 }],
  capabilities: { chip: "NVIDIA GeForce RTX 4090", memoryMB: 131_072, fp16Tflops: 165.2 },
});
const FILE = await drawPng(CODE);
const DRAWN = fromPng(FILE);
const MIDDLE = [320, 240] as const;

/** The code on a table, 640 × 480 pixels, 360 of them for the code and the white around it. */
function seen(turn: number, tilt: number, axis = 20, side = 360): Grey {
  return tilted(DRAWN, 640, 480, squareFromAside(MIDDLE, side, turn, tilt, axis));
}

async function refusal(bytes: Uint8Array): Promise<NetworkError> {
  return await assertRejects(() => readQrImage(bytes), NetworkError);
}

Deno.test("a code reads from the PNG that is drawn of it", async () => {
  assertEquals(await readQrImage(FILE), CODE);
});

const PHOTOGRAPHS: Record<string, () => Grey> = {
  "turned by 7°": () => rotated(DRAWN, 7),
  "turned by 45°": () => rotated(DRAWN, 45),
  "upside down": () => rotated(DRAWN, 180),
  "made half as large": () => scaled(DRAWN, 0.5),
  "made three times as large": () => scaled(DRAWN, 3),
  "small in a large picture": () => onto(scaled(DRAWN, 0.5), 2400, 1800, [1900, 200], () => 90),
  "tilted by 20° and turned by 30°": () => seen(30, 20),
  "tilted by 35° and turned by 200°": () => seen(200, 35, 100),
  "out of focus by half a module": () => blurred(seen(4, 5), 3),
  "blurred by a hand that shakes": () => smeared(seen(3, 5), 6),
  "grainy": () => noisy(seen(10, 8), 45),
  "pale": () => faded(seen(10, 8), 120, 150),
  "in the light of one window": () => unevenlyLit(seen(10, 8), 0.2),
  "white on black": () => inverted(seen(10, 8)),
  "in a mirror": () => mirrored(seen(10, 8)),
  "on a table full of papers": () => {
    const table = clutter(640, 480, seededRandom(3));
    const code = tilted(DRAWN, 640, 480, squareFromAside(MIDDLE, 360, 35, 15, 60), NaN);
    return changed(code, (value, x, y) => Number.isNaN(value) ? table.data[y * 640 + x] : value);
  },
  "with all of that, a little of each": () =>
    noisy(unevenlyLit(faded(blurred(seen(35, 18), 1.5), 40, 170), 0.5), 9),
};

for (const [how, take] of Object.entries(PHOTOGRAPHS)) {
  Deno.test(`a code reads ${how}`, async () => {
    assertEquals(await readQrImage(toPng(take())), CODE);
  });
}

for (const quality of [80, 30, 12]) {
  Deno.test(`a code reads from a JPEG of quality ${quality}`, async () => {
    assertEquals(await readQrImage(toJpeg(noisy(seen(12, 10), 6), quality)), CODE);
  });
}

Deno.test("of photographs by chance, nine of ten read", async () => {
  const random = seededRandom(12);
  const between = (low: number, high: number) => low + (high - low) * random.next();
  let read = 0;
  for (let i = 0; i < 20; i++) {
    const code = seen(between(0, 360), between(0, 35), between(0, 360), between(250, 400));
    const light = unevenlyLit(faded(code, between(0, 60), between(140, 250)), between(0.4, 1));
    const picture = noisy(blurred(light, between(0, 2)), between(0, 10), random);
    const text = await readQrImage(toJpeg(picture, between(40, 90))).catch(() => undefined);
    if (text === CODE) read++;
  }
  assert(read >= 18, `${read} of 20`);
});

Deno.test("a code on nothing reads from a PNG that is transparent around it", async () => {
  const { width, height, data } = DRAWN;
  const rows = rowsOf(width, height, 2, (x, y) => [0, 255 - data[y * width + x]]);
  assertEquals(await readQrImage(png({ width, height, colour: 4, rows })), CODE);
});

Deno.test("a PNG reads with 1 or 16 bits, interlaced, and with something behind its end", async () => {
  const { width, height, data } = DRAWN;
  const isLight = (x: number, y: number) => data[y * width + x] > 127 ? 255 : 0;
  const wide = rowsOf(width, height, 2, (x, y) => [isLight(x, y), isLight(x, y)]);
  const thin = rowsOf(width / 8, height, 1, (x, y) => {
    let byte = 0;
    for (let i = 0; i < 8; i++) byte = byte << 1 | isLight(8 * x + i, y) & 1;
    return [byte];
  });
  const passes = ADAM7.map(([left, top, right, down]) =>
    rowsOf(
      Math.ceil((width - left) / right),
      Math.ceil((height - top) / down),
      1,
      (x, y) => [isLight(left + x * right, top + y * down)],
    )
  );
  const plain = Buffer.from(FILE);
  for (
    const file of [
      png({ width, height, depth: 16, rows: wide }),
      png({ width, height, depth: 1, rows: thin }),
      png({ width, height, interlaced: true, rows: Buffer.concat(passes) }),
      Buffer.concat([plain, Buffer.from("what a telephone left behind")]),
    ]
  ) assertEquals(await readQrImage(file), CODE);
});

Deno.test("beside a code of something else, ours is found", async () => {
  const other = scaled(fromPng(await drawPng("https://example.com/menu")), 1.2);
  const both = onto(DRAWN, 1100, 500, [560, 40], () => 200);
  const picture = onto(other, 1100, 500, [40, 60], (x, y) => both.data[y * 1100 + x]);
  assertEquals(await readQrImage(toPng(picture)), CODE);
});

Deno.test("a code of something else is said to be one, and its text is not shown", async () => {
  const error = await refusal(await drawPng("https://example.com/\x1b[31msecret"));
  assertEquals(error.code, "INVALID_ARGUMENT");
  assertStringIncludes(error.message, "its QR code is of something else");
  assert(!error.message.includes("example") && !error.message.includes("\x1b"));
});

Deno.test("a picture without a code is told how to be taken better", async () => {
  const table = clutter(640, 480, seededRandom(4));
  for (const picture of [noisy(table, 8), grey(1, 1, () => 0), grey(900, 2, (x) => x % 250)]) {
    const error = await refusal(toPng(picture));
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, "nearer, straighter, in more light");
  }
});

const OTHERS: Record<string, string> = {
  "neither PNG nor JPEG": "hello",
  "a HEIC picture": "\0\0\0\x18ftypheic\0\0\0\0",
  "a WebP picture": "RIFF\x24\0\0\0WEBPVP8 ",
  "a GIF picture": "GIF89a",
  "an SVG drawing": '<svg xmlns="http://www.w3.org/2000/svg"/>',
  "a PDF": "%PDF-1.7",
};
for (const [what, file] of Object.entries(OTHERS)) {
  Deno.test(`${what} is refused by that name`, async () => {
    const error = await refusal(Buffer.from(file, "latin1"));
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, what);
  });
}

Deno.test("a file of nothing is no picture", async () => {
  assertStringIncludes((await refusal(new Uint8Array())).message, "neither PNG nor JPEG");
});

Deno.test("a file of more than 16 MiB is refused unread", async () => {
  const error = await refusal(Buffer.concat([FILE, Buffer.alloc(16 * 1024 * 1024)]));
  assertEquals(error.code, "INVALID_ARGUMENT");
  assertStringIncludes(error.message, "16 MiB");
});

Deno.test("a PNG that says 60000 × 60000 costs no memory", async () => {
  const before = Deno.memoryUsage().rss;
  const error = await refusal(png({ width: 60_000, height: 60_000, rows: Buffer.alloc(100_000) }));
  assertEquals(error.code, "INVALID_ARGUMENT");
  assertStringIncludes(error.message, "60000 × 60000 pixels, more than 40 million");
  assert(Deno.memoryUsage().rss - before < 64 * 1024 * 1024);
});

Deno.test("a JPEG that says 60000 × 60000 costs no memory", async () => {
  const file = Buffer.from(toJpeg(grey(16, 16, () => 99)));
  const frame = file.indexOf(Buffer.from([0xff, 0xc0]));
  file.writeUInt16BE(60_000, frame + 5);
  file.writeUInt16BE(60_000, frame + 7);
  const error = await refusal(file);
  assertEquals(error.code, "INVALID_ARGUMENT");
  assertStringIncludes(error.message, "60000 × 60000 pixels");
});

Deno.test("a JPEG of 40 million pixels in full colour is refused: it takes a gigabyte", async () => {
  const file = Buffer.from(toJpeg(grey(16, 16, () => 99)));
  const frame = file.indexOf(Buffer.from([0xff, 0xc0]));
  file.writeUInt16BE(5_000, frame + 5);
  file.writeUInt16BE(8_000, frame + 7);
  assertStringIncludes((await refusal(file)).message, "8000 × 5000 pixels in full colour");
});

Deno.test("a picture that says a second size behind the first is not believed", async () => {
  const small = Buffer.from(png({ width: 10, height: 10, rows: Buffer.alloc(110) }));
  const large = Buffer.from(png({ width: 60_000, height: 60_000, rows: Buffer.alloc(110) }));
  const header = small.subarray(8, 33);
  assert(header.toString("latin1").includes("IHDR"));
  const two = Buffer.concat([small.subarray(0, 33), large.subarray(8)]);
  assertStringIncludes((await refusal(two)).message, "it says two sizes");

  const one = Buffer.from(toJpeg(grey(16, 16, () => 99)));
  const start = one.indexOf(Buffer.from([0xff, 0xc0]));
  const frame = Buffer.from(one.subarray(start, start + 2 + one.readUInt16BE(start + 2)));
  frame.writeUInt16BE(5_000, 5);
  frame.writeUInt16BE(8_000, 7);
  const file = Buffer.concat([one.subarray(0, start + 2 + 17), frame, one.subarray(start + 19)]);
  const before = Deno.memoryUsage().rss;
  assertStringIncludes((await refusal(file)).message, "the JPEG is damaged");
  assert(Deno.memoryUsage().rss - before < 64 * 1024 * 1024);
});

Deno.test("a small PNG that unpacks to 256 MB is not unpacked, interlaced or not", async () => {
  const rows = Buffer.alloc(256 * 1024 * 1024);
  const files = [true, false].map((interlaced) => png({ width: 10, height: 10, interlaced, rows }));
  const before = Deno.memoryUsage().rss;
  for (const file of files) {
    assertStringIncludes((await refusal(file)).message, "the PNG is damaged");
  }
  assert(Deno.memoryUsage().rss - before < 128 * 1024 * 1024);
});

Deno.test("a JPEG of a hundred layers is refused before they are unpacked", async () => {
  const file = Buffer.from(toJpeg(grey(64, 64, (x) => x)));
  const scan = file.subarray(file.indexOf(Buffer.from([0xff, 0xda])), -2);
  const layers = Array.from({ length: 100 }, () => scan);
  const error = await refusal(Buffer.concat([file.subarray(0, -2), ...layers]));
  assertEquals(error.code, "INVALID_ARGUMENT");
  assertStringIncludes(error.message, "101 layers");
});

Deno.test("a picture that is cut off or damaged is refused, and no more comes of it", async () => {
  const files = [toPng(scaled(DRAWN, 0.5)), toJpeg(scaled(DRAWN, 0.5), 30)];
  const damage = fc.tuple(
    fc.constantFrom(...files),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.array(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.nat(255))),
  );
  await fc.assert(
    fc.asyncProperty(damage, async ([file, end, changes]) => {
      const copy = Uint8Array.from(file.subarray(0, Math.ceil(file.length * end)));
      for (const [at, byte] of changes) copy[Math.floor(at * copy.length)] = byte;
      try {
        assertEquals(await readQrImage(copy, { timeLimitMs: 0 }), CODE);
      } catch (thrown) {
        assert(thrown instanceof NetworkError, `${thrown}`);
        // deno-lint-ignore no-control-regex
        assert(!/[\x00-\x1f\x7f-\x9f]/.test(thrown.message));
      }
    }),
    { numRuns: 150 },
  );
});

Deno.test("no further look is begun when the time is over", async () => {
  let time = 0;
  let looks = 0;
  const clock = {
    ...systemClock,
    now: () => time,
    after(_: number, callback: () => void) {
      time += 1_000;
      looks++;
      queueMicrotask(callback);
      return () => {};
    },
  };
  const blank = toPng(grey(320, 240, () => 128));
  await assertRejects(() => readQrImage(blank, { clock, timeLimitMs: 1_500 }), NetworkError);
  assertEquals(looks, 2);
});

/** The seven passes of an interlaced PNG: first column and row, then every how many. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** The rows of a PNG, each after its filter's number, 0. */
function rowsOf(
  width: number,
  height: number,
  bytes: number,
  pixel: (x: number, y: number) => number[],
): Buffer {
  const rows = Buffer.alloc((width * bytes + 1) * height);
  for (let y = 0, at = 0; y < height; y++) {
    at++;
    for (let x = 0; x < width; x++) for (const byte of pixel(x, y)) rows[at++] = byte;
  }
  return rows;
}

/** A PNG file of which every part is said. */
function png(
  { width, height, depth = 8, colour = 0, interlaced = false, rows }: {
    width: number;
    height: number;
    depth?: number;
    colour?: number;
    interlaced?: boolean;
    rows: Uint8Array;
  },
): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlaced ? 1 : 0], 8);
  const chunk = (type: string, content: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(type), content]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(content.length, 0);
    ends.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
  };
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", new Uint8Array()),
  ]);
}
