"""Listening sockets that stay open when a program executes itself again, and in the processes that it forks."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

BACKLOG: Final = 1024
_OWNER_AND_GROUP: Final = 0o117
"""The mask that leaves a new socket to its owner and its group."""


class Listeners:
    """The sockets by their path or port; `kept` are the file descriptors of those that were opened before."""

    def __init__(self, kept: Mapping[str, int]) -> None:
        self._kept = kept
        self._opened: dict[str, socket.socket] = {}

    @property
    def descriptors(self) -> dict[str, int]:
        """The file descriptors, which a program that is executed in this process inherits."""
        return {name: listener.fileno() for name, listener in self._opened.items()}

    def open_unix(self, path: Path) -> socket.socket:
        """A Unix socket at the path, in place of an unused one; its folder's owner and group may connect."""
        if str(path) in self._kept:
            return self._keep(str(path), socket.socket(fileno=self._kept[str(path)]))
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        mask = os.umask(_OWNER_AND_GROUP)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        return self._keep(str(path), listener)

    def open_tcp(self, port: int) -> socket.socket:
        """A socket at the port, on loopback."""
        kept = self._kept.get(str(port))
        return self._keep(str(port), socket.socket(fileno=kept) if kept else socket.create_server(("127.0.0.1", port)))

    def _keep(self, name: str, listener: socket.socket) -> socket.socket:
        listener.listen(BACKLOG)
        listener.set_inheritable(True)
        self._opened[name] = listener
        return listener
