"""The object store through a proxy that a test can cut, and a look at it from outside."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config
from mypy_boto3_s3.client import S3Client

from layers.core.settings import settings
from tests.support.proxies import Proxy, storage_through_a_proxy


@pytest.fixture
def store() -> S3Client:
    """A client of the tests' own."""
    return boto3.client(
        "s3",
        endpoint_url=settings().s3_endpoint_url,
        aws_access_key_id=settings().s3_access_key_id,
        aws_secret_access_key=settings().s3_secret_access_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """This process reaches the store through it."""
    with storage_through_a_proxy(monkeypatch) as proxy:
        yield proxy
