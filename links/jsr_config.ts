/**
 * The second configuration, `deno.jsr.json`: `deno.json` without the links, for machines that reach
 * JSR and for publishing. Run as a program it writes the file anew.
 *
 * @module
 */

type Config = Record<string, unknown>;

/** The text of `deno.jsr.json` that belongs to the text of `deno.json`. */
export function jsrConfig(denoJson: string): string {
  const { links: _, publish, ...config } = JSON.parse(denoJson) as Config & { publish?: Config };
  const include = (publish?.include ?? []) as string[];
  return JSON.stringify(
    {
      ...config,
      // A lock file knows either the links or the real packages; the one in the repository has the
      // links.
      lock: false,
      exclude: [...(config.exclude as string[] | undefined ?? []), "links/"],
      publish: { ...publish, include: include.filter((path) => path !== "links/") },
    },
    null,
    2,
  ) + "\n";
}

if (import.meta.main) {
  await Deno.writeTextFile("deno.jsr.json", jsrConfig(await Deno.readTextFile("deno.json")));
}
