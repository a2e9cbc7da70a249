"""A gRPC client that calls again and again, until it is ended.

    client.py [--pause SECONDS] [--header NAME[=VALUE]] TARGET...

Each target gets one call at a time, of /echo.Echo/Say. What became of a call is written as a line: "TARGET ok ANSWER" or
"TARGET failed CODE DETAILS". With --header, each call has a header of this name, with another value each time unless one is given.
"""

import argparse
import threading
import time

import grpc

DEADLINE_SECONDS = 10
# Keeps the lines of several threads apart.
WRITING = threading.Lock()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pause", type=float, default=0.005)
    parser.add_argument("--header")
    parser.add_argument("targets", nargs="+")
    arguments = parser.parse_args()
    threads = [threading.Thread(target=call_for_ever, args=(target, arguments)) for target in arguments.targets]
    for thread in threads:
        thread.start()


def call_for_ever(target, arguments):
    with grpc.insecure_channel(target) as channel:
        method = channel.unary_unary("/echo.Echo/Say")
        count = 0
        while True:
            name, _, value = (arguments.header or "").partition("=")
            metadata = [(name, value or str(count))] if name else []
            outcome = call(method, metadata)
            with WRITING:
                print(f"{target} {outcome}", flush=True)
            count += 1
            time.sleep(arguments.pause)


def call(method, metadata):
    try:
        return f"ok {method(b'', timeout=DEADLINE_SECONDS, metadata=metadata).decode()}"
    except grpc.RpcError as error:
        details = " ".join((error.details() or "").split())
        return f"failed {error.code().name} {details}"


if __name__ == "__main__":
    main()
