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
from collections.abc import Iterator, Mapping
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
_SECONDS_BETWEEN_TRIES: Final = (0.2, 0.4)
_TRIED_AGAIN: Final = frozenset({500, 502, 503, 504})
_MOST_BYTES: Final = 64 * 1024 * 1024
"""More than any object has. The length of an answer is not believed above it, as memory is taken for it at once."""

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
        return found[1].decode(errors="replace") if found else ""

    def error(self, request: Request) -> "ClientError":
        """The error that boto3 raises for this answer."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 (only errors need it)

        message = _MESSAGE.search(self.body)
        return ClientError(
            {
                "Error": {
                    "Code": self.code or str(self.status),
                    "Message": message[1].decode(errors="replace") if message else "",
                },
                "ResponseMetadata": {"HTTPStatusCode": self.status},  # type: ignore[typeddict-item]  # as in boto3
            },
            f"{request.method.title()}Object",
        )


class Requests:
    """Requests that the store works on at the same time: all are sent before the first answer is read.

    A PUT that the store answers with 500, 502, 503 or 504, or whose connection is refused or lost, is tried three
    times, with waits of 0.2 and 0.4 s between the tries. A time-out is not tried again.

    A context manager; at the end of the block, connections whose answers were not read are closed. Raises `OSError` if
    the store cannot be reached, or if all waits for it, those between tries included, take more than 8 s together.
    """

    def __init__(self) -> None:
        self._sent: list[_Exchange] = []
        self._seconds = float(_ANSWER_SECONDS)

    def send(self, request: Request) -> None:
        """Send a request. At most `AT_ONCE`. A PUT that has to be tried again is sent by `read_answers`."""
        exchange = _Exchange(request)
        self._sent.append(exchange)
        with self._wait() as ends_at:
            exchange.send(ends_at)

    def read_answers(self) -> list[tuple[Request, Answer]]:
        """The answers to all requests, in the order in which they were sent."""
        with self._wait() as ends_at:
            answers = self._read_answers(ends_at)
        self._sent.clear()
        return answers

    def _read_answers(self, ends_at: float) -> list[tuple[Request, Answer]]:
        pauses = iter(_SECONDS_BETWEEN_TRIES)
        tried = self._sent
        while True:
            for exchange in tried:
                exchange.receive(ends_at)
            tried = [exchange for exchange in tried if exchange.may_be_tried_again]
            seconds = next(pauses, None)
            if not tried or seconds is None or time.monotonic() + seconds >= ends_at:
                break
            time.sleep(seconds)
            for exchange in tried:
                exchange.send(ends_at)
        return [(exchange.request, exchange.answer()) for exchange in self._sent]

    @contextlib.contextmanager
    def _wait(self) -> Iterator[float]:
        """Count the block as waiting; gives the end of the time, as `time.monotonic()` shows it."""
        started = time.monotonic()
        with waiting.measured():
            try:
                yield started + waiting.limit(self._seconds)
            finally:
                self._seconds -= time.monotonic() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for exchange in self._sent:
            exchange.close()


class _Exchange:
    """A request and its answer; may be tried more than once.

    If its connection was closed while idle, the request is repeated at once on a new one. Raises `OSError`; a
    `ConnectionError` of a PUT is kept instead, and raised by `answer`.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self._connection: _Connection | None = None
        self._was_open = False
        self._outcome: Answer | ConnectionError | None = None

    def send(self, ends_at: float) -> None:
        """Send the request."""
        self._outcome = None
        with self._keep_failure():
            self._connection, self._was_open = _take_connection(ends_at)
            try:
                self._connection.send(self.request, ends_at)
            except ConnectionError as error:
                self._send_again(ends_at, error)

    def receive(self, ends_at: float) -> None:
        """Wait for the answer, if the request could be sent."""
        if self._connection is None:
            return
        with self._keep_failure():
            try:
                self._outcome = self._connection.receive(ends_at)
            except ConnectionError as error:
                self._send_again(ends_at, error)
                self._outcome = self._connection.receive(ends_at)
        if isinstance(self._outcome, Answer):
            _keep(self._connection)
            self._connection = None

    def _send_again(self, ends_at: float, error: ConnectionError) -> None:
        """Send the request on a new connection; raises the error if the old connection was new as well."""
        self.close()
        if not self._was_open:
            raise error
        self._was_open = False
        self._connection = _Connection(_store(), ends_at)
        self._connection.send(self.request, ends_at)

    @contextlib.contextmanager
    def _keep_failure(self) -> Iterator[None]:
        try:
            yield
        except ConnectionError as error:
            self.close()
            if self.request.method != "PUT":
                raise
            self._outcome = error.with_traceback(None)  # its frames would keep the body in memory

    @property
    def may_be_tried_again(self) -> bool:
        """Whether it is a PUT that has failed, but may succeed a little later."""
        if self.request.method != "PUT":
            return False
        return not isinstance(self._outcome, Answer) or self._outcome.status in _TRIED_AGAIN

    def answer(self) -> Answer:
        """The answer; raises `ConnectionError`."""
        if isinstance(self._outcome, Answer):
            return self._outcome
        raise self._outcome or ConnectionAbortedError("the request was not sent")

    def close(self) -> None:
        """Close the connection, if its answer was not read."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


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

    def __init__(self, store: "Store", ends_at: float) -> None:
        """Connect, by this time at the latest; raises `OSError`."""
        self._store = store
        seconds = min(_CONNECT_SECONDS, _until(ends_at))
        self._http = (_Https if store.is_secure else _Http)(store.name, store.port, timeout=seconds)
        self._http.connect()

    def send(self, request: Request, ends_at: float) -> None:
        """Send a request; raises `OSError`."""
        path = quote(f"/{settings().s3_bucket}/{request.key}")
        headers = self._store.sign(request.method, path, request.headers, request.body)
        if request.method == "PUT":
            headers["content-length"] = str(len(request.body))
        self._http.sock.settimeout(_until(ends_at))
        self._http.request(request.method, path, request.body or None, headers)
        self._http.flush()

    def receive(self, ends_at: float) -> Answer:
        """The answer; raises `ConnectionError` if the store closes the connection, and `OSError`."""
        self._http.sock.settimeout(_until(ends_at))
        try:
            with self._http.getresponse() as answer:
                if answer.length is None and not answer.chunked:
                    raise ConnectionAbortedError("the answer has no length, or its headers are cut off")
                if answer.length is not None and answer.length > _MOST_BYTES:
                    raise ConnectionAbortedError("the answer is longer than any object")
                body = answer.read(_MOST_BYTES + 1) if answer.chunked else answer.read()
                if len(body) > _MOST_BYTES:
                    raise ConnectionAbortedError("the answer is longer than any object")
                return Answer(answer.status, body)
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


def _until(ends_at: float) -> float:
    """The seconds until then, as a time-out of a socket, which must not be 0."""
    return max(0.001, ends_at - time.monotonic())


def _take_connection(ends_at: float) -> tuple[_Connection, bool]:
    """A connection, and whether it was open before."""
    with contextlib.suppress(IndexError):  # another thread may take the last one
        while _idle:
            connection = _idle.pop()
            if connection.is_idle:
                return connection, True
            connection.close()
    return _Connection(_store(), ends_at), False


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
