"""Signed media links, against nginx and MinIO."""

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import boto3
import httpx
import pytest
from botocore.config import Config
from mypy_boto3_s3.client import S3Client

from layers.core import media_links
from layers.core.models import SIZES, rendition_key
from layers.core.settings import settings
from tests.support import services
from tests.support.links import link, rendition_url, signed_links_of
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

    def put(key: str, content_type: str = "image/jpeg", data: bytes = PICTURE) -> str:
        store.put_object(
            Bucket=settings().s3_bucket,
            Key=key,
            Body=data,
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


def test_a_signed_link_gives_the_bytes_with_their_type_and_nothing_of_the_store(key: str) -> None:
    reply = httpx.get(link(key))
    assert reply.status_code == 200
    assert reply.content == PICTURE
    assert reply.headers["content-type"] == "image/jpeg"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["etag"]
    assert not [name for name in reply.headers if name.startswith(("x-amz-", "x-minio-", "x-ratelimit-"))]


def test_renditions_may_be_kept_until_their_link_expires(key: str) -> None:
    until = datetime.now(UTC) + timedelta(seconds=90)
    reply = httpx.get(link(key, until))
    kind, age, last = reply.headers["cache-control"].split(", ")
    assert (kind, last) == ("public", "immutable")
    assert 80 <= int(age.removeprefix("max-age=")) <= 90


@pytest.mark.rule("R-S1")
def test_story_media_are_private_and_kept_no_longer_than_the_story(put: Put) -> None:
    story_id = str(uuid4())
    key = put(f"stories/2026/01/02/{story_id}.jpg")
    reply = httpx.get(link(key, datetime.now(UTC) + timedelta(seconds=30)))
    assert reply.status_code == 200
    kind, age = reply.headers["cache-control"].split(", ")
    assert kind == "private"
    assert 20 <= int(age.removeprefix("max-age=")) <= 30


@pytest.mark.parametrize("order_index", [0, 3])
def test_every_expansion_of_the_template_is_its_rendition(put: Put, order_index: int) -> None:
    post_id = uuid4()
    media = signed_links_of(post_id, order_index)
    for name, (_, side) in SIZES.items():
        for extension, content_type in {"jpg": "image/jpeg", "webp": "image/webp"}.items():
            key = rendition_key(post_id, order_index, name, extension)
            put(key, content_type, key.encode())
            reply = httpx.get(rendition_url(media, side, extension))
            assert (reply.status_code, reply.content) == (200, key.encode())
            assert reply.headers["content-type"] == content_type
    assert media["renditions"]["sizes"] == [150, 320, 640, 1080]
    assert media["renditions"]["formats"] == ["webp", "jpg"]
    assert media["mediaUrl"] == rendition_url(media, 1080, "jpg")
    assert media["thumbnailUrl"] == rendition_url(media, 150, "jpg")
    problem(httpx.get(rendition_url(media, 100, "jpg")), 403)


@pytest.mark.parametrize(
    ("key", "caching"),
    [
        ("avatars/{}.jpg", "public"),
        ("messages/{}.jpg", "private"),
        ("stories/2026/01/02/{}.webp", "private"),
        ("stories/2026/01/02/{}_150.jpg", "private"),
    ],
)
def test_a_link_leads_to_its_key(put: Put, key: str, caching: str) -> None:
    scope = str(uuid4())
    key = put(key.format(scope), data=key.encode())
    reply = httpx.get(link(key))
    assert (reply.status_code, reply.content) == (200, key.replace(scope, "{}").encode())
    assert reply.headers["cache-control"].startswith(f"{caching}, max-age=")


def test_a_known_etag_is_answered_304(key: str) -> None:
    url = link(key)
    etag = httpx.get(url).headers["etag"]
    reply = httpx.get(url, headers={"if-none-match": etag})
    assert reply.status_code == 304
    assert reply.content == b""


def test_a_version_in_the_query_is_no_part_of_the_signature(put: Put) -> None:
    user_id = str(uuid4())
    key = put(f"avatars/{user_id}.jpg")
    assert httpx.get(link(key) + "?v=7").status_code == 200


@pytest.mark.rule("R-M7")
def test_an_expired_link_is_403(key: str) -> None:
    problem(httpx.get(link(key, datetime.now(UTC) - timedelta(seconds=1))), 403)


@pytest.mark.rule("R-M7")
def test_an_altered_expiry_is_403(key: str) -> None:
    base = settings().media_base_url
    signature, expiry, rest = link(key).removeprefix(base).split("/", 2)
    problem(httpx.get(f"{base}{signature}/{int(expiry) + 1}/{rest}"), 403)


@pytest.mark.rule("R-M7")
def test_an_altered_signature_is_403(key: str) -> None:
    base = settings().media_base_url
    signature, rest = link(key).removeprefix(base).split("/", 1)
    for altered in (signature[::-1], "A" * len(signature), signature[:-1], signature.swapcase(), ""):
        problem(httpx.get(f"{base}{altered}/{rest}"), 403)


@pytest.mark.rule("R-M7")
@pytest.mark.parametrize(
    "path", ["", "x", "processed/small/1_320.jpg", "AAAAAAAAAAAAAAAAAAAAAA/9999999999/x.jpg", f"{UUID(int=0)}_320.jpg"]
)
def test_a_link_without_a_signature_is_403(path: str) -> None:
    problem(httpx.get(settings().media_base_url + path), 403)


@pytest.mark.rule("R-M7")
def test_a_link_opens_only_objects_of_its_own_scope(put: Put, key: str, post_id: str) -> None:
    foreign = put(f"processed/small/{uuid4()}_320.jpg")
    name = foreign.rpartition("/")[2]
    for path in (
        *(name, foreign, key, f"{post_id}/{name}", f"{post_id}_320.jpg/../{name}", f"{post_id}%2f..%2f{name}"),
        *(f"messages/{post_id}/../../{foreign}", f"{name}?{post_id}_320.jpg", f"{name}%3f{post_id}_320.jpg"),
    ):
        problem(httpx.get(media_links.prefix(post_id) + path), 403)
    assert httpx.get(link(foreign)).status_code == 200


@pytest.mark.rule("R-M7")
def test_originals_are_never_served(put: Put) -> None:
    post_id = str(uuid4())
    original = put(f"originals/2026/01/02/{post_id}-0.jpg")
    for path in (original, f"{post_id}-0.jpg", f"stories/2026/01/02/../../../../originals/2026/01/02/{post_id}-0.jpg"):
        assert httpx.get(media_links.prefix(post_id) + path).status_code in (403, 404)
    problem(httpx.get(link(original)), 403)
    assert httpx.get(f"{settings().s3_endpoint_url}/{settings().s3_bucket}/{original}").status_code == 403


def test_the_store_answers_nginx_alone(key: str) -> None:
    assert httpx.get(f"{settings().s3_endpoint_url}/{settings().s3_bucket}/{key}").status_code == 403
    assert httpx.get(f"{settings().s3_endpoint_url}/{settings().s3_bucket}/").status_code == 403


def test_a_missing_object_is_404(post_id: str) -> None:
    problem(httpx.get(link(f"processed/large/{post_id}_1080.webp")), 404)


def test_media_answer_503_while_the_store_is_down(key: str) -> None:
    url = link(key)
    with services.stop("minio"):
        reply = httpx.get(url)
        problem(reply, 503)
        assert reply.headers["retry-after"]
    assert httpx.get(url).status_code == 200


def test_media_are_read_only(key: str) -> None:
    for method in ("PUT", "POST", "DELETE"):
        problem(httpx.request(method, link(key)), 405)
    assert httpx.head(link(key)).status_code == 200


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
    connection = http.client.HTTPConnection(httpx.URL(os.environ["PHOTOGRAM_URL"]).netloc.decode(), timeout=5)
    connection.putrequest("POST", "/api/v1/posts")
    connection.putheader("content-length", str(111 << 20))
    connection.endheaders()
    reply = connection.getresponse()
    assert reply.status == 413
    assert json.loads(reply.read())["error"]
    connection.close()


@pytest.mark.rule("R-M7")
def test_a_link_expires_to_the_second(key: str) -> None:
    expiry = int(time.time()) + 2
    url = link(key, datetime.fromtimestamp(expiry, UTC))
    assert httpx.get(url).status_code == 200
    until(lambda: httpx.get(url).status_code == 403, seconds=5)
    assert time.time() >= expiry
