/** Looking for a code with a camera: which command takes the picture, what is said without one. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { createCommandRunner } from "../../src/device/command.ts";
import { type ErrorCode, NetworkError } from "../../src/base/errors.ts";
import { type CameraRunner, scanWithCamera } from "../../src/security/camera.ts";
import { drawPng } from "../../src/security/qr_drawing.ts";
import { grey, toPng } from "./photograph.ts";

const CODE = "HANZO:1/ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SHOWN = await drawPng(CODE);
const EMPTY = toPng(grey(64, 48, () => 128));

/** What a command does: writes these bytes to its file, ends with this code, or fails like that. */
type Deed = Uint8Array | number | ErrorCode;

/** A machine with some commands. Each time one runs it does its next deed, at the end the last. */
function machine(commands: Record<string, Deed | Deed[]>) {
  const calls: { command: string; args: readonly string[] }[] = [];
  const run: CameraRunner = async (command, args, { signal, timeoutMs }) => {
    assert(timeoutMs > 0);
    calls.push({ command, args });
    if (signal?.aborted) throw new NetworkError("CANCELLED", "Cannot use it: the caller gave up.");
    const deeds = [commands[command] ?? "NOT_FOUND"].flat();
    const times = calls.filter((call) => call.command === command).length;
    const deed = deeds[Math.min(times, deeds.length) - 1];
    if (typeof deed === "string") throw new NetworkError(deed, `Cannot run ${command}.`);
    if (typeof deed === "number") return { code: deed, stdout: "" };
    await Deno.writeFile(args.at(-1)!, deed);
    return { code: 0, stdout: "" };
  };
  return { run, calls, names: () => calls.map(({ command }) => command) };
}

function scan(run: CameraRunner, os = "linux", attempts?: number): Promise<string> {
  return scanWithCamera({ run, os, attempts, signal: new AbortController().signal });
}

async function failure(run: CameraRunner, os?: string, attempts?: number): Promise<NetworkError> {
  return await assertRejects(() => scan(run, os, attempts), NetworkError);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test("a Raspberry Pi takes the picture, and nothing is left of it", async () => {
  const { run, calls, names } = machine({ "rpicam-still": SHOWN });
  assertEquals(await scan(run), CODE);
  assertEquals(names(), ["rpicam-still"]);
  const [{ args }] = calls;
  assert(args.includes("-n") && args.includes("--immediate") && args.at(-2) === "-o");
  assert(!await exists(args.at(-1)!.replace(/\/[^/]+$/, "")));
});

Deno.test("an older Raspberry Pi has libcamera-still, another Linux machine ffmpeg", async () => {
  const older = machine({ "libcamera-still": SHOWN });
  assertEquals(await scan(older.run), CODE);
  assertEquals(older.names(), ["rpicam-still", "libcamera-still"]);

  const other = machine({ ffmpeg: SHOWN });
  assertEquals(await scan(other.run), CODE);
  assertEquals(other.names(), ["rpicam-still", "libcamera-still", "ffmpeg"]);
  assert(other.calls[2].args.join(" ").includes("-f v4l2 -i /dev/video0 -frames:v 1"));
});

Deno.test("a Mac takes the picture with imagesnap", async () => {
  const { run, calls } = machine({ imagesnap: SHOWN });
  assertEquals(await scan(run, "darwin"), CODE);
  assertEquals(calls[0].args.slice(0, 2), ["-w", "1"]);
});

Deno.test("a machine without a command for its camera is told what to install", async () => {
  const { run } = machine({});
  const linux = await failure(run, "linux");
  assertEquals(linux.code, "NOT_FOUND");
  assertStringIncludes(linux.message, "sudo apt install rpicam-apps");
  assertStringIncludes(linux.message, "sudo apt install ffmpeg");
  assertStringIncludes((await failure(run, "darwin")).message, "brew install imagesnap");
});

Deno.test("on Windows a file is asked for, and nothing is run", async () => {
  const { run, calls } = machine({});
  const error = await failure(run, "windows");
  assertStringIncludes(error.message, "Give a picture instead: hanzo-network join FILE");
  assertEquals(calls, []);
});

Deno.test("a camera that may not be used is denied with the flag that permits it", async () => {
  const denied = { "rpicam-still": "PERMISSION_DENIED", ffmpeg: "PERMISSION_DENIED" } as const;
  const error = await failure(machine(denied).run);
  assertEquals(error.code, "PERMISSION_DENIED");
  assertStringIncludes(error.message, "--allow-run=rpicam-still,libcamera-still,ffmpeg");
});

Deno.test("one command that is permitted is enough", async () => {
  const { run } = machine({ "rpicam-still": "PERMISSION_DENIED", ffmpeg: SHOWN });
  assertEquals(await scan(run), CODE);
});

Deno.test("a command that says that all is well and takes no picture is one that takes none", async () => {
  assertEquals(await scan(machine({ "rpicam-still": 0, ffmpeg: SHOWN }).run), CODE);
  const error = await failure(machine({ ffmpeg: 0 }).run);
  assertStringIncludes(error.message, "ffmpeg takes no picture. Is a camera connected, and free?");
});

Deno.test("where one command has no camera or hangs, another may have one", async () => {
  for (const deed of [255, "DEADLINE_EXCEEDED", "UNAVAILABLE"] as const) {
    assertEquals(await scan(machine({ "rpicam-still": deed, ffmpeg: SHOWN }).run), CODE);
  }
  const error = await failure(machine({ "rpicam-still": 255, ffmpeg: 1 }).run);
  assertEquals(error.code, "NOT_FOUND");
  assertStringIncludes(error.message, "ffmpeg takes no picture. Is a camera connected, and free?");
});

Deno.test("pictures are taken until one shows a code, all by the same command", async () => {
  const { run, names } = machine({ ffmpeg: [EMPTY, EMPTY, SHOWN] });
  assertEquals(await scan(run), CODE);
  assertEquals(names().slice(2), ["ffmpeg", "ffmpeg", "ffmpeg"]);
});

Deno.test("after so many pictures without a code it is given up, with advice", async () => {
  const { run, names } = machine({ "rpicam-still": EMPTY });
  const error = await failure(run, "linux", 3);
  assertEquals([error.code, names().length], ["NOT_FOUND", 3]);
  assertStringIncludes(error.message, "nearer, straighter and in more light");
});

Deno.test("who gives up is not waited for, and no picture stays", async () => {
  const stop = new AbortController();
  const { run, calls } = machine({ "rpicam-still": EMPTY });
  const stopping: CameraRunner = async (...call) => {
    if (calls.length === 1) stop.abort();
    return await run(...call);
  };
  const error = await assertRejects(
    () => scanWithCamera({ run: stopping, os: "linux", signal: stop.signal }),
    NetworkError,
  );
  assertEquals(error.code, "CANCELLED");
  assert(!await exists(calls[0].args.at(-1)!));
});

Deno.test("the runner of the device room fits, and says what this machine lacks", async () => {
  const run: CameraRunner = createCommandRunner();
  const nowhere: CameraRunner = (command, args, options) =>
    run(`no-such-${command}`, args, options);
  assertStringIncludes((await failure(nowhere)).message, "this machine has none of rpicam-still");
});
