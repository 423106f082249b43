/** On which interfaces a node looks for peers, and which addresses are private. */

import { assert, assertEquals } from "@std/assert";
import {
  broadcastAddress,
  chooseInterfaces,
  isLoopback,
  isPrivateAddress,
  type NetworkInterface,
  whyLeftOut,
} from "../../src/transport/interfaces.ts";
import { systemInterfaces } from "../../src/transport/system_interfaces.ts";

function one(name: string, address = "192.168.1.2", netmask = "255.255.255.0"): NetworkInterface {
  return { name, address, netmask };
}

const LOOPBACK = one("lo", "127.0.0.1", "255.0.0.0");

Deno.test("the broadcast address follows the netmask, whatever its length", () => {
  const table: [address: string, netmask: string, broadcast: string][] = [
    ["192.168.1.2", "255.255.255.0", "192.168.1.255"],
    ["10.1.2.3", "255.0.0.0", "10.255.255.255"],
    ["172.16.5.9", "255.255.240.0", "172.16.15.255"],
    ["192.168.0.130", "255.255.255.192", "192.168.0.191"],
    ["192.168.0.10", "255.255.255.252", "192.168.0.11"],
    ["169.254.3.4", "255.255.0.0", "169.254.255.255"],
    ["127.0.0.1", "255.0.0.0", "127.255.255.255"],
    ["100.64.0.7", "255.255.255.255", "100.64.0.7"],
    ["10.9.8.7", "0.0.0.0", "255.255.255.255"],
  ];
  for (const [address, netmask, broadcast] of table) {
    assertEquals(broadcastAddress(one("x", address, netmask)), broadcast, `${address}/${netmask}`);
  }
});

Deno.test("a node that may leave its machine uses every interface that leads to devices, then lo", () => {
  const devices = ["eth0", "en0", "wlan0", "br0", "vmbr0", "bond0", "tailscale0", "bridge0", "zt3"]
    .map((name) => one(name));
  const all = [LOOPBACK, ...devices];
  assertEquals(chooseInterfaces(all, { names: [], lan: true }), [...devices, LOOPBACK]);
});

Deno.test("interfaces to containers and virtual machines of this machine are left out", () => {
  for (
    const name of [
      "docker0",
      "br-4f5a6b7c8d9e",
      "veth12ab",
      "cni0",
      "cni-podman0",
      "podman1",
      "lxcbr0",
      "lxdbr0",
      "incusbr0",
      "flannel.1",
      "cali0a1",
      "weave",
      "virbr0",
      "vmnet8",
      "vboxnet0",
      "bridge100",
      "utun3",
      "awdl0",
      "llw0",
      "gif0",
      "vEthernet (WSL (Hyper-V firewall))",
      "vEthernet (Default Switch)",
      "VMware Network Adapter VMnet8",
      "VirtualBox Host-Only Network #2",
      "Hyper-V Virtual Ethernet Adapter",
    ]
  ) {
    assertEquals(
      chooseInterfaces([one(name), LOOPBACK], { names: [], lan: true }),
      [LOOPBACK],
      name,
    );
  }
});

Deno.test("an interface whose network is a single address is left out, even if it is named", () => {
  const tunnel = one("tailscale0", "100.64.0.7", "255.255.255.255");
  for (const names of [[], ["tailscale0"]]) {
    assertEquals(whyLeftOut(tunnel, { names, lan: true }), "it has no broadcast");
  }
  const loopback = one("lo", "127.0.0.1", "255.255.255.255");
  assertEquals(whyLeftOut(loopback, { names: [], lan: true }), undefined);
});

Deno.test("a node that keeps to its machine uses nothing but the loopback", () => {
  const all = [one("eth0"), LOOPBACK, one("docker0")];
  assertEquals(chooseInterfaces(all, { names: [], lan: false }), [LOOPBACK]);
});

Deno.test("interfaces that are named are used and no others, whatever they lead to", () => {
  const [docker, first, second] = [one("docker0"), one("eth0"), one("eth0", "10.0.0.2")];
  const all = [LOOPBACK, first, second, one("eth1"), docker];
  for (const lan of [true, false]) {
    assertEquals(chooseInterfaces(all, { names: ["docker0", "eth0"], lan }), [
      first,
      second,
      docker,
    ]);
    assertEquals(chooseInterfaces(all, { names: ["eth9"], lan }), []);
  }
});

Deno.test("only what the public internet does not route is private", () => {
  const table: Record<string, readonly string[]> = {
    private: [
      "127.0.0.1",
      "127.255.255.254",
      "10.0.0.0",
      "10.255.255.255",
      "192.168.0.1",
      "172.16.0.1",
      "172.31.255.255",
      "169.254.1.1",
      "100.64.0.1",
      "100.127.255.255",
      "::1",
      "fc00::1",
      "fd12:3456::1",
      "FD00::1",
      "fe80::1",
      "febf::1",
      "fe80::1%eth0",
      "::ffff:10.0.0.1",
      "::FFFF:192.168.1.1",
    ],
    public: [
      "8.8.8.8",
      "9.255.255.255",
      "11.0.0.0",
      "126.255.255.255",
      "128.0.0.1",
      "172.15.255.255",
      "172.32.0.0",
      "192.167.255.255",
      "192.169.0.0",
      "169.253.1.1",
      "100.63.255.255",
      "100.128.0.0",
      "0.0.0.0",
      "255.255.255.255",
      "::",
      "2001:db8::1",
      "fec0::1",
      "fbff::1",
      "::ffff:8.8.8.8",
      // Short groups: these are 00fc and 0fe8, not fc00 and fe80.
      "fc::1",
      "fe8:1::1",
    ],
    "no address": [
      "",
      "10",
      "10.0.0",
      "10.0.0.0.1",
      "10.0.0.256",
      "010.0.0.1",
      "10.0.0.1 ",
      "10.example.org",
      "127.0.0.1.example.org",
      "192.168.example.org",
      "fd.example.org",
      "localhost",
    ],
  };
  for (const [what, hosts] of Object.entries(table)) {
    for (const host of hosts) assertEquals(isPrivateAddress(host), what === "private", host);
  }
});

Deno.test("the loopback is all of 127.0.0.0/8, and no host whose name begins like it", () => {
  for (const address of ["127.0.0.1", "127.1.2.3", "127.255.255.255"]) {
    assert(isLoopback({ address }), address);
  }
  for (
    const address of ["128.0.0.1", "1.127.0.0", "127.example.org", "127.0.0.1.example.org", ""]
  ) {
    assert(!isLoopback({ address }), address);
  }
});

Deno.test("the system's interfaces are those of IPv4, with address and netmask", () => {
  const all = systemInterfaces();
  assert(all.some(({ address }) => address === "127.0.0.1"));
  for (const { name, address, netmask } of all) {
    assert(name !== "");
    for (const text of [address, netmask]) assert(/^\d+(\.\d+){3}$/.test(text), text);
  }
});
