/**
 * The table of chips: from a name, as tools and people write it, to published peak rates.
 *
 * One convention holds for every row, that of the specification's own table, so that any two can
 * be compared:
 *
 * - FP32: the vector (shader) units at the published boost clock.
 * - FP16: dense operations with FP32 accumulation on the matrix (tensor) units, where the maker
 *   has such units; packed vector operations, twice FP32, where not; `null` where FP16 is slower
 *   than FP32, as on NVIDIA's Pascal but for the P100.
 * - INT8: twice FP16, the specification's rule. It is the published dense rate of NVIDIA's
 *   data-centre and workstation cards; GeForce cards publish twice as much. Hardware that does
 *   not reach it (AMD's RDNA 3, CDNA 1 and 2) is given as published, hardware without byte
 *   operations, or without a published rate for them, as `null`.
 *
 * Sparsity is never counted. Laptop GPUs are given at the highest boost clock of their published
 * range. The rows of the specification are taken literally, also where a maker says otherwise.
 * A figure that nobody publishes, and that arithmetic alone gives, is called an estimate in its
 * source.
 */

import { APPLE_CHIPS } from "./chips_apple.ts";
import { AMD_CHIPS } from "./chips_amd.ts";
import { GEFORCE_CHIPS } from "./chips_geforce.ts";
import { NVIDIA_CHIPS } from "./chips_nvidia.ts";
import { OTHER_CHIPS } from "./chips_other.ts";
import type { Chip, NamedChip } from "./chip.ts";

export type { Chip } from "./chip.ts";

const TABLES: readonly (readonly NamedChip[])[] = [
  APPLE_CHIPS,
  GEFORCE_CHIPS,
  NVIDIA_CHIPS,
  AMD_CHIPS,
  OTHER_CHIPS,
];

let index: Map<string, Chip> | undefined;

/** Every chip of the table, each once. */
export function knownChips(): readonly Chip[] {
  return TABLES.flatMap((table) => table.map(({ chip }) => chip));
}

/**
 * Finds a chip by its name: `NVIDIA GeForce RTX 4090`, `NVIDIA GEFORCE RTX 4090` and `RTX 4090`
 * are one; `RTX 4090 Laptop GPU` is another. Makers, trademark signs, case and spaces do not
 * count. A size of memory counts where it tells cards with different units apart: `GTX 1060 3GB`.
 *
 * A name that stands for several (`Radeon RX 7900 XT/7900 XTX`, as PCI ids have it) gives the
 * slowest of those that are known, and says so in its source.
 *
 * @example
 * ```ts
 * import { lookupChip } from "./chips.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const chip = lookupChip("NVIDIA GeForce RTX 4090");
 * assertEquals(chip?.flops, { fp32: 82.58, fp16: 165.16, int8: 330.32 });
 * assertEquals(lookupChip("abacus"), null);
 * ```
 */
export function lookupChip(name: string): Chip | null {
  const chips = index ??= buildIndex();
  const candidates = [name, ...partsOf(name)];
  for (const candidate of candidates) {
    const chip = find(candidate, chips);
    if (chip !== undefined) return chip;
  }
  return candidates.map((candidate) => slowestOf(candidate, chips)).find((chip) => chip !== null) ??
    null;
}

/** The row for the size of memory that the name has, else the one for the name without it. */
function find(name: string, chips: Map<string, Chip>): Chip | undefined {
  const words = wordsOf(name);
  return chips.get(keyOf(words)) ?? chips.get(keyOf(words.replace(SIZE, " ")));
}

function buildIndex(): Map<string, Chip> {
  const chips = new Map<string, Chip>();
  for (const { chip, names } of TABLES.flat()) {
    for (const name of names) chips.set(keyOf(wordsOf(name)), chip);
  }
  return chips;
}

/**
 * `Navi 48 [Radeon RX 9070 XT]` is a die and its card, `AMD RYZEN AI MAX+ 395 w/ Radeon 8060S` a
 * processor and the graphics on it.
 */
function partsOf(name: string): string[] {
  const card = /\[([^\]]+)\][^[]*$/.exec(name)?.[1];
  const parts = name.split(/\bw(?:\/|ith) +(?=radeon)/i);
  return [...(card === undefined ? [] : [card]), ...(parts.length > 1 ? parts : [])];
}

function slowestOf(name: string, chips: Map<string, Chip>): Chip | null {
  const parts = name.split("/").map((part) => part.trim()).filter((part) => part !== "");
  if (parts.length < 2 || /\bw$/i.test(parts[0])) return null;
  // `Radeon RX 7900 XT/7900 XTX`: the second begins where the first has its number.
  const prefix = /^\D*/.exec(parts[0])?.[0] ?? "";
  const [slowest] = parts
    .map((part) => find(part, chips) ?? find(prefix + part, chips))
    .filter((chip) => chip !== undefined)
    .sort((a, b) => (a.flops.fp32 ?? 0) - (b.flops.fp32 ?? 0));
  if (slowest === undefined) return null;
  const source = `${slowest.source}; ${slowest.name}, the slowest of "${name}"`;
  return { ...slowest, memory: null, source };
}

// Memory: 80GB, 24G, 16 GB.
const SIZE = /\b(\d+) ?g(?:i?b)?(?!\w)/g;

// Words that tell nothing about which chip it is.
const NOISE = new RegExp(
  `\\b(?:${
    [
      "nvidia|geforce|tesla|amd|ati|advanced micro devices|inc|radeon|intel|corporation|apple",
      "gpu|graphics|generation|series|processor|cpu|lite hash rate",
      "developer kit|devkit|engineering reference",
      // Raspberry Pi boards, and steppings.
      "rev \\w+(?: \\w+)*|model [ab](?: plus|\\+)?",
      // How an Instinct accelerator is packaged.
      "mcm|oam|mba|hpe|[al]c|c\\d",
    ].join("|")
  })(?!\\w)`,
  "g",
);

/** The words of a name, as every tool could have written them. */
function wordsOf(name: string): string {
  return name.toLowerCase()
    .replace(/\((?:r|tm|c)\)|[®™©]/g, " ")
    .replace(/\b(?:mobile *\/ *max-q|max-q *\/ *mobile|mobile)\b/g, "laptop")
    .replace(/[^a-z0-9+]+/g, " ");
}

/** The words without all that does not tell chips apart; equal for equal chips. */
function keyOf(words: string): string {
  return words
    .replace(SIZE, " $1gb ")
    .replace(NOISE, " ")
    .replace(/[^a-z0-9]+/g, "");
}
