"""Signed PUT and GET requests for single objects, on connections that stay open.

A picture is one GET and nine PUTs. Each costs boto3's client 2 ms of CPU time, most of it for hooks and for headers
that nobody reads; here it is a tenth of that (docs/performance.md). Everything else, such as lists and copies, is left
to boto3 (`layers.media.connection`).
"""

import contextlib
import functools
import hashlib
import hmac
import re
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self
from urllib.parse import quote, urlsplit

import msgspec

from layers.core.settings import settings

if TYPE_CHECKING:
    import botocore.credentials
    from botocore.exceptions import ClientError

REGION: Final = "us-east-1"
AT_ONCE: Final = 10
"""The largest number of requests that may be waiting for their answers, each on a connection of its own."""

_AWS: Final = f"https://s3.{REGION}.amazonaws.com"
_CONNECT_SECONDS: Final = 0.9
_ANSWER_SECONDS: Final = 8
_MAX_LINES: Final = 100
_MAX_LINE_BYTES: Final = 65536
_CODE: Final = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE: Final = re.compile(rb"<Message>([^<]*)</Message>")


class Request(msgspec.Struct, frozen=True):
    """A request for the object with this key."""

    method: Literal["GET", "PUT"]
    key: str
    body: bytes = b""
    headers: Mapping[str, str] = {}
    """Names in lower case."""


class Answer(msgspec.Struct, frozen=True):
    """The answer of the store."""

    status: int
    body: bytes

    @property
    def code(self) -> str:
        """The error code of an answer that is not a success, such as `NoSuchKey`; empty if it has none."""
        found = _CODE.search(self.body)
        return found[1].decode() if found else ""

    def error(self, request: Request) -> "ClientError":
        """The error that boto3 raises for this answer."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 (only errors need it)

        message = _MESSAGE.search(self.body)
        return ClientError(
            {
                "Error": {"Code": self.code or str(self.status), "Message": message[1].decode() if message else ""},
                "ResponseMetadata": {"HTTPStatusCode": self.status},  # type: ignore[typeddict-item]  # as in boto3
            },
            f"{request.method.title()}Object",
        )


class Requests:
    """Requests that the store works on at the same time: all are sent before the first answer is read.

    A context manager; at the end of the block, connections whose answers were not read are closed. Raises `OSError` if
    the store cannot be reached or does not answer within 8 s.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Request, _Connection, bool]] = deque()

    def send(self, request: Request) -> None:
        """Send a request, which may be repeated if its connection was closed while idle. At most `AT_ONCE`."""
        connection, was_open = _take_connection()
        try:
            connection.send(request)
        except ConnectionError:
            connection.close()
            if not was_open:
                raise
            connection, was_open = _Connection(_store()), False
            connection.send(request)
        self._waiting.append((request, connection, was_open))

    def read_answers(self) -> list[tuple[Request, Answer]]:
        """The answers to all requests, in the order in which they were sent."""
        ends_at = time.monotonic() + _ANSWER_SECONDS
        answers = []
        while self._waiting:
            request, connection, was_open = self._waiting[0]
            try:
                answer = connection.receive(ends_at)
            except ConnectionError:
                if not was_open:
                    raise
                connection.close()
                connection = _Connection(_store())
                self._waiting[0] = (request, connection, False)
                connection.send(request)
                answer = connection.receive(ends_at)
            self._waiting.popleft()
            _keep(connection)
            answers.append((request, answer))
        return answers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._waiting:
            self._waiting.popleft()[1].close()


def close() -> None:
    """Close the idle connections and forget the settings."""
    while _idle:
        _idle.pop().close()
    _store.cache_clear()


# ── Connections ─────────────────────────────────────────────────────────────


