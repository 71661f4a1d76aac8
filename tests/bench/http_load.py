"""Hosts of HTTP benchmarks, requests per second under the load of wrk, and the latency of one connection."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.hosts import Host, free_port, running

NO_LIMITS: Final = json.dumps({"general": [10**9, 1], "feed": [10**9, 1]})
_CHALICE: Final = (str(Path(sys.executable).with_name("chalice")), "--project-dir", "infra/chalice", "local")


@contextmanager
def gateway(folder: Path) -> Iterator[tuple[Host, int]]:
    """An environment of the gateway and its port; logs go to the folder."""
    port = free_port()
    command = [sys.executable, "-m", "infra.local.serve", "--port", str(port)]
    log_file = folder / "gateway.log"
    with running(command, address=port, log_file=log_file, environment={"RATE_LIMITS": NO_LIMITS}) as host:
        yield host, port


@contextmanager
def raw_granian(folder: Path, body: bytes) -> Iterator[tuple[Host, int]]:
    """Granian answering this body to every request, and its port."""
    port = free_port()
    file = folder / "body.json"
    file.write_bytes(body)
    command = [sys.executable, "-m", "tests.bench.raw_host", "--port", str(port), "--file", str(file)]
    with running(command, address=port, log_file=folder / "raw_granian.log") as host:
        yield host, port


@contextmanager
def chalice_local(folder: Path) -> Iterator[tuple[Host, int]]:
    """Chalice's development server with the same handlers, and its port."""
    port = free_port()
    command = [*_CHALICE, "--no-autoreload", "--port", str(port)]
    log_file = folder / "chalice_local.log"
    with running(command, address=port, log_file=log_file, environment={"RATE_LIMITS": NO_LIMITS}) as host:
        yield host, port


def requests_per_second(url: str, *, connections: int, seconds: int, session_id: str = "") -> float:
    """The rate of a GET request under wrk; an answer other than 2xx ends the run."""
    wrk = shutil.which("wrk")
    if wrk is None:
        sys.exit("wrk is missing (Debian package wrk)")
    cookie = ["-H", f"Cookie: session_id={session_id}"] if session_id else []
    output = subprocess.run(
        [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", *cookie, url], check=True, capture_output=True, text=True
    ).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if "Non-2xx" in output or not found:
        sys.exit(f"{url}\n{output}")
    return float(found[1])


class Connection:
    """One kept-alive connection that repeats a GET request."""

    def __init__(self, port: int, path: str, session_id: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: session_id={session_id}\r\n\r\n"
        ).encode()

    def get(self) -> bytes:
        """The body of the answer; a status other than 200 ends the run."""
        self._socket.sendall(self._request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        head, _, body = received.partition(b"\r\n\r\n")
        if not re.match(rb"HTTP/1.[01] 200", head):
            sys.exit(f"{head.decode()}\n{body.decode()[:500]}")
        found = re.search(rb"(?i)content-length: *(\d+)", head)
        length = int(found[1]) if found else 0
        parts, missing = [body], length - len(body)
        while missing > 0:
            parts.append(self._receive())
            missing -= len(parts[-1])
        return b"".join(parts)

    def measure(self) -> float:
        """Seconds that one request takes."""
        started = time.perf_counter()
        self.get()
        return time.perf_counter() - started

    def _receive(self) -> bytes:
        data = self._socket.recv(1 << 20)
        if not data:
            sys.exit("the host closed the connection")
        return data
