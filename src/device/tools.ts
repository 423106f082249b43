/** The commands that a device is asked by. */

/**
 * By system, as `Deno.build.os` calls it: what is run to find out what a device is and what it is
 * doing. `df`, which stands in for Deno's own figures, is not among them.
 */
export const TOOLS: Readonly<Record<string, readonly string[]>> = {
  linux: ["amd-smi", "cat", "lscpu", "lspci", "nvidia-smi", "rocm-smi"],
  darwin: ["netstat", "pmset", "sysctl", "system_profiler"],
  windows: ["nvidia-smi", "powershell"],
};
