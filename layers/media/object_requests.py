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
import time
from collections import deque
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self
from urllib.parse import quote, urlsplit

import msgspec

from layers.core import tls, waiting
from layers.core.settings import settings

if TYPE_CHECKING:
    import botocore.credentials
    from botocore.exceptions import ClientError

AT_ONCE: Final = 10
"""The largest number of requests that may be waiting for their answers, each on a connection of its own."""

_CONNECT_SECONDS: Final = 0.9
_ANSWER_SECONDS: Final = 8
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
        with waiting.measured():
            return self._read_answers(time.monotonic() + waiting.limit(_ANSWER_SECONDS))

    def _read_answers(self, ends_at: float) -> list[tuple[Request, Answer]]:
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


class _Http(HTTPConnection):
    """Sends headers and body of a request in one piece: in two, they cost the store a fifth more CPU time."""

    def __init__(self, host: str, port: int, *, timeout: float, **options: Any) -> None:
        super().__init__(host, port, timeout=timeout, **options)
        self._pieces: list[bytes] = []

    def send(self, data: Any) -> None:
        """Keep a part of the request, which the base class would send at once."""
        self._pieces.append(data)

    def flush(self) -> None:
        """Send the request; raises `OSError`."""
        pieces, self._pieces = self._pieces, []
        self.sock.sendall(b"".join(pieces))


class _Https(_Http, HTTPSConnection):
    """The same over TLS."""

    def __init__(self, host: str, port: int, *, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout, context=tls.context(settings().stores_ca_file))


class _Connection:
    """A connection to the store, with one request at a time."""

    def __init__(self, store: "Store") -> None:
        """Connect; raises `OSError`."""
        self._store = store
        self._http = (_Https if store.is_secure else _Http)(store.name, store.port, timeout=_CONNECT_SECONDS)
        self._http.connect()

    def send(self, request: Request) -> None:
        """Send a request; raises `OSError`."""
        path = quote(f"/{settings().s3_bucket}/{request.key}")
        headers = self._store.sign(request.method, path, request.headers, request.body)
        if request.method == "PUT":
            headers["content-length"] = str(len(request.body))
        self._http.sock.settimeout(waiting.limit(_ANSWER_SECONDS))
        self._http.request(request.method, path, request.body or None, headers)
        self._http.flush()

    def receive(self, ends_at: float) -> Answer:
        """The answer; raises `ConnectionError` if the store closes the connection, and `OSError`."""
        self._http.sock.settimeout(max(0.001, ends_at - time.monotonic()))
        try:
            answer = self._http.getresponse()
            if answer.length is None and not answer.chunked:
                raise ConnectionAbortedError("the answer has no length, or its headers are cut off")
            return Answer(answer.status, answer.read())
        except ConnectionError:
            raise
        except HTTPException as error:
            raise ConnectionAbortedError("the answer is not HTTP, or is cut off") from error

    @property
    def stays_open(self) -> bool:
        """Whether the store keeps the connection open after the answer that was read."""
        return self._http.sock is not None

    @property
    def is_idle(self) -> bool:
        """Whether it can be used for another request: what arrives on an idle connection is its end."""
        poll = select.poll()
        poll.register(self._http.sock, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Close it."""
        self._http.close()


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
    region: str
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
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{canonical}"
        signature = hmac.digest(
            _signing_key(credentials.secret_key, stamp[:8], self.region), text.encode(), "sha256"
        ).hex()
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return signed


@functools.lru_cache(maxsize=2)
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@functools.cache
def _store() -> Store:
    url = urlsplit(settings().s3_url)
    is_secure = url.scheme == "https"
    access_key, secret_key = settings().s3_access_key_id, settings().s3_secret_access_key
    return Store(
        host=url.netloc,
        name=url.hostname or "",
        port=url.port or (443 if is_secure else 80),
        is_secure=is_secure,
        region=settings().s3_region,
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
