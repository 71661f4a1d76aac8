"""Whether a store answers, asked in its own protocol over a plain socket: no driver, no session, no secret.

Each raises `OSError` or `ValueError` when the store is not well; all give up after `SECONDS`.
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


def rabbitmq() -> None:
    """RabbitMQ greets whoever names the protocol."""
    url = urlsplit(settings().rabbitmq_url)
    answer = _asked(url.hostname, url.port or 5672, _AMQP_0_9_1, answer_bytes=1)
    if answer[0] != _AMQP_METHOD_FRAME:
        raise ValueError("it does not speak AMQP 0-9-1")


def cassandra() -> None:
    """Cassandra's first host tells the options that it supports."""
    host = settings().cassandra_hosts.split(",")[0]
    answer = _asked(host, settings().cassandra_port, _CQL_OPTIONS, answer_bytes=9)
    if answer[_CQL_OPCODE_AT] != _CQL_SUPPORTED:
        raise ValueError("it does not speak CQL")


def storage() -> None:
    """The object store answers a question about the bucket; that it shows it to nobody is as it should be."""
    bucket = settings().s3_bucket
    url = urlsplit(settings().s3_endpoint_url or "https://s3.amazonaws.com")
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    link = kind(url.hostname or "", url.port, timeout=SECONDS)
    try:
        link.request("HEAD", f"/{bucket}")
        status = link.getresponse().status
    except http.client.HTTPException as error:
        raise ValueError("it does not speak HTTP") from error
    finally:
        link.close()
    if status not in (HTTPStatus.OK, HTTPStatus.FORBIDDEN, HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.MOVED_PERMANENTLY):
        raise ValueError(f"the bucket answers {status}")


def _asked(host: str | None, port: int, question: bytes, *, answer_bytes: int) -> bytes:
    with socket.create_connection((host or "", port), SECONDS) as link:
        link.sendall(question)
        answer = b""
        while len(answer) < answer_bytes:
            part = link.recv(answer_bytes - len(answer))
            if not part:
                raise ConnectionError("it hung up")
            answer += part
        return answer
