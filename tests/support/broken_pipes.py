"""A service behind a TCP pipe that a test can cut, close and hang: what clients meet when the service fails."""

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import pytest

from layers.cassandra import connection
from layers.core.settings import settings


class Pipe:
    """Listens on a port of its own and passes everything on."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._accepting = True
        self._start()

    @property
    def url(self) -> str:
        """The service's URL, through the pipe."""
        userinfo, _, _ = self._parts.netloc.rpartition("@")
        netloc = f"{userinfo}@127.0.0.1:{self.port}" if userinfo else f"127.0.0.1:{self.port}"
        return urlunsplit(self._parts._replace(netloc=netloc))

    def cut(self) -> None:
        """End all connections; new ones are accepted."""
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def close(self) -> None:
        """End all connections and refuse new ones."""
        self._accepting = False
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def open(self) -> Self:
        """Accept again, on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._accepting = True
        self._start()
        return self

    def hang(self) -> None:
        """Keep connections, accept new ones, pass nothing on."""
        self._flowing.clear()

    def _start(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while self._accepting:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((self._parts.hostname or "127.0.0.1", self._parts.port or 0), timeout=5)
            except OSError:
                near.close()
                continue
            self._pairs.append((near, far))
            threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        with near, far, contextlib.suppress(OSError, ValueError):
            while True:
                for source in select.select([near, far], [], [])[0]:
                    self._flowing.wait()
                    data = source.recv(65536)
                    if not data:
                        return
                    other[source].sendall(data)


@contextmanager
def pipe_to(url: str) -> Iterator[Pipe]:
    """A pipe to the service at this URL."""
    pipe = Pipe(url)
    try:
        yield pipe
    finally:
        pipe._flowing.set()
        pipe.close()


@contextmanager
def cassandra_behind_a_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    """Cassandra as this process reaches it, until the end, by a pipe that the test can close."""
    with pipe_to(f"cql://127.0.0.1:{settings().cassandra_port}") as opened:
        monkeypatch.setenv("CASSANDRA_PORT", str(opened.port))
        settings.cache_clear()
        connection.close()
        yield opened
        connection.close()
    monkeypatch.undo()
    settings.cache_clear()
