"""A stand-in for existing peers (exo before 1.0, hanzo-network), as far as a neighbour can tell.

    foreign_peer.py serve NODE_ID [TO_ID]   serves NodeService on loopback, prints its port
    foreign_peer.py call PORT               calls every method there, prints what came of each
    foreign_peer.py beacons HOST PORT       sends one beacon of each kind
    foreign_peer.py peer KIND NODE_ID HOST PORT [UDP_PORT]
                                            sends beacons there, listens on its own port, by default
                                            any that is free, and prints each node that it would list

What is printed is one JSON value per line. Each ends by itself, after a minute at the latest.
"""

import json
import socket
import struct
import sys
import time
import uuid
from concurrent import futures

import grpc

LIFETIME_S = 60
BEACON_EVERY_S = 0.25
SERVICE = "node_service.NodeService"
OPTIONS = [
    ("grpc.max_send_message_length", 256 * 1024 * 1024),
    ("grpc.max_receive_message_length", 256 * 1024 * 1024),
]
CAPABILITIES = {
    "model": "Linux Box (Device: CPU)",
    "chip": "Unknown Chip (Device: CPU)",
    "memory": 24105,
    "flops": {"fp32": 1.5, "fp16": 3.0, "int8": 0.0},
}


# --- protobuf, by hand ---------------------------------------------------------------------------


