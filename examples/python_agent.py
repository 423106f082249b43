"""Serves agents written in Python: a node of this machine offers them to its network as its own.

    protoc -I proto --python_out=examples --grpc_out=examples \\
        --plugin=protoc-gen-grpc="$(which grpc_python_plugin)" proto/hanzo_network_v1.proto
    python3 examples/python_agent.py 50051
    hanzo-network up --agent-url 127.0.0.1:50051
    hanzo-network run "how often is each letter here" --agent letters

On Debian: apt install python3-grpcio protobuf-compiler protobuf-compiler-grpc
"""

import json
import sys
import time
from collections import Counter
from concurrent import futures

import grpc
import hanzo_network_v1_pb2 as hanzo
from hanzo_network_v1_pb2_grpc import NetworkServicer, add_NetworkServicer_to_server


def count(request, context):
    """An answer in pieces. Whoever cancels, or is lost, stops it at the next piece."""
    if not request.prompt.isdigit():
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "How far? Give a number.")
    print("counting", flush=True)
    try:
        for number in range(1, int(request.prompt) + 1):
            yield hanzo.RunEvent(token=hanzo.Token(text=f"{number} "))
            time.sleep(0.02)
    finally:
        print("counted", flush=True)


def letters(request, context):
    """A tool on the way, and an answer with data."""
    arguments = {"text": request.prompt}
    yield hanzo.RunEvent(
        tool_call=hanzo.ToolCall(
            tool="tally", call_id="tally-1", arguments_json=json.dumps(arguments)
        )
    )
    tally = Counter(filter(str.isalpha, request.prompt.lower()))
    yield hanzo.RunEvent(
        tool_result=hanzo.ToolResult(
            tool="tally", call_id="tally-1", result_json=json.dumps(tally)
        )
    )
    [(letter, times)] = tally.most_common(1) or [("none", 0)]
    yield hanzo.RunEvent(
        result=hanzo.RunResult(
            output=f"{letter}, {times} times",
            data_json=json.dumps({"letter": letter, "times": times}),
        )
    )


AGENTS = {
    "count": (count, hanzo.Agent(description="Counts to a number: 100")),
    "letters": (letters, hanzo.Agent(description="Finds the commonest letter", tools=["tally"])),
}


class Agents(NetworkServicer):
    def ListAgents(self, request, context):
        for name, (_, agent) in AGENTS.items():
            agent.name = name
        return hanzo.ListAgentsResponse(agents=[agent for _, agent in AGENTS.values()])

    def Run(self, request, context):
        if request.agent not in AGENTS:
            context.abort(grpc.StatusCode.NOT_FOUND, f"There is no agent {request.agent} here.")
        run, _ = AGENTS[request.agent]
        return run(request, context)


def main(port="50051"):
    server = grpc.server(futures.ThreadPoolExecutor(16))
    add_NetworkServicer_to_server(Agents(), server)
    # Only for this machine: the node is what others talk to.
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print(f"serving on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
