"""A child process: a gRPC server of Google's C core, whose connections live for 100 ms."""

from concurrent import futures

import grpc


def hold(requests, _context):
    yield from requests


server = grpc.server(
    futures.ThreadPoolExecutor(16),
    options=[("grpc.max_connection_age_ms", 100), ("grpc.max_connection_age_grace_ms", 50)],
)
server.add_generic_rpc_handlers(
    (
        grpc.method_handlers_generic_handler(
            "goaway.Test",
            {
                "Echo": grpc.unary_unary_rpc_method_handler(lambda request, _context: request),
                "Hold": grpc.stream_stream_rpc_method_handler(hold),
            },
        ),
    )
)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