def varint(value):
    out = bytearray()
    value &= 0xFFFFFFFFFFFFFFFF
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def double(field, value):
    return varint(field << 3 | 1) + struct.pack("<d", value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def fields(message):
    """The fields of a message: lists by number; texts and messages as bytes."""
    found = {}
    at = 0

    def read_varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = read_varint()
        if tag & 7 == 0:
            value = read_varint()
        elif tag & 7 == 1:
            (value,) = struct.unpack("<d", message[at : at + 8])
            at += 8
        elif tag & 7 == 2:
            length = read_varint()
            value = message[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {tag & 7}")
        found.setdefault(tag >> 3, []).append(value)
    return found


def pack_capabilities(of):
    flops = of["flops"]
    rates = double(1, flops["fp32"]) + double(2, flops["fp16"]) + double(3, flops["int8"])
    return data(1, of["model"]) + data(2, of["chip"]) + number(3, of["memory"]) + data(4, rates)


def unpack_topology(message):
    found = fields(message)
    nodes, graph = {}, {}
    for entry in found.get(1, []):
        entry = fields(entry)
        device = fields(entry[2][0])
        rates = fields(device.get(4, [b""])[0])
        nodes[entry[1][0].decode()] = {
            "model": device.get(1, [b""])[0].decode(),
            "memory": device.get(3, [0])[0],
            "fp16": rates.get(2, [0.0])[0],
        }
    for entry in found.get(2, []):
        entry = fields(entry)
        connections = fields(entry.get(2, [b""])[0]).get(1, [])
        graph[entry[1][0].decode()] = [fields(one)[1][0].decode() for one in connections]
    return {"nodes": nodes, "graph": graph}


# --- gRPC ----------------------------------------------------------------------------------------


def say(value):
    print(json.dumps(value), flush=True)


def start_server(node_id, to_id, host="127.0.0.1"):
    """Serves what is called of a peer, and tells of each question for the topology."""

    def collect(request, _context):
        asked = fields(request)
        visited = [one.decode() for one in asked.get(1, [])]
        say({"event": "asked", "visited": visited, "maxDepth": asked.get(2, [0])[0]})
        connection = data(1, to_id) + data(2, "Ethernet (eth0)")
        nodes = data(1, data(1, node_id) + data(2, pack_capabilities(CAPABILITIES)))
        graph = data(2, data(1, node_id) + data(2, data(1, connection)))
        return nodes + graph

    methods = {
        "HealthCheck": lambda _request, _context: number(1, 1),
        "CollectTopology": collect,
        "SendOpaqueStatus": lambda _request, _context: b"",
        "SendResult": lambda _request, _context: b"",
    }
    handlers = {name: grpc.unary_unary_rpc_method_handler(serve) for name, serve in methods.items()}
    server = grpc.server(
        futures.ThreadPoolExecutor(8), options=OPTIONS, compression=grpc.Compression.Gzip
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port(f"{host}:0")
    server.start()
    return server, port


def open_channel(address):
    return grpc.insecure_channel(address, options=OPTIONS, compression=grpc.Compression.Gzip)


def invoke(channel, method, request, timeout=5):
    """The answer, or the status' name and details."""
    try:
        return channel.unary_unary(f"/{SERVICE}/{method}")(request, timeout=timeout)
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details()}


def call(port):
    visited = [str(uuid.UUID(int=i)) for i in range(50)]
    query = b"".join(data(1, one) for one in visited) + number(2, 4)
    status = json.dumps({"type": "node_status", "node_id": "exo-a", "text": "busy " * 100})
    # Longer than a node of Hanzo Network takes in one message; of what compresses, and what not.
    zeros = data(1, bytes(32 * 1024 * 1024))
    noise = data(1, struct.pack("<I", 0x9E3779B9) + uuid.uuid4().bytes * (2 * 1024 * 1024))
    tensor = data(2, noise)
    with open_channel(f"127.0.0.1:{port}") as channel:
        say({
            "HealthCheck": fields(invoke(channel, "HealthCheck", b"")).get(1),
            "CollectTopology": unpack_topology(invoke(channel, "CollectTopology", query)),
            "SendOpaqueStatus": len(
                invoke(channel, "SendOpaqueStatus", data(1, "request") + data(2, status))
            ),
            "SendResult": len(invoke(channel, "SendResult", data(1, "r") + data(2, b"\1\2\3"))),
            "SendLongResult": [
                len(invoke(channel, "SendResult", data(1, "r") + data(3, long), timeout=30))
                for long in (zeros, noise)
            ],
            "SendPrompt": invoke(channel, "SendPrompt", data(2, "hello")),
            "SendTensor": invoke(channel, "SendTensor", tensor, timeout=30),
            "SendExample": invoke(channel, "SendExample", b""),
            "HealthCheckAgain": fields(invoke(channel, "HealthCheck", b"")).get(1),
        })


# --- beacons -------------------------------------------------------------------------------------


def beacon(kind, node_id, grpc_port=50051, udp_port=5678):
    common = {"type": "discovery", "node_id": node_id, "device_capabilities": CAPABILITIES}
    if kind == "hanzo-network":
        return common | {"listen_port": udp_port, "timestamp": time.time()}
    return common | {
        "grpc_port": grpc_port,
        "priority": 4,
        "interface_name": "eth0",
        "interface_type": "Ethernet",
    }


def would_list(kind, message):
    """Whether a peer of that kind would take the beacon as it is."""
    if message["type"] != "discovery" or not isinstance(message["node_id"], str):
        return False
    if kind == "hanzo-network":
        return isinstance(message["listen_port"], int)
    device = message["device_capabilities"]
    return (
        all(isinstance(message[name], int) for name in ("grpc_port", "priority"))
        and all(isinstance(message[name], str) for name in ("interface_name", "interface_type"))
        and all(isinstance(device[name], str) for name in ("model", "chip"))
        and isinstance(device["memory"], int)
        and all(isinstance(device["flops"][name], (int, float)) for name in ("fp32", "fp16", "int8"))
    )


def is_healthy(address):
    with open_channel(address) as channel:
        answer = invoke(channel, "HealthCheck", b"")
    return isinstance(answer, bytes) and fields(answer).get(1) == [1]


def be_peer(kind, node_id, host, port, udp_port=0):
    # Whoever sends to this machine only is heard and called by it only.
    own = "127.0.0.1" if host.startswith("127.") else "0.0.0.0"
    server, grpc_port = start_server(node_id, "nobody", own) if kind == "exo" else (None, 0)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # On Linux a broadcast of the loopback reaches only who is bound to it, or to everything.
    receiver.bind((host if host == "127.255.255.255" else own, udp_port))
    receiver.settimeout(BEACON_EVERY_S)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    udp_port = receiver.getsockname()[1]
    say({"event": "ready", "grpcPort": grpc_port, "udpPort": udp_port})
    listed = {node_id}
    next_beacon = 0
    end = time.monotonic() + LIFETIME_S
    while time.monotonic() < end:
        if time.monotonic() >= next_beacon:
            next_beacon = time.monotonic() + BEACON_EVERY_S
            datagram = json.dumps(beacon(kind, node_id, grpc_port, udp_port)).encode()
            sender.sendto(datagram, (host, port))
        try:
            bytes_, (source, _) = receiver.recvfrom(65_507)
            message = json.loads(bytes_)
            if message["node_id"] in listed or not would_list(kind, message):
                continue
        except (TimeoutError, ValueError, KeyError, TypeError):
            continue
        # One admits whoever is healthy, the other whoever is heard.
        if kind == "exo" and not is_healthy(f"{source}:{message['grpc_port']}"):
            continue
        listed.add(message["node_id"])
        say({"event": "listed", "nodeId": message["node_id"], "host": source})
    if server is not None:
        server.stop(None)


def main(command, *args):
    if command == "serve":
        server, port = start_server(args[0], args[1] if len(args) > 1 else "nobody")
        say({"event": "ready", "grpcPort": port})
        server.wait_for_termination(LIFETIME_S)
    elif command == "call":
        call(int(args[0]))
    elif command == "beacons":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for kind, node_id in (("exo", "exo-a"), ("hanzo-network", "hz-a")):
                sender.sendto(json.dumps(beacon(kind, node_id)).encode(), (args[0], int(args[1])))
    elif command == "peer":
        be_peer(*args[:3], *map(int, args[3:]))
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
