"""Signed media links, against nginx and MinIO."""

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import boto3
import httpx
import pytest
from botocore.config import Config
from mypy_boto3_s3.client import S3Client

from layers.core import media_links
from layers.core.settings import settings
from tests.support import services
from tests.support.waiting import until

type Put = Callable[..., str]

PICTURE = b"\xff\xd8\xff\xe0 not really a picture"


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


@pytest.fixture(scope="module")
def put(store: S3Client) -> Iterator[Put]:
    """Puts an object and returns its key; all are deleted at the end."""
    keys: list[str] = []

    def put(key: str, content_type: str = "image/jpeg") -> str:
        store.put_object(
            Bucket=settings().s3_bucket,
            Key=key,
            Body=PICTURE,
            ContentType=content_type,
            Metadata={"trace-id": "secret-of-the-store"},
        )
        keys.append(key)
        return key

    yield put
    store.delete_objects(Bucket=settings().s3_bucket, Delete={"Objects": [{"Key": key} for key in keys]})


@pytest.fixture(scope="module")
def post_id() -> str:
    return str(uuid4())


@pytest.fixture(scope="module")
def key(put: Put, post_id: str) -> str:
    return put(f"processed/small/{post_id}_320.jpg")


def problem(reply: httpx.Response, status: int) -> None:
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json()["status"] == status
    assert reply.json()["error"]


def test_a_signed_link_gives_the_bytes_with_their_type_and_nothing_of_the_store(key: str, post_id: str) -> None:
    reply = httpx.get(media_links.link(key, post_id))
    assert reply.status_code == 200
    assert reply.content == PICTURE
    assert reply.headers["content-type"] == "image/jpeg"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["etag"]
    assert not [name for name in reply.headers if name.startswith("x-amz-")]


def test_renditions_may_be_kept_until_their_link_expires(key: str, post_id: str) -> None:
    until = datetime.now(UTC) + timedelta(seconds=90)
    reply = httpx.get(media_links.link(key, post_id, at_most=until))
    kind, age, last = reply.headers["cache-control"].split(", ")
    assert (kind, last) == ("public", "immutable")
    assert 80 <= int(age.removeprefix("max-age=")) <= 90


@pytest.mark.rule("R-S1")
def test_story_media_are_private_and_kept_no_longer_than_the_story(put: Put) -> None:
    story_id = str(uuid4())
    key = put(f"stories/2026/01/02/{story_id}.jpg")
    reply = httpx.get(media_links.link(key, story_id, at_most=datetime.now(UTC) + timedelta(seconds=30)))
    assert reply.status_code == 200
    kind, age = reply.headers["cache-control"].split(", ")
    assert kind == "private"
    assert 20 <= int(age.removeprefix("max-age=")) <= 30


def test_a_known_etag_is_answered_304(key: str, post_id: str) -> None:
    link = media_links.link(key, post_id)
    etag = httpx.get(link).headers["etag"]
    reply = httpx.get(link, headers={"if-none-match": etag})
    assert reply.status_code == 304
    assert reply.content == b""


def test_a_version_in_the_query_is_no_part_of_the_signature(put: Put) -> None:
    user_id = str(uuid4())
    key = put(f"avatars/{user_id}.jpg")
    assert httpx.get(media_links.link(key, user_id) + "?v=7").status_code == 200


@pytest.mark.rule("R-M7")
def test_an_expired_link_is_403(key: str, post_id: str) -> None:
    problem(httpx.get(media_links.link(key, post_id, at_most=datetime.now(UTC) - timedelta(seconds=1))), 403)


@pytest.mark.rule("R-M7")
def test_an_altered_expiry_is_403(key: str, post_id: str) -> None:
    base = settings().media_base_url
    signature, expiry, rest = media_links.link(key, post_id).removeprefix(base).split("/", 2)
    problem(httpx.get(f"{base}{signature}/{int(expiry) + 1}/{rest}"), 403)


@pytest.mark.rule("R-M7")
@pytest.mark.parametrize(
    "path", ["", "x", "processed/small/1_320.jpg", "AAAAAAAAAAAAAAAAAAAAAA/9999999999/no-scope/x.jpg"]
)
def test_a_link_without_a_signature_is_403(path: str) -> None:
    problem(httpx.get(settings().media_base_url + path), 403)


