/** The permission sets of `deno.json`, as they are and less one grant. */

/** A set, as `deno.json` has it. */
export type PermissionSet = Readonly<Partial<Record<PermissionKind, true | readonly string[]>>>;

/** A kind of permission that some set has. */
export type PermissionKind = (typeof KINDS)[number];

/** One thing that a set grants. */
export interface Grant {
  readonly kind: PermissionKind;
  /** Undefined: all of that kind. */
  readonly value: string | undefined;
}

/** In the order in which documents name them. */
const KINDS = ["net", "read", "write", "env", "sys", "run"] as const;

/** The set of each command. */
export async function permissionSets(): Promise<Record<string, PermissionSet>> {
  const config = new URL("../../deno.json", import.meta.url);
  return JSON.parse(await Deno.readTextFile(config)).permissions;
}

/** All that a set grants, one by one. */
export function grantsOf(set: PermissionSet): Grant[] {
  return KINDS.flatMap((kind): Grant[] => {
    const values = set[kind];
    if (values === undefined) return [];
    return values === true
      ? [{ kind, value: undefined }]
      : values.map((value) => ({ kind, value }));
  });
}

/**
 * Grants as flags of Deno's.
 *
 * @param named What is put in the place of values, such as of paths.
 */
export function flagsOf(
  grants: readonly Grant[],
  named: Readonly<Record<string, string>> = {},
): string[] {
  const kinds = Map.groupBy(grants, ({ kind }) => kind);
  return [...kinds].map(([kind, ones]) => {
    const values = ones.flatMap(({ value }) => value === undefined ? [] : [named[value] ?? value]);
    return `--allow-${kind}${values.length === 0 ? "" : `=${values.join(",")}`}`;
  });
}
