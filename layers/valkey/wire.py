"""A connection to Valkey: hiredis, the protocol in C, on a socket.

redis-py would do the same with three times the time per call, and its import takes longer than that of everything else
that a cached feed needs.
"""

import select
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from hiredis import Reader, ReplyError, pack_command

from layers.core import tls
from layers.core.settings import settings

type Value = bytes | str | int
type Command = tuple[Value, ...]

_PORT: Final = 6379
_BUFFER_BYTES: Final = 1 << 16
_MICROSECONDS: Final = 1_000_000


class Wire:
    """An open connection. Everything that it cannot send or receive raises `OSError`; then it must be closed."""

    def __init__(self, url: str, *, connect_seconds: float, answer_seconds: float) -> None:
        self._socket = _connect(url, connect_seconds)
        self._answer_seconds = answer_seconds
        self._is_secure = _is_secure(url)
        self._limit_waits()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._reader = Reader(notEnoughData=self)
        self._buffer = bytearray(_BUFFER_BYTES)
        try:
            self._log_in(url)
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> tuple[str, int]:
        """Its own host and port."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    @property
    def is_alive(self) -> bool:
        """Whether the idle connection is open: Valkey sends data on it only when it closes it."""
        return not self._poll.poll(0) or (self._is_secure and self._holds_no_data())

    def send(self, commands: Sequence[Command]) -> None:
        """Send commands; for each, a reply must be read."""
        packed = [pack_command(command) for command in commands]  # type: ignore[arg-type]  # its stub takes one value
        self._socket.sendall(b"".join(packed))

    def read(self) -> Any:
        """The next reply. A reply that is an error is a `ReplyError`, and is not raised."""
        reply = self._reader.gets()
        while reply is self:
            received = self._socket.recv_into(self._buffer)
            if not received:
                raise ConnectionError("Valkey closed the connection")
            self._reader.feed(self._buffer, 0, received)
            reply = self._reader.gets()
        return reply

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _limit_waits(self) -> None:
        if self._is_secure:  # OpenSSL would repeat a read that the kernel has ended
            self._socket.settimeout(self._answer_seconds)
            return
        # The kernel watches the time: a timeout of Python's would cost a call of poll for each read and write.
        wait = struct.pack("ll", *divmod(int(self._answer_seconds * _MICROSECONDS), _MICROSECONDS))
        self._socket.settimeout(None)
        for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, direction, wait)

    def _holds_no_data(self) -> bool:
        """Whether what has arrived is of TLS itself, such as the tickets after a handshake."""
        import ssl  # noqa: PLC0415 (it is loaded)

        self._socket.settimeout(0)
        try:
            self._socket.recv(1)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        finally:
            self._socket.settimeout(self._answer_seconds)
        return False

    def _log_in(self, url: str) -> None:
        commands = _login(url)
        self.send(commands)
        for reply in [self.read() for _ in commands]:
            if isinstance(reply, ReplyError):
                raise ConnectionError(str(reply))


def leave(url: str, command: Command, *, connect_seconds: float, answer_seconds: float) -> None:
    """Send a command on a connection of its own: a Valkey that hangs runs it when it goes on.

    Raises `OSError` if it cannot be sent. The reply is waited for, but nothing tells whether it came.
    """
    commands = (*_login(url), command)
    with _connect(url, connect_seconds) as opened:
        opened.sendall(b"".join(pack_command(each) for each in commands))  # type: ignore[arg-type]
        reader, replies, ends_at = Reader(notEnoughData=None), 0, time.monotonic() + answer_seconds
        while replies < len(commands) and (left := ends_at - time.monotonic()) > 0:
            opened.settimeout(left)
            try:
                received = opened.recv(_BUFFER_BYTES)
            except TimeoutError:
                return
            if not received:
                return
            reader.feed(received)
            while reader.gets() is not None:
                replies += 1


def _login(url: str) -> list[Command]:
    parts = urlsplit(url)
    commands: list[Command] = []
    if parts.password:
        names = [unquote(name) for name in (parts.username, parts.password) if name]
        commands.append(("AUTH", *names))
    if number := int(parts.path.strip("/") or 0):
        commands.append(("SELECT", number))
    return commands


def _connect(url: str, seconds: float) -> socket.socket:
    parts = urlsplit(url)
    address = (parts.hostname or "localhost", parts.port or _PORT)
    opened = socket.create_connection(address, seconds)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not _is_secure(url):
        return opened
    return tls.secure(opened, name=address[0], ca_file=settings().stores_ca_file)


def _is_secure(url: str) -> bool:
    return urlsplit(url).scheme == "rediss"
