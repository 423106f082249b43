"""Runs agents of a Hanzo Network from Python.

    hanzo-network up                       a node, on this machine or another
    hanzo-network key client my-script     its files: ca.pem, client.pem, client.key, server-name
    protoc -I proto --python_out=. --grpc_out=. \\
        --plugin=protoc-gen-grpc="$(which grpc_python_plugin)" proto/hanzo_network_v1.proto
    python3 examples/python_client.py my-script 127.0.0.1:5681

On Debian: apt install python3-grpcio protobuf-compiler protobuf-compiler-grpc
"""

import sys
from pathlib import Path

import grpc
import hanzo_network_v1_pb2 as hanzo
from hanzo_network_v1_pb2_grpc import NetworkStub


def connect(directory, address):
    """A channel to the node at `address`, with the files that `key client` has written."""
    file = lambda name: (Path(directory) / name).read_bytes()
    credentials = grpc.ssl_channel_credentials(
        file("ca.pem"), file("client.key"), file("client.pem")
    )
    # Nodes are known by their network and not by their addresses.
    server_name = file("server-name").decode()
    return grpc.secure_channel(
        address, credentials, [("grpc.ssl_target_name_override", server_name)]
    )


def stream(network, prompt, agent):
    """Runs an agent and prints what it says while it says it."""
    for event in network.Run(hanzo.RunRequest(prompt=prompt, agent=agent), timeout=60):
        match event.WhichOneof("event"):
            case "routed":
                print(f"on {event.routed.node_id}, because {event.routed.reason}")
            case "token":
                print(event.token.text, end="", flush=True)
            case "result":
                print(f"\n{agent} says: {event.result.output}")


def cancel(network, prompt, agent):
    """Stops a run as soon as it has begun: the work ends, wherever it runs."""
    run = network.Run(hanzo.RunRequest(prompt=prompt, agent=agent))
    for event in run:
        if event.WhichOneof("event") == "token":
            run.cancel()
            break
    try:
        for _ in run:
            pass
    except grpc.RpcError as error:
        print(f"stopped: {error.code().name}")


def main(directory, address, prompt="6 * 7", agent="calculator", endless=None):
    with connect(directory, address) as channel:
        network = NetworkStub(channel)
        for one in network.ListAgents(hanzo.ListAgentsRequest()).agents:
            print(f"{one.name} on {', '.join(one.nodes)}: {one.description}")
        try:
            stream(network, prompt, agent)
            if endless:
                cancel(network, prompt, endless)
        except grpc.RpcError as error:
            code = dict(error.trailing_metadata()).get("hanzo-code", error.code().name)
            sys.exit(f"{code}: {error.details()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
