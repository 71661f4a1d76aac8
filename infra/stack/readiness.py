"""Asks each part, in its own protocol, whether it answers."""

import http.client
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import pika
import psycopg

from infra.stack.profiles import Profile
from layers.rabbitmq.connection import AWAY

_SECONDS = 3
_OK = 200


def problem(part: str, profile: Profile, environment: Mapping[str, str]) -> str | None:
    """Why a part does not answer, or None if it does; parts that listen on nothing have no problem here."""
    try:
        _ask(part, profile, environment)
    except (*AWAY, psycopg.Error, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return None


def _ask(part: str, profile: Profile, environment: Mapping[str, str]) -> None:
    match part:
        case "postgres":
            url = environment["DATABASE_URL"].rpartition("/")[0] + "/postgres"
            psycopg.connect(url, connect_timeout=_SECONDS).close()
        case "valkey":
            _valkey(profile.ports.valkey)
        case "epmd":
            socket.create_connection(("127.0.0.1", profile.ports.epmd), _SECONDS).close()
        case "rabbitmq":
            _rabbitmq(environment["RABBITMQ_URL"])
        case "minio":
            _http(urlsplit(environment["S3_ENDPOINT_URL"]).port, "/minio/health/ready")
        case "cassandra":
            _cassandra(profile.ports.cassandra)
        case "nginx":
            _http(profile.ports.front, "/")
        case "light" | "heavy" | "live" | "localstack":
            first, count = getattr(profile.ports, part), getattr(profile, part, 1)
            for port in range(first, first + count):
                _http(port, "/_localstack/health" if part == "localstack" else "/api/health/live")
        case _:
            pass


def _valkey(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as link:
        link.sendall(b"PING\r\n")
        if (answer := link.recv(100)) != b"+PONG\r\n":
            raise OSError(answer.decode(errors="replace"))


def _rabbitmq(url: str) -> None:
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = parameters.stack_timeout = _SECONDS
    pika.BlockingConnection(parameters).close()


def _cassandra(port: int) -> None:
    """The native protocol's OPTIONS, answered by SUPPORTED (opcode 6)."""
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as link:
        link.sendall(bytes((4, 0, 0, 0, 5, 0, 0, 0, 0)))
        if (answer := link.recv(9))[4:5] != b"\x06":
            raise OSError(f"unexpected answer {answer.hex()}")


def _http(port: int | None, path: str) -> None:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        link.request("GET", path)
        if (status := link.getresponse().status) != _OK:
            raise OSError(f"GET {path} answered {status}")
    finally:
        link.close()
