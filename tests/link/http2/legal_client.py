"""A client of existing peers, in gRPC's library in C: calls as fast as it can, and prints how many
came back with which status, as JSON. Arguments: the node's port."""

import collections
import json
import sys
import threading

import grpc

SERVICE = "/node_service.NodeService/"
AT_A_TIME = 8


def calls(channel, method, count, message, metadata=()):
    """How often which status came."""
    call = channel.unary_unary(SERVICE + method)
    statuses = collections.Counter()
    room = threading.Semaphore(AT_A_TIME)

    def done(answer):
        statuses[answer.code().name] += 1
        room.release()

    for _ in range(count):
        room.acquire()
        call.future(message, timeout=10, metadata=metadata).add_done_callback(done)
    for _ in range(AT_A_TIME):
        room.acquire()
    return statuses


# Names and values that HPACK refers to from the second call on; the first is most of its table.
METADATA = [("authorization", "Bearer " + "k" * 2_500), *((f"x-h{i}", "v") for i in range(20))]

with grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}") as channel:
    print(json.dumps({
        "HealthCheck": calls(channel, "HealthCheck", 500, b"", METADATA),
        # Both are answered while the message is still being sent. After 1,000 resets of whatever
        # kind nghttp2 says goodbye, which is another story.
        "SendResult": calls(channel, "SendResult", 400, b"x" * 100_000),
        "SendTensor": calls(channel, "SendTensor", 400, b"x" * 200_000),
    }))
