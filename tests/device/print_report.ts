/** Prints this machine's report and reading as JSON, with whatever permissions it was given. */

import { detectDevice } from "../../src/device/detect.ts";
import { DeviceReader } from "../../src/device/reading.ts";

const [report, reading] = await Promise.all([
  detectDevice(),
  new DeviceReader({ sampleMs: 1 }).read(),
]);
console.log(JSON.stringify({ report, reading }));
