"""Checks each program of the stack with a request in its own protocol."""

import http.client
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import pika
import psycopg

from infra.stack import env_file, ports
from infra.stack.profiles import Profile
from layers.rabbitmq.connection import UNAVAILABLE_ERRORS

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
        case "api":
            _api(profile)
        case "localstack":
            _http(profile.ports.localstack, "/_localstack/health")
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


def _api(profile: Profile) -> None:
    """Check every host, and that nginx reaches them: it leaves out one that has refused connections, for a second."""
    for port in ports.by_program(profile)["api"]:
        _http(port, "/api/health/live")
    for port in (profile.ports.nginx, *profile.ports.api):
        for method, path in _OF_EACH_KIND:
            _http(port, path, method=method, is_tls=profile.tls is not None, errors_from=_SERVER_ERROR)


def _http(
    port: int | None, path: str, *, method: str = "GET", is_tls: bool = False, errors_from: int = _OK + 1
) -> None:
    """The certificate is not checked: it is for the name under which users reach the system."""
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, timeout=_SECONDS, context=ssl._create_unverified_context())  # noqa: S323, SLF001
        if is_tls
        else http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    )
    try:
        connection.request(method, path)
        if (status := connection.getresponse().status) >= errors_from:
            raise OSError(f"{method} {path} answered {status}")
    finally:
        connection.close()
