"""Runs agents of a Hanzo Network from Python.

    hanzo-network up                       a node, on this machine or another
    hanzo-network key client my-script     its files: ca.pem, client.pem, client.key, server-name
    protoc -I proto --python_out=examples --grpc_out=examples \\
        --plugin=protoc-gen-grpc="$(which grpc_python_plugin)" proto/hanzo_network_v1.proto
    python3 examples/python_client.py my-script 127.0.0.1:5681 "6 * 7" calculator

With the word "cancel" behind it, a run is stopped as soon as the first piece of its answer comes.

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


def run(network, prompt, agent, cancels=False):
    """Runs an agent and prints what it says while it says it."""
    events = network.Run(hanzo.RunRequest(prompt=prompt, agent=agent), timeout=60)
    for event in events:
        match event.WhichOneof("event"):
            case "routed":
                print(f"on {event.routed.node_id}, because {event.routed.reason}")
            case "token":
                print(event.token.text, end="", flush=True)
                if cancels:
                    # The work ends wherever it runs; so does this loop, with CANCELLED.
                    events.cancel()
            case "result":
                print(f"\n{agent} says: {event.result.output}")


def main(directory, address, prompt="6 * 7", agent="calculator", cancel=""):
    try:
        with connect(directory, address) as channel:
            network = NetworkStub(channel)
            for one in network.ListAgents(hanzo.ListAgentsRequest(), timeout=10).agents:
                print(f"{one.name} on {', '.join(one.nodes)}: {one.description}")
            run(network, prompt, agent, cancels=cancel == "cancel")
    except OSError as error:
        sys.exit(f"Cannot read the files of the client: {error}. Make them: key client NAME")
    except grpc.RpcError as error:
        trailers = dict(error.trailing_metadata() or [])
        sys.exit(f"{trailers.get('hanzo-code', error.code().name)}: {error.details()}")


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 6:
        print("usage: python_client.py DIRECTORY HOST:PORT [PROMPT [AGENT [cancel]]]", file=sys.stderr)
        sys.exit(2)
    main(*sys.argv[1:])
