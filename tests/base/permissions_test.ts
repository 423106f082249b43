/** Permissions that are asked after, and named by their flags. */

import { assertEquals, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/base/errors.ts";
import { flagsOf, isGranted, missingFlags, needGranted } from "../../src/base/permissions.ts";

Deno.test("a permission is named by the flag that grants it", () => {
  const cases: [Deno.PermissionDescriptor, string][] = [
    [{ name: "net" }, "--allow-net"],
    [{ name: "net", host: "10.0.0.4:5681" }, "--allow-net=10.0.0.4:5681"],
    [{ name: "read", path: "/a b" }, "--allow-read=/a b"],
    [{ name: "write", path: "a" }, "--allow-write=a"],
    [{ name: "env", variable: "HOME" }, "--allow-env=HOME"],
    [{ name: "sys", kind: "cpus" }, "--allow-sys=cpus"],
    [{ name: "run", command: "lscpu" }, "--allow-run=lscpu"],
    [{ name: "run" }, "--allow-run"],
    [{ name: "import", host: "jsr.io" }, "--allow-import=jsr.io"],
    [{ name: "ffi", path: "a.so" }, "--allow-ffi=a.so"],
  ];
  for (const [permission, flag] of cases) assertEquals(flagsOf([permission]), [flag]);
});

Deno.test("permissions of one kind are granted by one flag", () => {
  const home = { name: "env", variable: "HOME" } as const;
  const path = { name: "env", variable: "PATH" } as const;
  assertEquals(
    flagsOf([home, { name: "net" }, path, { name: "net", host: "10.0.0.4" }, home]),
    ["--allow-env=HOME,PATH", "--allow-net"],
  );
});

Deno.test({
  name: "only what is not granted is named, and nothing is asked of anybody",
  permissions: { net: ["127.0.0.1"], env: ["HOME"], read: false },
  fn() {
    const home = { name: "env", variable: "HOME" } as const;
    const read = { name: "read", path: "a" } as const;
    assertEquals([isGranted(home), isGranted(read), isGranted(home, read)], [true, false, false]);
    assertEquals(missingFlags(home, read, { name: "net" }), ["--allow-read=a", "--allow-net"]);
    needGranted("Cannot go home", home, { name: "net", host: "127.0.0.1:80" });
    const { code, message } = assertThrows(
      () => needGranted("Cannot go", read, home, { name: "net", host: "10.0.0.1:80" }),
      NetworkError,
    );
    assertEquals([code, message], [
      "PERMISSION_DENIED",
      "Cannot go: not permitted. Grant --allow-read=a --allow-net=10.0.0.1:80.",
    ]);
  },
});

Deno.test({
  name: "a host that cannot be asked after needs the whole network",
  permissions: { net: ["127.0.0.1"] },
  fn() {
    assertEquals(isGranted({ name: "net", host: "[fe80::1%eth0]:5681" }), false);
    assertEquals(isGranted({ name: "net", host: "" }), false);
  },
});

Deno.test({
  name: "with the whole network, a host that cannot be asked after may be talked to",
  permissions: { net: true },
  fn() {
    assertEquals(isGranted({ name: "net", host: "[fe80::1%eth0]:5681" }), true);
  },
});
