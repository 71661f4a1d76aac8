"""Listening sockets that outlive the processes that serve them."""

import os
import socket
from pathlib import Path
from typing import Final

BACKLOG: Final = 1024
_OWNER_AND_GROUP: Final = 0o117
"""The mask that leaves a new socket to its owner and its group."""


def open_unix(path: Path) -> socket.socket:
    """A Unix socket at the path, in place of an unused one; its folder's owner and group may connect."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(_OWNER_AND_GROUP)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(BACKLOG)
    return listener


def open_tcp(port: int) -> socket.socket:
    """A socket at the port, on loopback."""
    return socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
