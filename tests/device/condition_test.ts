/** What holds a device back, as each system's tools say it. */

import { assertEquals } from "@std/assert";
import type { CommandRunner } from "../../src/device/command.ts";
import {
  AT_EASE,
  ConditionReader,
  type DeviceCondition,
  parseLinux,
  parsePmsetBattery,
  parsePmsetThermal,
  parseWin32Battery,
} from "../../src/device/condition.ts";
import { NetworkError } from "../../src/base/errors.ts";

/** A machine whose tools print this; by the last of their arguments. */
function machine(outputs: Record<string, string>): CommandRunner {
  return (_, args) => {
    const stdout = outputs[args.at(-1)!];
    if (stdout === undefined) {
      throw new NetworkError("NOT_FOUND", "Cannot run it: it is not there.");
    }
    return Promise.resolve({ code: stdout === "" ? 1 : 0, stdout });
  };
}

const PI = "/sys/devices/platform/soc/soc:firmware/get_throttled";
const PC = "/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count";
const LAPTOP =
  "POWER_SUPPLY_NAME=BAT0\nPOWER_SUPPLY_TYPE=Battery\nPOWER_SUPPLY_STATUS=Discharging\n" +
  "POWER_SUPPLY_CAPACITY=41\n";

Deno.test("a laptop's battery, a Pi's weak supply and a PC's heat are seen on Linux", async () => {
  const read = (outputs: Record<string, string>) =>
    new ConditionReader({ os: "linux", run: machine(outputs) }).read();
  const on = { onBattery: true, batteryPercent: 41, throttled: false };
  assertEquals(await read({ [PI]: LAPTOP, [PC]: "0\n" }), on);
  assertEquals(await read({ [PI]: "0x50005\n" }), { ...AT_EASE, throttled: true });
  assertEquals(await read({ [PI]: "50000\n" }), AT_EASE, "it was so once");
  assertEquals(await read({}), AT_EASE, "no tool is there");
  assertEquals(await read({ [PI]: "", [PC]: "" }), AT_EASE, "no file is there");
});

Deno.test("a PC is throttled while the count of that grows", async () => {
  const outputs = { [PI]: "", [PC]: "1200" };
  const reader = new ConditionReader({ os: "linux", run: machine(outputs) });
  const throttled: boolean[] = [];
  for (const count of ["1200", "1200", "1207", "1207"]) {
    outputs[PC] = count;
    throttled.push((await reader.read()).throttled);
  }
  assertEquals(throttled, [false, false, true, false]);
});

Deno.test("two batteries are one, and a mouse's is not the machine's", () => {
  const two =
    `${LAPTOP}POWER_SUPPLY_NAME=BAT1\nPOWER_SUPPLY_STATUS=Unknown\nPOWER_SUPPLY_CAPACITY=99`;
  assertEquals(parseLinux(two), { onBattery: true, batteryPercent: 70, throttledNow: false });
  const mouse = `POWER_SUPPLY_SCOPE=Device\n${LAPTOP}`;
  assertEquals(parseLinux(mouse), { onBattery: false, batteryPercent: null, throttledNow: false });
});

Deno.test("a Mac says what it draws from, and whether it is slowed down", async () => {
  const battery = "Now drawing from 'Battery Power'\n" +
    " -InternalBattery-0 (id=4653155)\t87%; discharging; 5:12 remaining present: true\n";
  const mains = "Now drawing from 'AC Power'\n" +
    " -InternalBattery-0 (id=4653155)\t100%; charged; 0:00 remaining present: true\n";
  assertEquals(parsePmsetBattery(battery), { onBattery: true, batteryPercent: 87 });
  assertEquals(parsePmsetBattery(mains), { onBattery: false, batteryPercent: 100 });
  assertEquals(parsePmsetBattery("Now drawing from 'AC Power'\n"), {
    onBattery: false,
    batteryPercent: null,
  });
  assertEquals(parsePmsetThermal("CPU_Scheduler_Limit \t= 100\nCPU_Speed_Limit \t= 78\n"), true);
  assertEquals(parsePmsetThermal("CPU_Speed_Limit = 100\n"), false);
  assertEquals(parsePmsetThermal("Note: No thermal warning level has been recorded\n"), false);
  const run = machine({ batt: battery, therm: "CPU_Speed_Limit = 50" });
  const expected: DeviceCondition = { onBattery: true, batteryPercent: 87, throttled: true };
  assertEquals(await new ConditionReader({ os: "darwin", run }).read(), expected);
});

Deno.test("Windows gives a status and a percentage, or nothing on a desktop", () => {
  assertEquals(parseWin32Battery("1\r\n63\r\n"), { onBattery: true, batteryPercent: 63 });
  assertEquals(parseWin32Battery("2\r\n100\r\n"), { onBattery: false, batteryPercent: 100 });
  assertEquals(parseWin32Battery("\r\n"), { onBattery: false, batteryPercent: null });
});
