/** Which permissions a node was not granted, and what it therefore cannot do. */

import { threadFiles } from "../agents/builtin/calculator_thread.ts";
import { flagsOf, isGranted, missingFlags, type Permission } from "../base/permissions.ts";
import { mayRun } from "../device/command.ts";
import { TOOLS } from "../device/tools.ts";

/** Flags that were not given, and what is missing without them. */
export interface MissingPermission {
  /** As they are typed: `--allow-sys=loadavg`. */
  readonly flag: string;
  readonly without: string;
}

/** What a node would do that permissions are for. */
export interface PermissionNeeds {
  /** Whether it talks to other machines. */
  readonly lan: boolean;
  /** Where it keeps its files; undefined: nowhere. */
  readonly dataDirectory: string | undefined;
  /** Which tools it asks: those of `linux`, `darwin` or `windows`. @default {Deno.build.os} */
  readonly os?: string;
}

/** What a node that was not granted everything does without. */
export function missingPermissions(needs: PermissionNeeds): MissingPermission[] {
  const { lan, dataDirectory: path, os = Deno.build.os } = needs;
  const files: Permission[] = path === undefined
    ? []
    : [{ name: "read", path }, { name: "write", path }];
  const thread = threadFiles();
  return [
    ...missing("only some addresses can be talked to", ...addresses(lan)),
    ...missing("its key and whom it has met are forgotten when it stops", ...files),
    ...missing(
      "it looks for peers on this machine only, and makes no invites",
      ...sys("networkInterfaces"),
    ),
    ...missing("it is not called like its machine", ...sys("hostname")),
    ...missing("this device's memory is unknown", ...sys("systemMemoryInfo")),
    ...missing("how busy this device is, is unknown", ...sys("cpus")),
    ...(os === "windows" ? [] : missing("its load average is unknown", ...sys("loadavg"))),
    ...missing("how long this device has been up, is unknown", ...sys("osUptime")),
    ...(os !== "windows" && isGranted({ name: "run", command: "df" })
      ? []
      : missing("how full its disk is, is unknown", ...sys("statfs"))),
    ...missingTools(os),
    ...(thread === undefined
      ? []
      : missing("the calculator cannot be started", { name: "read", path: thread })),
  ];
}

/** The same where no node runs: what keeps the doctor from seeing what one would use. */
export function missingHostPermissions(): MissingPermission[] {
  return missing("only the loopback of this machine is known", ...sys("networkInterfaces"));
}

/** Tools that are there and may not be asked. */
function missingTools(os: string): MissingPermission[] {
  const forbidden = (TOOLS[os] ?? []).filter((command) => !mayRun(command));
  if (forbidden.length > 0) {
    const [flag] = flagsOf(forbidden.map((command) => ({ name: "run", command })));
    return [{ flag, without: "what they say of this device is unknown" }];
  }
  // PowerShell does not start without it.
  if (os !== "windows") return [];
  return missing("what this device is, is unknown", { name: "env", variable: "SystemRoot" });
}

function addresses(lan: boolean): Permission[] {
  if (lan) return [{ name: "net" }];
  // Beacons on the loopback go to its last address.
  return [{ name: "net", host: "127.0.0.1" }, { name: "net", host: "127.255.255.255" }];
}

function sys(kind: Deno.SysPermissionDescriptor["kind"]): Permission[] {
  return [{ name: "sys", kind }];
}

/** Names only what is missing; of several that are for the same, all that are. */
function missing(without: string, ...permissions: readonly Permission[]): MissingPermission[] {
  const flags = missingFlags(...permissions);
  return flags.length === 0 ? [] : [{ flag: flags.join(" "), without }];
}
