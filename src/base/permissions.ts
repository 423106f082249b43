/**
 * Permissions, asked after before they are used: where a person sits at a terminal Deno would ask
 * them otherwise, and the program would stand still until they answer.
 */

import { fileURLToPath } from "node:url";
import { NetworkError } from "./errors.ts";

/** What a permission is for: Deno's own descriptor. */
export type Permission = Deno.PermissionDescriptor;

/** Whether all of these are granted. */
export function isGranted(...permissions: readonly Permission[]): boolean {
  return permissions.every((one) => stateOf(one) === "granted");
}

/**
 * Throws unless all of these are granted.
 *
 * @param action What they are for, for the beginning of the message: `Cannot read a.json`.
 * @throws {NetworkError} `PERMISSION_DENIED` naming the flags.
 */
export function needGranted(action: string, ...permissions: readonly Permission[]): void {
  const flags = missingFlags(...permissions);
  if (flags.length === 0) return;
  throw new NetworkError(
    "PERMISSION_DENIED",
    `${action}: not permitted. Grant ${flags.join(" ")}.`,
  );
}

/** The flags of those of these that are not granted, one for each kind. */
export function missingFlags(...permissions: readonly Permission[]): string[] {
  return flagsOf(permissions.filter((one) => !isGranted(one)));
}

/** The flags that grant permissions, one for each kind: `--allow-env=HOME,PATH`. */
export function flagsOf(permissions: readonly Permission[]): string[] {
  const kinds = Map.groupBy(permissions, ({ name }) => name);
  return [...kinds].map(([name, ones]) => {
    const values = ones.map(valueOf);
    const all = values.includes(undefined);
    return `--allow-${name}${all ? "" : `=${[...new Set(values)].join(",")}`}`;
  });
}

function valueOf(permission: Permission): string | undefined {
  switch (permission.name) {
    case "read":
    case "write":
    case "ffi":
      return permission.path instanceof URL ? fileURLToPath(permission.path) : permission.path;
    case "net":
    case "import":
      return permission.host;
    case "env":
      return permission.variable;
    case "sys":
      return permission.kind;
    case "run":
      return permission.command?.toString();
  }
}

function stateOf(permission: Permission): Deno.PermissionState {
  try {
    return Deno.permissions.querySync(permission).state;
  } catch {
    // Some hosts that can be dialled cannot be asked after, such as one with a zone: then the whole
    // network must be granted.
    return permission.name === "net" && permission.host !== undefined
      ? stateOf({ name: "net" })
      : "denied";
  }
}
