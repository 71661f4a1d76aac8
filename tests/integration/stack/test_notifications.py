"""MinIO notifies RabbitMQ of new originals, and of nothing else."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import unquote_plus
from uuid import uuid4

import boto3
import pika
import pytest
from botocore.config import Config
from mypy_boto3_s3.client import S3Client

from infra.rabbitmq.definitions import PHOTOS
from layers.core.events import PHOTO_UPLOADED
from layers.core.settings import settings
from tests.support import services
from tests.support.waiting import until


@pytest.fixture(scope="module")
def store() -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=settings().s3_endpoint_url,
        aws_access_key_id=settings().s3_access_key_id,
        aws_secret_access_key=settings().s3_secret_access_key,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


@contextmanager
def notified_keys() -> Iterator[Callable[[], list[str]]]:
    """Keys of the notifications from now on, read from a queue of the test's own."""
    connection = pika.BlockingConnection(pika.URLParameters(settings().rabbitmq_url))
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, PHOTOS, PHOTO_UPLOADED)
    seen: list[str] = []

    def keys() -> list[str]:
        while (found := channel.basic_get(queue, auto_ack=True))[2] is not None:
            seen.extend(unquote_plus(each["s3"]["object"]["key"]) for each in json.loads(found[2])["Records"])
        return seen

    try:
        yield keys
    finally:
        connection.close()


def put(store: S3Client, key: str) -> str:
    store.put_object(Bucket=settings().s3_bucket, Key=key, Body=b"x", Metadata={"trace-id": "t-1"})
    return key


def test_only_new_originals_are_notified(store: S3Client) -> None:
    with notified_keys() as keys:
        for other in ("processed/small", "uploads", "stories/2026/01/02", "avatars"):
            put(store, f"{other}/{uuid4()}")
        original = put(store, f"originals/2026/01/02/{uuid4()}-0")
        until(lambda: original in keys())
        assert all(key.startswith("originals/") for key in keys())


def test_minio_stores_while_rabbitmq_is_down_and_notifies_again_when_it_is_back(store: S3Client) -> None:
    with services.stop("rabbitmq"):
        services.restart("minio")
        put(store, f"originals/2026/01/02/{uuid4()}-0")
    with notified_keys() as keys:

        def is_notified() -> bool:
            put(store, f"originals/2026/01/02/{uuid4()}-0")
            return bool(keys())

        until(is_notified, seconds=30, every=0.5)
