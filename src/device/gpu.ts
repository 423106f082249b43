/** GPUs in general: their makers, and how a name tells the maker. */

/** Who made a GPU. */
export type GpuVendor = "nvidia" | "amd" | "apple" | "intel" | "other";

/** Every {@linkcode GpuVendor}, for reading one off the wire. */
export const GPU_VENDORS = [
  "nvidia",
  "amd",
  "apple",
  "intel",
  "other",
] as const satisfies readonly GpuVendor[];

/** More GPUs than this are not listed. The largest servers in use have 8 or 16. */
export const MAX_GPUS = 16;

/** Whose GPU a name speaks of. */
export function vendorOf(name: string): GpuVendor {
  if (/nvidia|geforce|quadro|tesla/i.test(name)) return "nvidia";
  if (/\b(?:amd|ati|advanced micro devices)\b|radeon|instinct/i.test(name)) return "amd";
  if (/\bapple\b/i.test(name)) return "apple";
  if (/\bintel\b|\b(?:iris|uhd)\b/i.test(name)) return "intel";
  return "other";
}

/** Intel's graphics share the RAM, but for its cards, which are named Arc with a number. */
export function isIntelCard(name: string): boolean {
  return /\bArc(?:\(TM\))? (?:Pro )?[AB]\d/i.test(name);
}
