"""The object store (S3, MinIO): single objects by `layers.media.object_requests`, everything else by boto3's client.

Connections and client are created at first use.
"""

import functools
import http
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import batched
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from layers.core import waiting
from layers.core.breaker import Breaker
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings
from layers.media import object_requests
from layers.media.object_requests import Request, Requests

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3.client import S3Client

_CONNECT_SECONDS: Final = 0.9
_ANSWER_SECONDS: Final = 8
_SHORT_SECONDS: Final = 1.8
_PING_SECONDS: Final = 0.9
_THREADS: Final = 10
_KEYS_PER_REQUEST: Final = 1000

_breaker = Breaker("storage", failure_ratio=0.5, volume=3, reset_seconds=2)

image_processing = Breaker("image_processing", failure_ratio=0.5, volume=3, reset_seconds=60)
"""Protects the processing of pictures within requests; errors of the pictures do not count."""


class StoredFile(msgspec.Struct, frozen=True):
    """An object to store."""

    key: str
    data: bytes
    media_type: str


class ObjectStart(msgspec.Struct, frozen=True):
    """The first bytes of an object."""

    data: bytes
    size: int
    """The size of the whole object, in bytes."""
    etag: str
    """A value that changes with the content."""


class ObjectCopy(msgspec.Struct, frozen=True):
    """A copy of an object to another key, made only if the object still has this etag."""

    source_key: str
    etag: str
    key: str
    media_type: str


def put_all(files: Sequence[StoredFile], *, metadata: Mapping[str, str] | None = None) -> None:
    """Store all objects; the store works on ten at once. Raises `StoreUnavailable`; then some may have been stored."""
    with _driver_errors():
        for some in batched(files, object_requests.AT_ONCE, strict=False):
            with Requests() as requests:
                for file in some:
                    requests.send(_put(file, metadata))
                _check(requests)


class Puts:
    """Objects that are stored while the caller makes the next ones; at most ten.

    A context manager: `put` sends an object without waiting, and the end of the block waits until all are stored.
    Raises `StoreUnavailable` there; then some may have been stored. If the block raises, nothing is waited for.
    """

    def __init__(self) -> None:
        self._requests = Requests()
        self._failure: Exception | None = None

    def put(self, file: StoredFile) -> None:
        """Send an object. If that fails, the end of the block raises the error, and later objects are not sent."""
        if self._failure is None:
            try:
                self._requests.send(_put(file, None))
            except OSError as error:
                self._failure = error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._requests:
            if error is None:
                with _driver_errors():
                    if self._failure is not None:
                        raise self._failure
                    _check(self._requests)


def _put(file: StoredFile, metadata: Mapping[str, str] | None) -> Request:
    headers = {f"x-amz-meta-{name}": value for name, value in (metadata or {}).items()}
    return Request("PUT", file.key, file.data, {"content-type": file.media_type, **headers})


def _check(requests: Requests) -> None:
    """Wait until all requests have succeeded."""
    for request, answer in requests.read_answers():
        if answer.status != http.HTTPStatus.OK:
            raise answer.error(request)


def get(key: str) -> bytes | None:
    """An object's content, or None if there is no such object. Raises `StoreUnavailable`."""
    with _driver_errors(), Requests() as requests:
        requests.send(Request("GET", key))
        [(request, answer)] = requests.read_answers()
        if answer.code == "NoSuchKey":
            return None
        if answer.status != http.HTTPStatus.OK:
            raise answer.error(request)
        return answer.body


def read_starts(keys: Sequence[str], *, size: int) -> list[ObjectStart | None]:
    """The first `size` bytes of each object, read in parallel; None for an object that does not exist or is empty.

    Raises `StoreUnavailable`.
    """
    with _driver_errors():
        store = _client()

        def read(key: str) -> ObjectStart | None:
            try:
                found = store.get_object(Bucket=settings().s3_bucket, Key=key, Range=f"bytes=0-{size - 1}")
            except store.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in ("NoSuchKey", "InvalidRange"):
                    return None
                raise
            whole = int(found["ContentRange"].rpartition("/")[2])
            return ObjectStart(data=found["Body"].read(), size=whole, etag=found["ETag"])

        with ThreadPoolExecutor(max_workers=min(_THREADS, max(1, len(keys)))) as threads:
            return list(threads.map(lambda key: _retry_once(functools.partial(read, key)), keys))


def copy_all(copies: Sequence[ObjectCopy], *, metadata: Mapping[str, str] | None = None) -> bool:
    """Copy objects within the store, in parallel; False if one of them has changed or does not exist.

    Raises `StoreUnavailable`. In both cases some may have been copied.
    """
    with _driver_errors():
        store = _client()

        def copy(each: ObjectCopy) -> bool:
            call = functools.partial(
                store.copy_object,
                Bucket=settings().s3_bucket,
                Key=each.key,
                CopySource={"Bucket": settings().s3_bucket, "Key": each.source_key},
                CopySourceIfMatch=each.etag,
                MetadataDirective="REPLACE",
                Metadata=dict(metadata or {}),
                ContentType=each.media_type,
            )
            try:
                _retry_once(call)
            except store.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in ("NoSuchKey", "PreconditionFailed"):
                    return False
                raise
            return True

        with ThreadPoolExecutor(max_workers=min(_THREADS, max(1, len(copies)))) as threads:
            return all(list(threads.map(copy, copies)))