class _Connection:
    """A connection to the store: HTTP/1.1 (RFC 9112) with one request at a time."""

    def __init__(self, store: "Store") -> None:
        """Connect; raises `OSError`."""
        self._store = store
        connected = socket.create_connection((store.name, store.port), _CONNECT_SECONDS)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = _tls().wrap_socket(connected, server_hostname=store.name) if store.is_secure else connected
        self._answers = self._socket.makefile("rb")
        self.stays_open = True

    def send(self, request: Request) -> None:
        """Send a request; raises `OSError`."""
        path = quote(f"/{settings().s3_bucket}/{request.key}")
        headers = self._store.sign(request.method, path, request.headers, request.body)
        if request.method == "PUT":
            headers["content-length"] = str(len(request.body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._socket.settimeout(_ANSWER_SECONDS)
        self._socket.sendall(f"{request.method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + request.body)

    def receive(self, ends_at: float) -> Answer:
        """The answer; raises `ConnectionError` if the store closes the connection, and `OSError`."""
        self._socket.settimeout(max(0.001, ends_at - time.monotonic()))
        version, _, status = self._read_line().partition(b" ")
        headers: dict[bytes, bytes] = {}
        for _ in range(_MAX_LINES):
            line = self._read_line()
            if not line:
                break
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip().lower()
        self.stays_open = version == b"HTTP/1.1" and headers.get(b"connection") != b"close"
        try:
            return Answer(int(status[:3]), self._read_body(headers))
        except ValueError as error:
            raise ConnectionAbortedError("the answer is not HTTP") from error

    def _read_body(self, headers: Mapping[bytes, bytes]) -> bytes:
        if headers.get(b"transfer-encoding") != b"chunked":
            return self._read(int(headers.get(b"content-length", b"0")))
        chunks = []
        while size := int(self._read_line().partition(b";")[0], 16):
            chunks.append(self._read(size))
            self._read_line()
        while self._read_line():
            pass  # trailers
        return b"".join(chunks)

    def _read_line(self) -> bytes:
        line = self._answers.readline(_MAX_LINE_BYTES)
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the store has closed the connection")
        return line.rstrip(b"\r\n")

    def _read(self, count: int) -> bytes:
        data = self._answers.read(count)
        if len(data) < count:
            raise ConnectionResetError("the store has closed the connection")
        return data

    @property
    def is_idle(self) -> bool:
        """Whether it can be used for another request: what arrives on an idle connection is its end."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Close it."""
        self._answers.close()
        self._socket.close()


_idle: Final[deque[_Connection]] = deque()


def _take_connection() -> tuple[_Connection, bool]:
    """A connection, and whether it was open before."""
    with contextlib.suppress(IndexError):  # another thread may take the last one
        while _idle:
            connection = _idle.pop()
            if connection.is_idle:
                return connection, True
            connection.close()
    return _Connection(_store()), False


def _keep(connection: _Connection) -> None:
    if connection.stays_open and len(_idle) < AT_ONCE:
        _idle.append(connection)
    else:
        connection.close()


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


# ── Signatures ──────────────────────────────────────────────────────────────


class Credentials(msgspec.Struct, frozen=True):
    """The account of the store; `token` comes with temporary ones."""

    access_key: str
    secret_key: str
    token: str | None = None


class Store(msgspec.Struct, frozen=True):
    """Where the object store is, and the signature of requests to it."""

    host: str
    """As in the header: with the port, unless it is that of the scheme."""
    name: str
    port: int
    is_secure: bool
    credentials: Credentials | None
    """None: those of the function's role, as boto3 finds them."""

    def sign(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, stamp: str | None = None
    ) -> dict[str, str]:
        """The headers of a request, with its signature; `stamp` is its time, now by default.

        Source: AWS Signature Version 4,
        https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
        """
        credentials = self.credentials or _role_credentials()
        stamp = stamp or time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        digest = hashlib.sha256(body).hexdigest()
        signed = {**headers, "host": self.host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        names = sorted(signed)
        lines = [method, path, "", *(f"{name}:{signed[name]}" for name in names), "", ";".join(names), digest]
        canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{canonical}"
        signature = hmac.digest(_signing_key(credentials.secret_key, stamp[:8]), text.encode(), "sha256").hex()
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return signed


@functools.lru_cache(maxsize=2)
def _signing_key(secret_key: str, day: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@functools.cache
def _store() -> Store:
    url = urlsplit(settings().s3_endpoint_url or _AWS)
    is_secure = url.scheme == "https"
    access_key, secret_key = settings().s3_access_key_id, settings().s3_secret_access_key
    return Store(
        host=url.netloc,
        name=url.hostname or "",
        port=url.port or (443 if is_secure else 80),
        is_secure=is_secure,
        credentials=Credentials(access_key, secret_key) if access_key and secret_key else None,
    )


def _role_credentials() -> Credentials:
    """The current ones: boto3 replaces them before they expire."""
    found = _role()
    if found is None:
        from botocore.exceptions import NoCredentialsError  # noqa: PLC0415

        raise NoCredentialsError
    frozen = found.get_frozen_credentials()
    return Credentials(frozen.access_key or "", frozen.secret_key or "", frozen.token)


@functools.cache
def _role() -> "botocore.credentials.Credentials | None":
    import boto3  # noqa: PLC0415 (not needed where the settings have credentials)

    return boto3.Session().get_credentials()
