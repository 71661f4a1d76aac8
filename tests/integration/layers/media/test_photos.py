"""The files of posts in the store, and its notifications of them."""

import hashlib
from uuid import UUID

import httpx
import msgspec
import pytest
from mypy_boto3_s3.client import S3Client

from layers.core import trace
from layers.core.errors import StoreUnavailable
from layers.core.files import File
from layers.core.ids import new_id, time_of
from layers.core.models import SIZES, rendition_key
from layers.core.settings import settings
from layers.media import photos, renditions
from layers.media.photos import PictureRef, UploadNotification
from layers.media.pictures import identify_all
from tests import pictures
from tests.support.links import rendition_url, signed_links_of
from tests.support.proxies import Proxy
from tests.support.renditions import store_renditions


def _stored(*data: bytes) -> tuple[UUID, list[str]]:
    """A post's originals, put into the store."""
    post_id = new_id()
    given = identify_all([File("media", "x", each) for each in data])
    files = photos.original_files(post_id, given)
    photos.put_originals(files)
    return post_id, [file.key for file in files]


def test_originals_lie_under_their_day_with_the_type_of_their_content(store: S3Client) -> None:
    trace.trace_id.set("trace-of-the-upload")
    post_id, keys = _stored(*map(pictures.of_type, ("jpeg", "png", "webp", "heic")))
    trace.trace_id.set(None)
    folder = f"originals/{time_of(post_id):%Y/%m/%d}"

    assert keys == [f"{folder}/{post_id}-{number}.{kind}" for number, kind in enumerate(("jpg", "png", "webp", "heic"))]
    assert [photos.parse_original_key(key) for key in keys] == [PictureRef(post_id, number) for number in range(4)]
    assert photos.read_original(keys[3]) == pictures.of_type("heic")
    found = store.head_object(Bucket=settings().s3_bucket, Key=keys[3])
    assert (found["ContentType"], found["Metadata"]) == ("image/heic", {"trace-id": "trace-of-the-upload"})


def test_reading_an_original_that_does_not_exist_gives_none() -> None:
    assert photos.read_original(f"originals/2026/01/01/{new_id()}-0.jpg") is None


@pytest.mark.rule("R-M2")
def test_renditions_lie_where_their_urls_lead() -> None:
    post_id = new_id()
    photo = renditions.render_photo(pictures.jpeg(1200, 900))
    for order_index in (0, 3):
        store_renditions(post_id, order_index, photo)
        media = signed_links_of(post_id, order_index)
        for rendition in photo.renditions:
            side = SIZES[rendition.size][1]
            found = httpx.get(rendition_url(media, side, rendition.extension))
            assert found.content == rendition.data
            assert found.headers["content-type"] == f"image/{rendition.encoding}"
        assert media["mediaUrl"] == rendition_url(media, 1080, "jpg")
        assert media["thumbnailUrl"] == rendition_url(media, 150, "jpg")


@pytest.mark.rule("R-M5")
def test_storing_again_gives_the_same_result(store: S3Client) -> None:
    post_id, keys = _stored(pictures.phone_photo())
    tags = []
    for _ in range(2):
        original = photos.read_original(keys[0])
        assert original
        store_renditions(post_id, 0, renditions.render_photo(original))
        key = rendition_key(post_id, 0, "large", "webp")
        tags.append(store.head_object(Bucket=settings().s3_bucket, Key=key)["ETag"])

    assert tags[0] == tags[1]


def test_removing_a_post_leaves_nothing(store: S3Client) -> None:
    post_id, keys = _stored(pictures.jpeg(64, 48), pictures.of_type("png"))
    for order_index in range(2):
        store_renditions(post_id, order_index, renditions.render_photo(pictures.jpeg(64, 48)))
    assert photos.remove_files(post_id, keys)

    for folder in ("originals/", "processed/"):
        pages = store.get_paginator("list_objects_v2").paginate(Bucket=settings().s3_bucket, Prefix=folder)
        assert not [each["Key"] for page in pages for each in page.get("Contents", []) if str(post_id) in each["Key"]]
    assert photos.remove_files(post_id, keys)


def test_with_the_store_down_storing_fails_and_removing_returns_false(proxy: Proxy) -> None:
    proxy.close()
    with pytest.raises(StoreUnavailable):
        _stored(pictures.jpeg(64, 48), pictures.of_type("png"))

    assert not photos.remove_files(new_id(), ["originals/x"])


def test_large_files_arrive_whole() -> None:
    data = pictures.padded(pictures.jpeg(64, 48), 10 * 1024 * 1024)
    _, keys = _stored(data, data, data)

    for key in keys:
        read = photos.read_original(key)
        assert read is not None
        assert hashlib.sha256(read).digest() == hashlib.sha256(data).digest()


def test_the_notification_of_minio_has_post_order_index_and_trace_id() -> None:
    post_id = new_id()
    key = f"originals/2026/11/23/{post_id}-7.heic"
    body = {
        "EventName": "s3:ObjectCreated:Put",
        "Key": f"instagram-media/{key}",
        "Records": [
            {
                "eventVersion": "2.0",
                "eventSource": "minio:s3",
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": {"name": "instagram-media", "arn": "arn:aws:s3:::instagram-media"},
                    "object": {
                        "key": key.replace("/", "%2F"),
                        "size": 1234,
                        "eTag": "x",
                        "contentType": "image/heic",
                        "userMetadata": {"X-Amz-Meta-Trace-Id": "a-trace", "content-type": "image/heic"},
                    },
                },
            }
        ],
    }
    upload = msgspec.json.decode(msgspec.json.encode(body), type=UploadNotification)

    assert (upload.original_key, upload.picture, upload.size) == (key, PictureRef(post_id, 7), 1234)
    assert upload.trace_id == "a-trace"


@pytest.mark.parametrize("key", ["originals/x.jpg", f"processed/large/{UUID(int=0)}_1080.jpg", "", "../../etc"])
def test_no_other_key_is_an_originals(key: str) -> None:
    with pytest.raises(ValueError, match="not the key of an original"):
        photos.parse_original_key(key)
