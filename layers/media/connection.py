"""The environment's client of the object store (S3, MinIO), opened at first use."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from layers.core.breaker import Breaker
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_CONNECT_SECONDS: Final = 0.9
_ANSWER_SECONDS: Final = 8
_PING_SECONDS: Final = 0.9
_THREADS: Final = 10
_KEYS_PER_REQUEST: Final = 1000
_REGION: Final = "us-east-1"

_breaker = Breaker("storage", failure_ratio=0.5, volume=3, reset_seconds=2)

image_processing = Breaker("image_processing", failure_ratio=0.5, volume=3, reset_seconds=60)
"""Guards what makes and stores pictures within a request; bad pictures do not count."""


class StoredFile(msgspec.Struct, frozen=True):
    """An object to store."""

    key: str
    data: bytes
    media_type: str


class ObjectStart(msgspec.Struct, frozen=True):
    """How an object begins."""

    data: bytes
    size: int
    """Of the whole object, in bytes."""
    etag: str
    """Changes with the content."""


class ObjectCopy(msgspec.Struct, frozen=True):
    """An object to store again under another key, unless it has changed."""

    source_key: str
    etag: str
    key: str
    media_type: str


def put_all(files: Sequence[StoredFile], *, metadata: Mapping[str, str] | None = None) -> None:
    """Store all of them, in parallel; returns when all are stored. Raises `StoreUnavailable`; some may be stored."""
    with _driver_errors():
        store = _client()

        def put(file: StoredFile) -> None:
            _retry_once(
                functools.partial(
                    store.put_object,
                    Bucket=settings().s3_bucket,
                    Key=file.key,
                    Body=file.data,
                    ContentType=file.media_type,
                    Metadata=dict(metadata or {}),
                )
            )

        with ThreadPoolExecutor(max_workers=min(_THREADS, max(1, len(files)))) as threads:
            list(threads.map(put, files))


def get(key: str) -> bytes | None:
    """An object's content, or None if there is no such object. Raises `StoreUnavailable`."""
    with _driver_errors():
        store = _client()

        def read() -> bytes | None:
            try:
                return store.get_object(Bucket=settings().s3_bucket, Key=key)["Body"].read()
            except store.exceptions.NoSuchKey:
                return None

        return _retry_once(read)


def read_starts(keys: Sequence[str], *, size: int) -> list[ObjectStart | None]:
    """The first so many bytes of each object, read in parallel; None for one that is not there or empty.

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
    """Copy objects within the store, in parallel. Raises `StoreUnavailable`; some may be copied.

    False, with some copied, if one of them has changed or is gone.
    """
    with _driver_errors():
        store = _client()

        def copy(each: ObjectCopy) -> bool:
            wanted = functools.partial(
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
                _retry_once(wanted)
            except store.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in ("NoSuchKey", "PreconditionFailed"):
                    return False
                raise
            return True

        with ThreadPoolExecutor(max_workers=min(_THREADS, max(1, len(copies)))) as threads:
            return all(list(threads.map(copy, copies)))


def presign_put(key: str, *, size: int, media_type: str, seconds: int) -> str:
    """A URL that stores an object of exactly this size and type, whoever has it. Nothing is asked of the store."""
    return _client(endpoint_url=settings().uploads_url).generate_presigned_url(
        "put_object",
        Params={"Bucket": settings().s3_bucket, "Key": key, "ContentLength": size, "ContentType": media_type},
        ExpiresIn=seconds,
    )


def exists(key: str) -> bool:
    """Whether there is such an object. Raises `StoreUnavailable`."""
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
    """Remove the objects; those that are not there are no error. Raises `StoreUnavailable`; some may be gone."""
    with _driver_errors():
        store = _client()
        for start in range(0, len(keys), _KEYS_PER_REQUEST):
            wanted = {"Objects": [{"Key": key} for key in keys[start : start + _KEYS_PER_REQUEST]], "Quiet": True}
            call: Callable[..., Any] = store.delete_objects
            answer = _retry_once(functools.partial(call, Bucket=settings().s3_bucket, Delete=wanted))
            if answer.get("Errors"):
                raise StoreUnavailable("storage")


class ObjectList(msgspec.Struct, frozen=True):
    """Some objects of the bucket."""

    sizes: list[int]
    """In bytes."""
    last: str | None
    """The key after which the next ones come; None when these were the last."""


def list_objects(*, after: str | None = None) -> ObjectList:
    """The next objects of the whole bucket, at most a thousand. Raises `StoreUnavailable` within 2 s."""
    with _driver_errors():
        wanted = functools.partial(
            _client(answer_seconds=_PING_SECONDS).list_objects_v2, Bucket=settings().s3_bucket, StartAfter=after or ""
        )
        answer = _retry_once(wanted)
    objects = answer.get("Contents", [])
    last = objects[-1]["Key"] if answer["IsTruncated"] and objects else None
    return ObjectList(sizes=[each["Size"] for each in objects], last=last)


def close() -> None:
    """Close the connections; the next use opens others."""
    _client.cache_clear()


@functools.cache
def _client(*, answer_seconds: float = _ANSWER_SECONDS, endpoint_url: str | None = None) -> "S3Client":
    """boto3 is imported here, at first use: it costs a quarter of a second."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    return boto3.Session().client(
        "s3",
        endpoint_url=endpoint_url or settings().s3_endpoint_url,
        aws_access_key_id=settings().s3_access_key_id,
        aws_secret_access_key=settings().s3_secret_access_key,
        region_name=_REGION,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=answer_seconds,
            retries={"total_max_attempts": 1},  # botocore's own pause before they try again
            max_pool_connections=_THREADS,
            request_checksum_calculation="when_required",  # the signature covers the content already
            response_checksum_validation="when_required",
        ),
    )


@contextmanager
def _driver_errors() -> Iterator[None]:
    """The driver's errors as ours: what a client cannot mend is `StoreUnavailable`, our own mistakes stay theirs."""
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


_TRANSIENT_CODES: Final = frozenset({"SlowDown", "RequestTimeout", "TooManyRequests", "NoSuchBucket"})
"""Refusals that end by themselves; the bucket is missing only until the store is set up."""


def _retry_once[Result](call: Callable[[], Result]) -> Result:
    """Once more where a kept connection had died meanwhile; every call here may be repeated."""
    from botocore.exceptions import ConnectionClosedError, ResponseStreamingError  # noqa: PLC0415

    try:
        return call()
    except (ConnectionClosedError, ResponseStreamingError):
        return call()