@pytest.mark.rule("R-M7")
def test_a_link_opens_only_objects_of_its_own_scope(put: Put, key: str, post_id: str) -> None:
    foreign = put(f"processed/small/{uuid4()}_320.jpg")
    problem(httpx.get(media_links.prefix(post_id) + foreign), 403)
    problem(httpx.get(media_links.prefix(post_id) + f"processed/{post_id}/../../{foreign}"), 403)


@pytest.mark.rule("R-M7")
def test_originals_are_never_served(put: Put) -> None:
    post_id = str(uuid4())
    original = put(f"originals/2026/01/02/{post_id}-0")
    problem(httpx.get(media_links.link(original, post_id)), 403)
    assert httpx.get(f"{settings().s3_endpoint_url}/{settings().s3_bucket}/{original}").status_code == 403


def test_the_store_answers_nginx_alone(key: str) -> None:
    assert httpx.get(f"{settings().s3_endpoint_url}/{settings().s3_bucket}/{key}").status_code == 403
    assert httpx.get(f"{settings().s3_endpoint_url}/{settings().s3_bucket}/").status_code == 403


def test_a_missing_object_is_404(post_id: str) -> None:
    problem(httpx.get(media_links.link(f"processed/large/{post_id}_1080.webp", post_id)), 404)


def test_media_answer_503_while_the_store_is_down(key: str, post_id: str) -> None:
    link = media_links.link(key, post_id)
    with services.stop("minio"):
        reply = httpx.get(link)
        problem(reply, 503)
        assert reply.headers["retry-after"]
    assert httpx.get(link).status_code == 200


def test_media_are_read_only(key: str, post_id: str) -> None:
    for method in ("PUT", "POST", "DELETE"):
        problem(httpx.request(method, media_links.link(key, post_id)), 405)
    assert httpx.head(media_links.link(key, post_id)).status_code == 200


def test_nginx_passes_presigned_puts_of_uploads_and_nothing_else_to_the_store(store: S3Client, key: str) -> None:
    front = os.environ["PHOTOGRAM_URL"]
    at_front = boto3.client(
        "s3",
        endpoint_url=front,
        aws_access_key_id=settings().s3_access_key_id,
        aws_secret_access_key=settings().s3_secret_access_key,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    upload = {"Bucket": settings().s3_bucket, "Key": f"uploads/{uuid4()}"}
    url = at_front.generate_presigned_url("put_object", Params=upload, ExpiresIn=60)
    large = PICTURE * 100_000  # more than nginx keeps in memory
    assert httpx.put(url, content=large).status_code == 200
    assert store.get_object(Bucket=upload["Bucket"], Key=upload["Key"])["Body"].read() == large
    store.delete_object(Bucket=upload["Bucket"], Key=upload["Key"])
    problem(httpx.put(url, content=bytes(12 << 20)), 413)
    problem(httpx.get(url), 405)
    other = at_front.generate_presigned_url("get_object", Params={**upload, "Key": key}, ExpiresIn=60)
    assert httpx.get(other).content != PICTURE


def test_nginx_gives_each_answer_a_trace_id_and_keeps_a_valid_one() -> None:
    front = os.environ["PHOTOGRAM_URL"]
    assert httpx.get(front, headers={"x-trace-id": "mine-1"}).headers["x-trace-id"] == "mine-1"
    assert len(httpx.get(front).headers["x-trace-id"]) == 36
    assert len(httpx.get(front, headers={"x-trace-id": "x" * 129}).headers["x-trace-id"]) == 36


def test_nginx_does_not_serve_metrics() -> None:
    problem(httpx.get(os.environ["PHOTOGRAM_URL"] + "/metrics"), 404)


def test_a_body_over_110_megabytes_is_413_before_it_is_sent() -> None:
    link = http.client.HTTPConnection(httpx.URL(os.environ["PHOTOGRAM_URL"]).netloc.decode(), timeout=5)
    link.putrequest("POST", "/api/v1/posts")
    link.putheader("content-length", str(111 << 20))
    link.endheaders()
    reply = link.getresponse()
    assert reply.status == 413
    assert json.loads(reply.read())["error"]
    link.close()


@pytest.mark.rule("R-M7")
def test_a_link_expires_to_the_second(key: str, post_id: str) -> None:
    expiry = int(time.time()) + 2
    link = media_links.link(key, post_id, at_most=datetime.fromtimestamp(expiry, UTC))
    assert httpx.get(link).status_code == 200
    until(lambda: httpx.get(link).status_code == 403, seconds=5)
    assert time.time() >= expiry
