"""The environment's client of the object store (MinIO, or S3), made at first use."""

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from layers.core.breaker import Breaker
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONNECT_SECONDS = 1
_ANSWER_SECONDS = 10
_ATTEMPTS = 2
_AT_ONCE = 4
_ABSENT = frozenset({"404", "NoSuchKey"})

_breaker = Breaker("storage", failure_ratio=0.5, volume=3, reset_seconds=2)


@functools.cache
def client() -> "S3Client":
    """The client: SigV4, two attempts, 1 s to connect."""
    import boto3  # noqa: PLC0415 (a quarter of a second that only functions with media pay)
    from botocore.config import Config  # noqa: PLC0415

    own = settings()
    configuration = Config(
        signature_version="s3v4",
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_ANSWER_SECONDS,
        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
        max_pool_connections=_AT_ONCE,
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.client(
        "s3",
        endpoint_url=own.s3_endpoint_url,
        aws_access_key_id=own.s3_access_key_id,
        aws_secret_access_key=own.s3_secret_access_key,
        region_name="us-east-1" if own.s3_endpoint_url else None,
        config=configuration,
    )


@contextmanager
def guarded() -> Iterator["S3Client"]:
    """The client for one piece of work; a store that is away raises `StoreUnavailable`, an absent object `KeyError`."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    with _breaker.guard():
        try:
            yield client()
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                raise KeyError(error.response["Error"].get("Key", "")) from error
            raise StoreUnavailable("storage") from error
        except BotoCoreError as error:
            raise StoreUnavailable("storage") from error


def put(
    objects: Sequence[tuple[str, bytes, str]], *, cache_control: str = "", metadata: dict[str, str] | None = None
) -> None:
    """Store objects (key, bytes, media type), several at once; all are stored when this returns.

    If one cannot be, those that were are removed again as far as that goes, and `StoreUnavailable` is raised.
    """
    extra: dict[str, Any] = {"Metadata": metadata or {}}
    if cache_control:
        extra["CacheControl"] = cache_control

    def one(each: tuple[str, bytes, str]) -> None:
        key, data, content_type = each
        client().put_object(Bucket=settings().s3_bucket, Key=key, Body=data, ContentType=content_type, **extra)

    try:
        with guarded():
            _at_once(one, objects)
    except StoreUnavailable:
        removed([key for key, _, _ in objects])
        raise


def read(key: str) -> bytes:
    """An object's bytes; raises `KeyError` when it is not there."""
    with guarded() as store:
        return store.get_object(Bucket=settings().s3_bucket, Key=key)["Body"].read()


def exists(key: str) -> bool:
    """Whether an object is there."""
    try:
        with guarded() as store:
            store.head_object(Bucket=settings().s3_bucket, Key=key)
    except KeyError:
        return False
    return True


def remove(keys: Sequence[str]) -> None:
    """Remove objects; those that are not there count as removed. Raises `StoreUnavailable`."""
    with guarded() as store:
        for start in range(0, len(keys), 1000):
            batch = [{"Key": key} for key in keys[start : start + 1000]]
            answer = store.delete_objects(Bucket=settings().s3_bucket, Delete={"Objects": batch, "Quiet": True})  # type: ignore[typeddict-item]
            if answer.get("Errors"):
                raise StoreUnavailable("storage")


def removed(keys: Sequence[str]) -> bool:
    """Whether the objects could be removed."""
    try:
        remove(keys)
    except StoreUnavailable:
        return False
    return True


def _at_once(one: Any, objects: Sequence[Any]) -> None:
    if len(objects) == 1:
        one(objects[0])
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(one, objects))