def presign_put(key: str, *, size: int, media_type: str, seconds: int) -> str:
    """A presigned URL with which any client can store an object of exactly this size, in bytes, and type.

    It is computed without a request to the store.
    """
    client = _make_client(answer_seconds=_ANSWER_SECONDS, endpoint_url=settings().uploads_url)
    return client.generate_presigned_url(
        "put_object",
        Params={"Bucket": settings().s3_bucket, "Key": key, "ContentLength": size, "ContentType": media_type},
        ExpiresIn=seconds,
    )


def exists(key: str) -> bool:
    """Whether an object exists. Raises `StoreUnavailable`."""
    with _driver_errors():
        store = _client()
        try:
            _retry_once(functools.partial(store.head_object, Bucket=settings().s3_bucket, Key=key))
        except store.exceptions.ClientError as error:
            if error.response["Error"]["Code"] == "404":
                return False
            raise
    return True


def remove(keys: Sequence[str]) -> None:
    """Remove the objects that exist. Raises `StoreUnavailable`; then some may have been removed."""
    with _driver_errors():
        store = _client()
        for start in range(0, len(keys), _KEYS_PER_REQUEST):
            objects = {"Objects": [{"Key": key} for key in keys[start : start + _KEYS_PER_REQUEST]], "Quiet": True}
            call: Callable[..., Any] = store.delete_objects
            answer = _retry_once(functools.partial(call, Bucket=settings().s3_bucket, Delete=objects))
            if answer.get("Errors"):
                raise StoreUnavailable("storage")


class ObjectList(msgspec.Struct, frozen=True):
    """A part of the list of all objects in the bucket."""

    sizes: list[int]
    """The size of each object, in bytes."""
    last: str | None
    """The key after which the next part begins; None for the last part."""


def list_objects(*, after: str | None = None) -> ObjectList:
    """The next objects of the bucket, at most 1,000. Raises `StoreUnavailable` within 2 s."""
    with _driver_errors():
        call = functools.partial(
            _client(answer_seconds=_PING_SECONDS).list_objects_v2, Bucket=settings().s3_bucket, StartAfter=after or ""
        )
        answer = _retry_once(call)
    objects = answer.get("Contents", [])
    last = objects[-1]["Key"] if answer["IsTruncated"] and objects else None
    return ObjectList(sizes=[each["Size"] for each in objects], last=last)


def close() -> None:
    """Close the connections; the next use opens new ones."""
    object_requests.close()
    _make_client.cache_clear()


def _client(*, answer_seconds: float = _ANSWER_SECONDS) -> "S3Client":
    """A client that waits for an answer no longer than the request may: a client's time cannot be changed."""
    most = waiting.limit(answer_seconds)
    allowed = [seconds for seconds in (_ANSWER_SECONDS, _SHORT_SECONDS) if seconds <= most]
    return _make_client(answer_seconds=max(allowed, default=_PING_SECONDS), endpoint_url=settings().s3_url)


@functools.cache
def _session() -> "boto3.Session":
    """boto3 is imported at first use, because the import takes a quarter of a second. Clients share its models."""
    import boto3  # noqa: PLC0415

    return boto3.Session()


@functools.cache
def _make_client(*, answer_seconds: float, endpoint_url: str) -> "S3Client":
    from botocore.config import Config  # noqa: PLC0415

    return _session().client(
        "s3",
        endpoint_url=endpoint_url,
        verify=settings().stores_ca_file or None,
        aws_access_key_id=settings().s3_access_key_id,
        aws_secret_access_key=settings().s3_secret_access_key,
        region_name=settings().s3_region,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=answer_seconds,
            retries={"total_max_attempts": 1},  # retries of botocore wait too long
            max_pool_connections=_THREADS,
            request_checksum_calculation="when_required",  # the signature or TLS covers the content already
            response_checksum_validation="when_required",
        ),
    )


@contextmanager
def _driver_errors() -> Iterator[None]:
    """Convert errors of the driver to `StoreUnavailable`; errors that show a defect of the caller stay as they are."""
    with _breaker.guard():
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            yield
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status < 500 and error.response["Error"].get("Code") not in _TRANSIENT_CODES:  # noqa: PLR2004
                raise
            raise StoreUnavailable("storage") from error
        except (BotoCoreError, OSError) as error:
            raise StoreUnavailable("storage") from error


_TRANSIENT_CODES: Final = frozenset({"SlowDown", "RequestTimeout", "TooManyRequests", "NoSuchBucket", "AccessDenied"})
"""Error codes of temporary failures; the bucket is missing only until the store is set up, and MinIO denies access to
writers while its disk is read-only."""


def _retry_once[Result](call: Callable[[], Result]) -> Result:
    """Repeat the call once if the connection was closed while idle; all calls of this module may be repeated."""
    from botocore.exceptions import ConnectionClosedError, ResponseStreamingError  # noqa: PLC0415

    with waiting.measured():
        try:
            return call()
        except (ConnectionClosedError, ResponseStreamingError):
            return call()
