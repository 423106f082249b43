/** Looks for a code with this machine's camera, by the commands that its system has for that. */

import { NetworkError } from "../base/errors.ts";
import { needGranted } from "../base/permissions.ts";
import { fileError } from "../base/private_file.ts";
import { readQrImage } from "./qr_reading.ts";

/** Runs a command to its end, as `createCommandRunner` of the device room does. */
export type CameraRunner = (
  command: string,
  args: readonly string[],
  options: { timeoutMs: number; signal?: AbortSignal },
) => Promise<{ code: number; stdout: string }>;

/** What a look with the camera stands on. */
export interface CameraOptions {
  /** Runs the system's commands. */
  readonly run: CameraRunner;
  /** Gives up. */
  readonly signal: AbortSignal;
  /**
   * The operating system, which says what the commands are.
   *
   * @default {Deno.build.os}
   */
  readonly os?: string;
  /**
   * How many pictures are taken at most.
   *
   * @default {20}
   */
  readonly attempts?: number;
  /** Where pictures are kept meanwhile. @default {the system's place for temporary files} */
  readonly directory?: string;
}

/** A command that takes one picture. */
interface CameraCommand {
  readonly name: string;
  readonly args: (file: string) => string[];
}

const FFMPEG: CameraCommand = {
  name: "ffmpeg",
  args: (file) => ["-y", "-f", "v4l2", "-i", "/dev/video0", "-frames:v", "1", file],
};
const still = (name: string): CameraCommand => ({
  name,
  // All of the sensor, but a sixth of its pixels: a code needs no more, and reads in a second.
  args: (file) => ["-n", "--immediate", "--width", "1640", "--height", "1232", "-o", file],
});

/** By system: the commands in the order in which they are tried, and how to get one. */
const COMMANDS: Record<string, { commands: readonly CameraCommand[]; install: string }> = {
  linux: {
    commands: [still("rpicam-still"), still("libcamera-still"), FFMPEG],
    install: "sudo apt install rpicam-apps on a Raspberry Pi, sudo apt install ffmpeg elsewhere",
  },
  darwin: {
    commands: [{ name: "imagesnap", args: (file) => ["-w", "1", file] }],
    install: "brew install imagesnap",
  },
};
/** A camera may take seconds to wake. */
const PICTURE_TIMEOUT_MS = 15_000;

/**
 * Takes pictures until one shows a code.
 *
 * @throws {NetworkError} `NOT_FOUND` when there is no camera or no command for it, with what to
 * install, or when no picture showed a code; `PERMISSION_DENIED` naming the flag; `CANCELLED`.
 */
export async function scanWithCamera(options: CameraOptions): Promise<string> {
  const { run, signal, os = Deno.build.os, attempts = 20 } = options;
  const known = COMMANDS[os];
  if (known === undefined) {
    throw new NetworkError(
      "NOT_FOUND",
      "Cannot use the camera: on this system there is no command for it. Give a picture instead: " +
        "hanzo-network join FILE",
    );
  }
  const dir = options.directory;
  needGranted(
    "Cannot keep the camera's pictures",
    { name: "read", path: dir },
    { name: "write", path: dir },
  );
  const directory = await Deno.makeTempDir({ dir, prefix: "hanzo-network-" }).catch((thrown) => {
    throw fileError("write", "a temporary directory", thrown);
  });
  const file = `${directory}/picture.jpg`;
  try {
    let commands = known.commands;
    let unread: unknown;
    for (let attempt = 0; attempt < attempts; attempt++) {
      const taken = await takePicture(commands, file, run, signal);
      if (taken === undefined) throw noCommand(known);
      // The one that worked is there; the others need not be tried again.
      commands = [taken];
      try {
        return await readQrImage(await Deno.readFile(file));
      } catch (thrown) {
        unread = thrown;
      }
      await Deno.remove(file).catch(() => {});
    }
    throw new NetworkError(
      "NOT_FOUND",
      `Cannot find a code: none of ${attempts} pictures shows one. Hold it nearer, straighter and ` +
        `in more light.`,
      { cause: unread },
    );
  } finally {
    await Deno.remove(directory, { recursive: true }).catch(() => {});
  }
}

/** The first command that can takes it; undefined when none is there. */
async function takePicture(
  commands: readonly CameraCommand[],
  file: string,
  run: CameraRunner,
  signal: AbortSignal,
): Promise<CameraCommand | undefined> {
  let failed: string | undefined;
  let denied = false;
  for (const command of commands) {
    try {
      const { code } = await run(command.name, command.args(file), {
        timeoutMs: PICTURE_TIMEOUT_MS,
        signal,
      });
      // Some say that all is well where there is no camera.
      if (code === 0 && await isThere(file)) return command;
      failed = command.name;
    } catch (thrown) {
      if (!(thrown instanceof NetworkError) || thrown.code === "CANCELLED") throw thrown;
      // The next one may be there, permitted, or know this camera.
      if (thrown.code === "PERMISSION_DENIED") denied = true;
      else if (thrown.code !== "NOT_FOUND") failed = command.name;
    }
  }
  if (failed !== undefined) {
    throw new NetworkError(
      "NOT_FOUND",
      `Cannot use the camera: ${failed} takes no picture. Is a camera connected, and free?`,
    );
  }
  if (denied) throw notPermitted(commands);
  return undefined;
}

async function isThere(file: string): Promise<boolean> {
  try {
    return (await Deno.stat(file)).size > 0;
  } catch {
    return false;
  }
}

function noCommand({ commands, install }: typeof COMMANDS[string]): NetworkError {
  const names = commands.map(({ name }) => name).join(", ");
  return new NetworkError(
    "NOT_FOUND",
    `Cannot use the camera: this machine has none of ${names}. Install one: ${install}.`,
  );
}

function notPermitted(commands: readonly CameraCommand[]): NetworkError {
  const names = commands.map(({ name }) => name).join(",");
  return new NetworkError(
    "PERMISSION_DENIED",
    `Cannot use the camera: not permitted. Grant --allow-run=${names}.`,
  );
}
