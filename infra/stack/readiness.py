"""Checks each program of the stack with a request in its own protocol."""

import http.client
import itertools
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pika
import psycopg

from infra.stack import env_file
from infra.stack.profiles import Profile
from layers.core import tls
from layers.rabbitmq.connection import UNAVAILABLE_ERRORS, url_parameters

_ADDRESS = "127.0.0.1"
_SECONDS = 3
_OK = 200
_SERVER_ERROR = 500

_OF_EACH_KIND = (("GET", "/api/health/live"), ("POST", "/api/health/live"), ("POST", "/api/v1/auth/register"))
"""Requests for which nginx needs a host for reads, for writes, and a heavy one; without a body they change nothing."""


def problem(program: str, profile: Profile, settings: Mapping[str, str]) -> str | None:
    """Why a program does not answer; None if it does, or if it has no port."""
    try:
        _check(program, profile, settings)
    except (*UNAVAILABLE_ERRORS, psycopg.Error, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return None


def _check(program: str, profile: Profile, settings: Mapping[str, str]) -> None:
    ca_file = env_file.stores_ca_file(settings)
    match program:
        case "postgres":
            psycopg.connect(env_file.postgres_url(settings), connect_timeout=_SECONDS).close()
        case "valkey":
            _valkey(profile.ports.valkey, ca_file)
        case "epmd":
            socket.create_connection((_ADDRESS, profile.ports.epmd), _SECONDS).close()
        case "rabbitmq":
            _rabbitmq(settings["RABBITMQ_URL"], ca_file)
        case "minio":
            context = tls.context(ca_file) if ca_file else None
            _http(urlsplit(settings["S3_ENDPOINT_URL"]).port, "/minio/health/ready", context=context)
        case "cassandra":
            _cassandra(profile.ports.cassandra, ca_file)
        case "nginx":
            _http(profile.ports.nginx, "/", context=_unchecked(profile))
        case "localstack":
            _http(profile.ports.localstack, "/_localstack/health")
        case "api":
            _api(profile)
        case _:
            pass


def _connect(port: int, ca_file: str) -> socket.socket:
    """A connection to a store; with TLS, unless there is no authority for it."""
    connection = socket.create_connection((_ADDRESS, port), _SECONDS)
    return tls.secure(connection, name=_ADDRESS, ca_file=ca_file) if ca_file else connection


def _valkey(port: int, ca_file: str) -> None:
    with _connect(port, ca_file) as connection:
        connection.sendall(b"PING\r\n")
        if not (answer := connection.recv(100)).startswith(b"-NOAUTH"):  # it answers, and wants a password
            raise OSError(answer.decode(errors="replace"))


def _rabbitmq(url: str, ca_file: str) -> None:
    parameters = url_parameters(url, ca_file=ca_file)
    parameters.socket_timeout = parameters.stack_timeout = _SECONDS
    pika.BlockingConnection(parameters).close()


def _cassandra(port: int, ca_file: str) -> None:
    """Send OPTIONS of the native protocol (version 4); the answer must be SUPPORTED (opcode 6)."""
    with _connect(port, ca_file) as connection:
        connection.sendall(bytes((4, 0, 0, 0, 5, 0, 0, 0, 0)))
        if (answer := connection.recv(9))[4:5] != b"\x06":
            raise OSError(f"unexpected answer {answer.hex()}")


def _api(profile: Profile) -> None:
    """Check every host, and that nginx reaches them: it leaves out one that has refused connections, for a second."""
    for path in itertools.chain(*profile.sockets.values()):
        _send(_UnixConnection(path), "/api/health/live")
    for port in (profile.ports.nginx, *profile.ports.api):
        for method, route in _OF_EACH_KIND:
            _http(port, route, method=method, context=_unchecked(profile), errors_from=_SERVER_ERROR)


def _unchecked(profile: Profile) -> ssl.SSLContext | None:
    """For nginx's TLS: the certificate is for the name under which users reach the system, and is not checked."""
    return ssl._create_unverified_context() if profile.tls else None  # noqa: S323, SLF001


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


def _http(
    port: int | None,
    path: str,
    *,
    method: str = "GET",
    context: ssl.SSLContext | None = None,
    errors_from: int = _OK + 1,
) -> None:
    _send(
        http.client.HTTPSConnection(_ADDRESS, port, timeout=_SECONDS, context=context)
        if context
        else http.client.HTTPConnection(_ADDRESS, port, timeout=_SECONDS),
        path,
        method=method,
        errors_from=errors_from,
    )


def _send(
    connection: http.client.HTTPConnection, path: str, *, method: str = "GET", errors_from: int = _OK + 1
) -> None:
    try:
        connection.request(method, path)
        if (status := connection.getresponse().status) >= errors_from:
            raise OSError(f"{method} {path} answered {status}")
    finally:
        connection.close()
