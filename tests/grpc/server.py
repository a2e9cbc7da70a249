"""A gRPC server that answers its name, until SIGTERM.

    server.py NAME ADDRESS

The only method is /echo.Echo/Say, which takes and gives bytes. Once it serves, "listens at ADDRESS" is written.
"""

import signal
import sys
from concurrent import futures

import grpc

# How long calls that are under way may take after SIGTERM.
GRACE_SECONDS = 5


def main(name, address):
    def say(_request, _context):
        return name.encode()

    handler = grpc.unary_unary_rpc_method_handler(say)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("echo.Echo", {"Say": handler})])
    port = server.add_insecure_port(address)
    signal.signal(signal.SIGTERM, lambda *_: server.stop(GRACE_SECONDS))
    server.start()
    print(f"listens at {address.rpartition(':')[0]}:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
