"""granian with the gateway's settings, answering the same bytes to every request: the baseline of the gateway.

python -m tests.bench.raw_host --port N --file FILE
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import MTServer


class _Server(MTServer):
    """granian with its worker as a thread of this process, as in `infra.local.serve`."""

    @staticmethod
    def _check_gil() -> None:
        """Skip granian's refusal to run worker threads under the GIL: there is only one."""


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.raw_host", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True, help="the body of every answer")
    arguments = parser.parse_args()
    body = arguments.file.read_bytes()

    def answer(environ: object, start: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
        start("200 OK", [("content-type", "application/json")])
        return [body]

    server = _Server(
        "",
        address="127.0.0.1",
        port=arguments.port,
        interface=Interfaces.WSGI,
        blocking_threads=1,
        websockets=False,
        log_level=LogLevels.error,
    )
    server.serve(target_loader=lambda: answer, wrap_loader=False)


if __name__ == "__main__":
    main()
