"""Health probes of stores, in their own protocols over a plain socket: without drivers, sessions and credentials.

Each raises `OSError` or `ValueError` if the store does not answer correctly within `SECONDS` per step.
"""

import http.client
import socket
from http import HTTPStatus
from urllib.parse import urlsplit

from layers.core.settings import settings

SECONDS = 1.5

_AMQP_0_9_1 = b"AMQP\x00\x00\x09\x01"
_AMQP_METHOD_FRAME = 1
_CQL_OPTIONS = bytes((4, 0, 0, 0, 5, 0, 0, 0, 0))
_CQL_SUPPORTED = 6
_CQL_OPCODE_AT = 4


def probe_rabbitmq() -> None:
    """Check that RabbitMQ answers the protocol header with a method frame (AMQP 0-9-1, section 4.2.2)."""
    url = urlsplit(settings().rabbitmq_url)
    answer = _exchange(url.hostname, url.port or 5672, _AMQP_0_9_1, answer_bytes=1)
    if answer[0] != _AMQP_METHOD_FRAME:
        raise ValueError("the answer is not AMQP 0-9-1")


def probe_cassandra() -> None:
    """Check that the first host of Cassandra answers OPTIONS with SUPPORTED (CQL binary protocol)."""
    host = settings().cassandra_hosts.split(",")[0]
    answer = _exchange(host, settings().cassandra_port, _CQL_OPTIONS, answer_bytes=9)
    if answer[_CQL_OPCODE_AT] != _CQL_SUPPORTED:
        raise ValueError("the answer is not CQL")


def probe_storage() -> None:
    """Check that the object store answers a HEAD request for the bucket; without credentials 403 is a good answer."""
    bucket = settings().s3_bucket
    url = urlsplit(settings().s3_endpoint_url or "https://s3.amazonaws.com")
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=SECONDS)
    try:
        connection.request("HEAD", f"/{bucket}")
        status = connection.getresponse().status
    except http.client.HTTPException as error:
        raise ValueError("the answer is not HTTP") from error
    finally:
        connection.close()
    if status not in (HTTPStatus.OK, HTTPStatus.FORBIDDEN, HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.MOVED_PERMANENTLY):
        raise ValueError(f"the status for the bucket is {status}")


def _exchange(host: str | None, port: int, request: bytes, *, answer_bytes: int) -> bytes:
    with socket.create_connection((host or "", port), SECONDS) as connection:
        connection.sendall(request)
        answer = b""
        while len(answer) < answer_bytes:
            part = connection.recv(answer_bytes - len(answer))
            if not part:
                raise ConnectionError("the connection was closed")
            answer += part
        return answer
