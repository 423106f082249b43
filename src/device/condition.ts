/** What holds a device back for a while: its battery, heat, a weak supply. */

import { type CommandRunner, runCommand } from "./command.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { ask, type ProbeContext } from "./probe.ts";

/** What holds a device back for a while; what cannot be read holds nothing back. */
export interface DeviceCondition {
  /** Whether it runs on a battery. */
  readonly onBattery: boolean;
  /** What is left in it, 0 to 100; null without one. */
  readonly batteryPercent: number | null;
  /** Whether it was slowed down because it is too hot or gets too little power. */
  readonly throttled: boolean;
}

/** On mains, and cool. */
export const AT_EASE: DeviceCondition = Object.freeze({
  onBattery: false,
  batteryPercent: null,
  throttled: false,
});

/** What {@linkcode ConditionReader} takes. */
export interface ConditionReaderOptions {
  /** Runs the system's tools. @default {runCommand} */
  run?: CommandRunner;
  /** Keeps the time. @default {systemClock} */
  clock?: Clock;
  /** Which tools to ask. @default {Deno.build.os} */
  os?: string;
}

const TIMEOUT_MS = 2_000;
const SUPPLIES = "/sys/class/power_supply";
/** What Linux calls the batteries of PCs, of Macs and of boards with one on top. */
const BATTERIES = ["BAT0", "BAT1", "BATT", "battery", "macsmc-battery"];
/** Of a Raspberry Pi: what its firmware does about heat and a weak supply. */
const PI_THROTTLED = "/sys/devices/platform/soc/soc:firmware/get_throttled";
/** Of a PC: how often its processor was slowed down since it was started. */
const PC_THROTTLES = "/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count";
/** Now too little voltage, frequency capped, throttled, or at the soft limit of heat. */
const PI_NOW = 0b1111;

type Battery = Pick<DeviceCondition, "onBattery" | "batteryPercent">;
const NO_BATTERY: Battery = { onBattery: false, batteryPercent: null };

/** Reads a device's condition, by its system's tools. */
export class ConditionReader {
  readonly #context: ProbeContext;
  readonly #os: string;
  #throttles: number | undefined;

  /** Makes a reader, which reads nothing yet. */
  constructor(options: ConditionReaderOptions = {}) {
    const { run = runCommand, clock = systemClock, os = Deno.build.os } = options;
    this.#context = { run, clock, timeoutMs: TIMEOUT_MS };
    this.#os = os;
  }

  /** Never rejects. */
  async read(): Promise<DeviceCondition> {
    switch (this.#os) {
      case "linux":
        return await this.#readLinux();
      case "darwin":
        return await this.#readMac();
      case "windows":
        return {
          ...await this.#ask("powershell", POWERSHELL, parseWin32Battery),
          throttled: false,
        };
      default:
        return AT_EASE;
    }
  }

  async #readLinux(): Promise<DeviceCondition> {
    const files = BATTERIES.map((name) => `${SUPPLIES}/${name}/uevent`);
    // Most of them are not there: that is no failure, so the exit status says nothing.
    const text = await this.#cat(...files, PI_THROTTLED);
    const count = await this.#cat(PC_THROTTLES);
    const throttles = /^\d+$/.test(count.trim()) ? Number(count) : undefined;
    const isSlower = throttles !== undefined && this.#throttles !== undefined &&
      throttles > this.#throttles;
    this.#throttles = throttles;
    const { throttledNow, ...battery } = parseLinux(text);
    return { ...battery, throttled: throttledNow || isSlower };
  }

  async #readMac(): Promise<DeviceCondition> {
    const battery = await this.#ask("pmset", ["-g", "batt"], parsePmsetBattery);
    const throttled = await ask(this.#context, {
      command: "pmset",
      args: ["-g", "therm"],
      hint: "it is part of macOS",
      parse: parsePmsetThermal,
    });
    return { ...battery, throttled: throttled.value ?? false };
  }

  async #cat(...files: string[]): Promise<string> {
    try {
      return (await this.#context.run("cat", files, { timeoutMs: TIMEOUT_MS })).stdout;
    } catch {
      return "";
    }
  }

  async #ask(
    command: string,
    args: readonly string[],
    parse: (stdout: string) => Battery,
  ): Promise<Battery> {
    const found = await ask(this.#context, { command, args, hint: "it is part of it", parse });
    return found.value ?? NO_BATTERY;
  }
}

/** The `uevent` files of batteries, one after the other, and what a Raspberry Pi's firmware says. */
export function parseLinux(text: string): Battery & { throttledNow: boolean } {
  const values = (name: string) =>
    [...text.matchAll(new RegExp(`^POWER_SUPPLY_${name}=(.+)$`, "gm"))].map(([, value]) => value);
  // A mouse has one, too, of scope "Device".
  const isOwn = !values("SCOPE").includes("Device");
  const percents = values("CAPACITY").map(Number).filter((percent) =>
    percent >= 0 && percent <= 100
  );
  const bits = Number.parseInt(/^(?:0x)?([0-9a-f]{1,8})$/m.exec(text)?.[1] ?? "0", 16);
  return {
    ...(isOwn && percents.length > 0
      ? {
        onBattery: values("STATUS").includes("Discharging"),
        // Of two batteries one is empty before the other is begun.
        batteryPercent: Math.round(percents.reduce((sum, one) => sum + one, 0) / percents.length),
      }
      : NO_BATTERY),
    throttledNow: (bits & PI_NOW) !== 0,
  };
}

/** What `pmset -g batt` prints. */
export function parsePmsetBattery(text: string): Battery {
  const percent = /\bInternalBattery.*?(\d{1,3})%/.exec(text)?.[1];
  if (percent === undefined) return NO_BATTERY;
  return { onBattery: text.includes("'Battery Power'"), batteryPercent: Number(percent) };
}

/** What `pmset -g therm` prints: on a Mac that is cool, no limit, or one of 100. */
export function parsePmsetThermal(text: string): boolean {
  return [...text.matchAll(/_Speed_Limit\s*=\s*(\d+)/g)].some(([, percent]) =>
    Number(percent) < 100
  );
}

const POWERSHELL = [
  "-NoProfile",
  "-Command",
  "Get-CimInstance Win32_Battery | ForEach-Object { $_.BatteryStatus, $_.EstimatedChargeRemaining }",
];

/** Status and percent, a line each; nothing without a battery. Status 1 is "discharging". */
export function parseWin32Battery(text: string): Battery {
  const [status, percent] = text.trim().split(/\s+/).map(Number);
  if (!(percent >= 0 && percent <= 100)) return NO_BATTERY;
  return { onBattery: status === 1 || status === 4 || status === 5, batteryPercent: percent };
}
