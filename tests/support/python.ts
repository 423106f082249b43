/** The Python of this machine, for peers in another language. */

/** A Python that has grpcio; Debian's is asked, too, where another comes first in the path. */
export async function findPythonWithGrpc(): Promise<string | undefined> {
  for (const python of ["python3", "/usr/bin/python3"]) {
    try {
      const { success } = await new Deno.Command(python, {
        args: ["-c", "import grpc"],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).output();
      if (success) return python;
    } catch {
      // Not installed.
    }
  }
}

/** What is missing for {@linkcode pythonWithStubs}, and how to get it. */
export const NO_STUBS =
  "Python with gRPC, or what makes its stubs, is missing: apt-get install python3-grpcio " +
  "protobuf-compiler protobuf-compiler-grpc";

/**
 * Makes the stubs of `proto/` for Python, as the examples say.
 *
 * @param directory Where they are written.
 * @returns The Python, and what it needs to find them; undefined where something is missing.
 */
export async function pythonWithStubs(
  directory: string,
): Promise<{ python: string; env: Record<string, string> } | undefined> {
  const python = await findPythonWithGrpc();
  const proto = new URL("../../proto/", import.meta.url).pathname;
  try {
    const { stdout } = await new Deno.Command("which", { args: ["grpc_python_plugin"] }).output();
    const plugin = new TextDecoder().decode(stdout).trim();
    const { success } = await new Deno.Command("protoc", {
      args: [
        `-I${proto}`,
        `--python_out=${directory}`,
        `--grpc_out=${directory}`,
        `--plugin=protoc-gen-grpc=${plugin}`,
        `${proto}hanzo_network_v1.proto`,
      ],
      stderr: "null",
    }).output();
    if (!success || python === undefined) return undefined;
    return { python, env: { PYTHONPATH: directory, PYTHONDONTWRITEBYTECODE: "1" } };
  } catch {
    return undefined;
  }
}
