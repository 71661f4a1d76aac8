"""Health probes of stores, in their own protocols over a socket: without drivers, sessions and credentials.

Each raises `OSError` or `ValueError` if the store does not answer correctly within `SECONDS` per step.
"""

import http.client
import socket
from http import HTTPStatus
from urllib.parse import urlsplit

from layers.core import tls
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
    is_secure = url.scheme == "amqps"
    port, host = url.port or (5671 if is_secure else 5672), url.hostname or ""
    answer = _exchange(host, port, _AMQP_0_9_1, answer_bytes=1, tls_name=host if is_secure else "")
    if answer[0] != _AMQP_METHOD_FRAME:
        raise ValueError("the answer is not AMQP 0-9-1")


def probe_cassandra() -> None:
    """Check that the first host of Cassandra answers OPTIONS with SUPPORTED (CQL binary protocol)."""
    host = settings().cassandra_hosts.split(",")[0]
    name = settings().cassandra_tls_name
    answer = _exchange(host, settings().cassandra_port, _CQL_OPTIONS, answer_bytes=9, tls_name=name)
    if answer[_CQL_OPCODE_AT] != _CQL_SUPPORTED:
        raise ValueError("the answer is not CQL")


def probe_storage() -> None:
    """Check that the object store answers a HEAD request for the bucket; without credentials 403 is a good answer."""
    bucket = settings().s3_bucket
    url = urlsplit(settings().s3_url)
    host, port = url.hostname or "", url.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=SECONDS, context=tls.context(settings().stores_ca_file))
        if url.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=SECONDS)
    )
    try:
        connection.request("HEAD", f"/{bucket}")
        status = connection.getresponse().status
    except http.client.HTTPException as error:
        raise ValueError("the answer is not HTTP") from error
    finally:
        connection.close()
    if status not in (HTTPStatus.OK, HTTPStatus.FORBIDDEN, HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.MOVED_PERMANENTLY):
        raise ValueError(f"the status for the bucket is {status}")


def _exchange(host: str, port: int, request: bytes, *, answer_bytes: int, tls_name: str) -> bytes:
    """The beginning of the answer; the connection has TLS, unless `tls_name` is empty."""
    opened = socket.create_connection((host, port), SECONDS)
    ca_file = settings().stores_ca_file
    with tls.secure(opened, name=tls_name, ca_file=ca_file) if tls_name else opened as connection:
        connection.sendall(request)
        answer = b""
        while len(answer) < answer_bytes:
            part = connection.recv(answer_bytes - len(answer))
            if not part:
                raise ConnectionError("the connection was closed")
            answer += part
        return answer
