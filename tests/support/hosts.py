"""Starts host processes for single tests, each on a free port."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import msgspec

from tests.support.stack import ROOT
from tests.support.waiting import until


class Host(msgspec.Struct, frozen=True):
    """A running host."""

    process: subprocess.Popen[str]
    http: httpx.Client
    log_file: Path

    @property
    def log(self) -> str:
        """What it has written to its log."""
        return self.log_file.read_text()

    def stop(self, *, seconds: float = 15) -> int:
        """Stop it with SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def get(self, path: str) -> httpx.Response | None:
        """The answer to a GET request; None if the connection fails."""
        try:
            return self.http.get(path)
        except httpx.TransportError:
            return None


def free_port() -> int:
    """A port on which no process listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def client_of(address: int | Path) -> httpx.Client:
    """An HTTP client of a port on loopback, or of a Unix socket."""
    port = address if isinstance(address, int) else 80
    transport = httpx.HTTPTransport(uds=None if isinstance(address, int) else str(address))
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, transport=transport)


def is_open(path: Path) -> bool:
    """Whether something listens at a Unix socket: httpx leaves a socket behind that it could not connect."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    address: int | Path,
    log_file: Path,
    folder: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Host]:
    """A host that answers `/api/health` at a port or a Unix socket; it is killed at the end of the context."""
    with log_file.open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), **(environment or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
    host = Host(process, client_of(address), log_file)
    try:
        if isinstance(address, Path):
            until(lambda: is_open(address) or process.poll() is not None, seconds=30)
        until(lambda: host.get("/api/health") or process.poll() is not None, seconds=30)
        assert process.poll() is None, host.log
        yield host
    finally:
        process.kill()
        process.wait(10)
        host.http.close()


@contextlib.contextmanager
def environment(tmp_path: Path, *arguments: str, folder: Path = ROOT) -> Iterator[Host]:
    """An HTTP host, started as supervisord starts it."""
    port = free_port()
    command = [sys.executable, "-m", "infra.local.serve", "--port", str(port), *arguments]
    with running(command, address=port, log_file=tmp_path / "host.log", folder=folder) as host:
        yield host


@contextlib.contextmanager
def serving_two(
    folder: Path, *arguments: str, code: Path = ROOT, kind: str = "readers"
) -> Iterator[tuple[Host, list[Path]]]:
    """Two hosts of a kind, as supervisord starts them, and their sockets."""
    sockets = [folder / f"host-{number}.sock" for number in (1, 2)]
    command = [sys.executable, "-m", "infra.local.serve_all", "--logs", str(folder), f"--{kind}", *map(str, sockets)]
    with running([*command, *arguments], address=sockets[0], log_file=folder / "parent.log", folder=code) as host:
        host.http.close()  # a host for writes takes one connection at a time
        until(lambda: answer(sockets[1]), seconds=30)
        yield host, sockets


def answer(path: Path) -> str | None:
    """What a host answers; None if it closes the connection, or if nothing listens at its socket."""
    if not is_open(path):
        return None
    try:
        with client_of(path) as client:
            return client.get("/api/health/live").text
    except httpx.TransportError:
        return None


def copy_of_the_code(tmp_path: Path) -> Path:
    """Copy the code into a folder, in which a test can change it; the folder."""
    folder = tmp_path / "clone"
    for name in ("functions", "layers", "infra"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "template.yaml", folder)
    return folder
