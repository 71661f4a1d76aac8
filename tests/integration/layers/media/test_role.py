"""Each call of the object store works with the credentials of a role that may do what the template lets it do.

The role is one of MinIO: temporary credentials with a token, and a policy of the same form as IAM's.
"""

import json
from collections.abc import Callable, Iterator
from uuid import uuid4

import boto3
import httpx
import pytest

from layers.core.breaker import BreakerState
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings
from layers.media import connection, object_requests
from layers.media.connection import ObjectCopy, Puts, StoredFile
from tests.support.bucket_actions import ACTIONS_OF
from tests.support.waiting import until

type Role = Callable[..., None]


@pytest.fixture
def key() -> Iterator[str]:
    """The key of an object that exists."""
    key = f"uploads/{uuid4()}"
    connection.put_all([StoredFile(key, b"content", "text/plain")])
    yield key
    connection.remove([key, f"{key}-2"])


@pytest.fixture
def role(key: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Role]:
    """A function that takes a role with these actions; at the end the credentials are as before."""
    given = settings()
    manager = boto3.client(
        "sts",
        endpoint_url=given.s3_endpoint_url,
        aws_access_key_id=given.s3_access_key_id,
        aws_secret_access_key=given.s3_secret_access_key,
        region_name=given.s3_region,
    )

    def take(*actions: str) -> None:
        bucket = f"arn:aws:s3:::{given.s3_bucket}"
        statement = {"Effect": "Allow", "Action": sorted(actions), "Resource": [bucket, f"{bucket}/*"]}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        taken = manager.assume_role(RoleArn="arn:aws:iam::1:role/r", RoleSessionName="test", Policy=policy)[
            "Credentials"
        ]
        for name in ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", taken["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", taken["SecretAccessKey"])
        monkeypatch.setenv("AWS_SESSION_TOKEN", taken["SessionToken"])
        _forget()

    yield take
    monkeypatch.undo()
    _forget()
    until(lambda: connection._breaker.state is not BreakerState.OPEN)


def _forget() -> None:
    settings.cache_clear()
    connection.close()
    connection._session.cache_clear()
    object_requests._role.cache_clear()


def _put_while_open(file: StoredFile) -> None:
    with Puts() as puts:
        puts.put(file)


def _put_by_url(file: StoredFile) -> None:
    url = connection.presign_put(file.key, size=len(file.data), media_type=file.media_type, seconds=60)
    at_store = url.replace(settings().uploads_url, settings().s3_url, 1)
    assert "X-Amz-Security-Token=" in at_store
    host = settings().uploads_url.partition("//")[2]
    headers = {"content-type": file.media_type, "host": host}
    httpx.put(at_store, content=file.data, headers=headers).raise_for_status()


@pytest.mark.parametrize(
    ("name", "put"),
    [("put_all", lambda file: connection.put_all([file])), ("Puts", _put_while_open), ("presign_put", _put_by_url)],
)
def test_storing(name: str, put: Callable[[StoredFile], None], key: str, role: Role) -> None:
    role(*ACTIONS_OF[name])
    put(StoredFile(f"{key}-2", b"other", "text/plain"))

    role(*ACTIONS_OF["get"])
    assert connection.get(f"{key}-2") == b"other"


def test_reading_and_what_is_missing(key: str, role: Role) -> None:
    role(*ACTIONS_OF["get"])
    assert connection.get(key) == b"content"
    assert connection.get(f"{key}-none") is None

    role(*ACTIONS_OF["read_starts"])
    assert [start and start.data for start in connection.read_starts([key, f"{key}-none"], size=3)] == [b"con", None]

    role(*ACTIONS_OF["exists"])
    assert [connection.exists(each) for each in (key, f"{key}-none")] == [True, False]


def test_copying(key: str, role: Role) -> None:
    [start] = connection.read_starts([key], size=1)
    assert start
    role(*ACTIONS_OF["copy_all"])
    copy = ObjectCopy(source_key=key, etag=start.etag, key=f"{key}-2", media_type="text/plain")
    missing = ObjectCopy(source_key=f"{key}-none", etag=start.etag, key=f"{key}-2", media_type="text/plain")

    assert connection.copy_all([copy])
    assert not connection.copy_all([missing])


def test_listing_and_removing(key: str, role: Role) -> None:
    role(*ACTIONS_OF["list_objects"])
    assert connection.list_objects().sizes

    role(*ACTIONS_OF["remove"])
    connection.remove([key, f"{key}-none"])
    role(*ACTIONS_OF["exists"])
    assert not connection.exists(key)


def test_a_role_may_do_nothing_else(key: str, role: Role) -> None:
    role(*ACTIONS_OF["put_all"])
    connection.put_all([StoredFile(key, b"other", "text/plain")])
    with pytest.raises(StoreUnavailable):
        connection.get(key)

    role(*ACTIONS_OF["get"])
    assert connection.get(key) == b"other"
    with pytest.raises(StoreUnavailable):
        connection.put_all([StoredFile(key, b"another", "text/plain")])
