"""The object store through a pipe that a test can cut, and a look at it from outside."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config
from mypy_boto3_s3.client import S3Client

from layers.core.breaker import State
from layers.core.settings import settings
from layers.media import connection
from tests.support.broken_pipes import Pipe, pipe_to
from tests.support.waiting import until


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
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    """This process talks to the store through it."""
    with pipe_to(settings().s3_endpoint_url or "") as pipe:
        monkeypatch.setenv("S3_ENDPOINT_URL", pipe.url)
        settings.cache_clear()
        connection.close()
        yield pipe
    monkeypatch.undo()
    settings.cache_clear()
    connection.close()
    until(lambda: connection._breaker.state is not State.OPEN)
    connection.ping()
