/** Codes as they are drawn: whatever shows them, a camera reads them from it. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { encodeJoinCode, MAX_CODE_LENGTH } from "../../src/security/join_code.ts";
import { NetworkKey } from "../../src/security/network_key.ts";
import { drawPng, drawSvg, drawTerminal } from "../../src/security/qr_drawing.ts";
import { readQrImage } from "../../src/security/qr_reading.ts";
import { blurred, fromPng, type Grey, grey, onto, rotated, toPng } from "./photograph.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LONGEST = "HANZO:1/".padEnd(MAX_CODE_LENGTH, ALPHABET);
const key = NetworkKey.from(new Uint8Array(32).fill(5));
const USUAL = encodeJoinCode({
  kind: "invite",
  secret: new Uint8Array(16).fill(9),
  networkTag: key.tag,
  networkName: "home",
  nodeId: "gpu-server",
  fingerprint: new Uint8Array(16).fill(7),
  addresses: [{ host: "192.168.1.20", port: 5681 }],
  capabilities: { chip: "NVIDIA GeForce RTX 4090", memoryMB: 131_072, fp16Tflops: 165.2 },
});

const SEQUENCE = "\x1b\\[[\\d;]*m";
/** The darkest and the lightest of the 256 colours. */
const SHADES: Record<number, number> = { 16: 0, 231: 255 };

/** What a terminal of 80 × 24 characters shows: each is 8 pixels wide and 16 high. */
function screen(lines: readonly string[], ground: number, letters: number): Grey {
  const cells = lines.map((line) => {
    let [ink, paper] = [letters, ground];
    const row: [upper: number, lower: number][] = [];
    for (const [part] of line.matchAll(new RegExp(`${SEQUENCE}|.`, "gu"))) {
      if (part.startsWith("\x1b")) {
        const codes = part.slice(2, -1).split(";").map(Number);
        if (codes[0] === 0) [ink, paper] = [letters, ground];
        for (const [i, code] of codes.entries()) {
          if (code === 38) ink = SHADES[codes[i + 2]];
          if (code === 48) paper = SHADES[codes[i + 2]];
        }
      } else row.push([/[█▀]/.test(part) ? ink : paper, /[█▄]/.test(part) ? ink : paper]);
    }
    return row;
  });
  return grey(80 * 8, 24 * 16, (x, y) => {
    const cell = cells[Math.floor(y / 16)]?.[Math.floor(x / 8)];
    return cell?.[y % 16 < 8 ? 0 : 1] ?? ground;
  });
}

async function read(picture: Grey): Promise<string> {
  return await readQrImage(toPng(picture));
}

for (const [which, text] of [["usual", USUAL], ["longest", LONGEST]] as const) {
  for (const [terminal, ground, letters] of [["dark", 20, 200], ["light", 250, 30]] as const) {
    Deno.test(`the ${which} code reads from a ${terminal} terminal, with and without colours`, async () => {
      const inColours = screen(drawTerminal(text, { colours: true }), ground, letters);
      assertEquals(await read(inColours), text);
      const inverted = terminal === "light";
      const plain = screen(drawTerminal(text, { colours: false, inverted }), ground, letters);
      assertEquals(await read(plain), text);
      assertEquals(await read(blurred(rotated(plain, 8, ground), 1.5)), text);
    });
  }
}

Deno.test("a code that was drawn for the other kind of terminal reads all the same", async () => {
  for (const [ground, letters, inverted] of [[20, 200, true], [250, 30, false]] as const) {
    const wrong = screen(drawTerminal(USUAL, { colours: false, inverted }), ground, letters);
    assertEquals(await read(wrong), USUAL);
  }
});

Deno.test("a code fits 80 columns and 24 lines, one of which is left for the prompt", () => {
  const arbitrary = fc.string({
    unit: fc.constantFrom(...ALPHABET),
    maxLength: MAX_CODE_LENGTH - 8,
  });
  fc.assert(
    fc.property(arbitrary, fc.boolean(), fc.boolean(), (body, colours, inverted) => {
      const lines = drawTerminal(`HANZO:1/${body}`, { colours, inverted });
      assert(lines.length <= 23, `${lines.length} lines`);
      const widths = new Set(
        lines.map((line) => line.replaceAll(new RegExp(SEQUENCE, "g"), "").length),
      );
      assertEquals(widths.size, 1);
      assert([...widths][0] <= 80);
    }),
    { numRuns: 30 },
  );
  const lines = drawTerminal(LONGEST, { colours: false });
  assertEquals([lines.length, lines[0].length], [23, 45]);
});

Deno.test("around a code in a terminal are two light modules on each side", () => {
  const lines = drawTerminal(LONGEST, { colours: false });
  assertMatch(lines[0], /^█+$/);
  assertMatch(lines.at(-1)!, /^▀+$|^█+$/);
  for (const line of lines.slice(0, -1)) assert(line.startsWith("██") && line.endsWith("██"));
});

Deno.test("colours are black on white and end with each line", () => {
  for (const line of drawTerminal(USUAL, { colours: true })) {
    assert(line.startsWith("\x1b[38;5;16;48;5;231m") && line.endsWith("\x1b[0m"));
    assertEquals(line.split("\x1b").length, 3);
  }
});

Deno.test("without colours, light is drawn on a dark ground, and dark on a light one", () => {
  const draw = (inverted: boolean) => drawTerminal(USUAL, { colours: false, inverted });
  const [dark, light] = [draw(false), draw(true)];
  const opposite: Record<string, string> = { "█": " ", " ": "█", "▀": "▄", "▄": "▀" };
  assertMatch(light[0], /^ +$/);
  for (const [i, line] of dark.slice(0, -1).entries()) {
    assertEquals([...line].map((character) => opposite[character]).join(""), light[i]);
  }
});

Deno.test("without colours there is no escape sequence", () => {
  for (const line of drawTerminal(USUAL, { colours: false })) assertMatch(line, /^[█▀▄ ]+$/);
});

Deno.test("an SVG shows the code, with four light modules around it", async () => {
  const svg = drawSvg(LONGEST);
  const side = Number(/viewBox="0 0 (\d+) \1"/.exec(svg)![1]);
  const dark = new Set([...svg.matchAll(/M(\d+) (\d+)h1v1h-1z/g)].map(([, x, y]) => `${x} ${y}`));
  for (const place of dark) {
    assert(place.split(" ").every((at) => Number(at) >= 4 && Number(at) < side - 4));
  }
  const shown = grey(
    side * 6,
    side * 6,
    (x, y) => dark.has(`${Math.floor(x / 6)} ${Math.floor(y / 6)}`) ? 0 : 255,
  );
  assertEquals(await read(shown), LONGEST);
});

Deno.test("an SVG is markup whatever the text is", () => {
  assertMatch(drawSvg(`"><script>&`), /^<svg [^<>]*>(<path [^<>]*\/>){2}<\/svg>\n$/);
});

Deno.test("a PNG reads, alone and on a page", async () => {
  for (const text of [USUAL, LONGEST]) {
    const png = await drawPng(text);
    assertEquals(await readQrImage(png), text);
    assertEquals(await read(onto(fromPng(png), 1200, 900, [500, 300], () => 30)), text);
  }
});
