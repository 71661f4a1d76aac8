"""Checks each program of the stack with a request in its own protocol."""

import http.client
import itertools
import socket
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pika
import psycopg

from infra.stack import env_file
from infra.stack.profiles import Profile
from layers.rabbitmq.connection import UNAVAILABLE_ERRORS

_SECONDS = 3
_OK = 200


def problem(program: str, profile: Profile, settings: Mapping[str, str]) -> str | None:
    """Why a program does not answer; None if it does, or if it has no port."""
    try:
        _check(program, profile, settings)
    except (*UNAVAILABLE_ERRORS, psycopg.Error, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return None


def _check(program: str, profile: Profile, settings: Mapping[str, str]) -> None:
    match program:
        case "postgres":
            url = env_file.for_administration(settings)["DATABASE_URL"].rpartition("/")[0] + "/postgres"
            psycopg.connect(url, connect_timeout=_SECONDS).close()
        case "valkey":
            _valkey(profile.ports.valkey)
        case "epmd":
            socket.create_connection(("127.0.0.1", profile.ports.epmd), _SECONDS).close()
        case "rabbitmq":
            _rabbitmq(settings["RABBITMQ_URL"])
        case "minio":
            _http(urlsplit(settings["S3_ENDPOINT_URL"]).port, "/minio/health/ready")
        case "cassandra":
            _cassandra(profile.ports.cassandra)
        case "nginx":
            _http(profile.ports.nginx, "/", is_tls=profile.tls is not None)
        case "localstack":
            _http(profile.ports.localstack, "/_localstack/health")
        case "api":
            _hosts(itertools.chain(*profile.sockets.values()))
        case _:
            pass


def _valkey(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
        connection.sendall(b"PING\r\n")
        if not (answer := connection.recv(100)).startswith(b"-NOAUTH"):  # it answers, and wants a password
            raise OSError(answer.decode(errors="replace"))


def _rabbitmq(url: str) -> None:
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = parameters.stack_timeout = _SECONDS
    pika.BlockingConnection(parameters).close()


def _cassandra(port: int) -> None:
    """Send OPTIONS of the native protocol (version 4); the answer must be SUPPORTED (opcode 6)."""
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
        connection.sendall(bytes((4, 0, 0, 0, 5, 0, 0, 0, 0)))
        if (answer := connection.recv(9))[4:5] != b"\x06":
            raise OSError(f"unexpected answer {answer.hex()}")


def _hosts(paths: Iterable[Path]) -> None:
    for path in paths:
        _get(_UnixConnection(path), "/api/health/live")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _http(port: int | None, path: str, *, is_tls: bool = False) -> None:
    """The certificate is not checked: it is for the name under which users reach the system."""
    _get(
        http.client.HTTPSConnection("127.0.0.1", port, timeout=_SECONDS, context=ssl._create_unverified_context())  # noqa: S323, SLF001
        if is_tls
        else http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS),
        path,
    )


def _get(connection: http.client.HTTPConnection, path: str) -> None:
    try:
        connection.request("GET", path)
        if (status := connection.getresponse().status) != _OK:
            raise OSError(f"GET {path} answered {status}")
    finally:
        connection.close()
