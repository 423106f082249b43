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
