"""The main job: a photo travels from a phone to a follower's feed."""

import io
from functools import partial

import httpx
import pytest
from PIL import Image

from layers.media import connection as store
from layers.postgres.connection import transaction
from tests.pictures import phone_photo
from tests.support.http import Caller
from tests.support.links import rendition_url
from tests.support.waiting import until


@pytest.fixture
def author() -> Caller:
    """Who uploads."""
    return Caller("author")


@pytest.fixture
def follower(author: Caller) -> Caller:
    """Who follows the author."""
    follower = Caller("follower")
    follower.follow(author)
    return follower


def test_a_photo_travels_from_the_upload_to_the_followers_feed(author: Caller, follower: Caller) -> None:
    follower.feed()
    created = author.upload(phone_photo(), caption="Sunset <b>here</b> #Sea", location="Ostend")
    post = created["post"]

    assert (created["status"], post["status"], post["caption"], post["tags"]) == (
        "processing",
        "processing",
        "Sunset here #Sea",
        ["sea"],
    )
    assert post["media"][0]["mediaUrl"] is None
    shown = until(lambda: follower.in_feed(post["id"]), seconds=50, every=1)

    assert shown["status"] == "published"
    assert shown["isLiked"] is False
    [media] = shown["media"]
    assert (media["renditions"]["sizes"], media["renditions"]["formats"]) == ([150, 320, 640, 1080], ["webp", "jpg"])
    for side in (150, 320, 640, 1080):
        for extension, format_ in {"jpg": "JPEG", "webp": "WEBP"}.items():
            answer = httpx.get(rendition_url(media, side, extension))
            assert answer.headers["content-type"] == f"image/{format_.lower()}"
            with Image.open(io.BytesIO(answer.content)) as picture:
                assert (picture.format, max(picture.size)) == (format_, side)
                assert not picture.getexif()


def test_a_photo_sent_straight_to_the_store_is_published_too(author: Caller, follower: Caller) -> None:
    photo = phone_photo(width=2400, height=1800)
    asked = author.http.post("/posts/uploads", json={"files": [{"size": len(photo), "type": "image/jpeg"}]})
    assert asked.status_code == 201, asked.text
    [upload] = asked.json()["uploads"]
    sent = httpx.request(upload["method"], upload["url"], content=photo, headers=upload["headers"], timeout=30)
    assert sent.status_code == 200, sent.text
    created = author.http.post("/posts", json={"uploads": [upload["id"]], "caption": "Straight"})
    assert created.status_code == 202, created.text

    shown = until(lambda: follower.in_feed(created.json()["post_id"]), seconds=50, every=1)
    assert (shown["caption"], shown["media"][0]["width"]) == ("Straight", 2400)


@pytest.mark.rule("R-F4")
def test_a_post_is_visible_to_its_author_alone_until_it_is_published(author: Caller, follower: Caller) -> None:
    post_id = author.upload(phone_photo())["post_id"]
    while not author.published(post_id):
        seen = follower.post(post_id)
        assert seen is None or seen["status"] == "published"


def test_a_carousel_keeps_its_order(author: Caller) -> None:
    pictures = [phone_photo(width=400 + 100 * number, height=400) for number in range(4)]
    post_id = author.upload(*pictures, filters='["moon", "none", "lark"]')["post_id"]
    post = until(lambda: author.published(post_id), seconds=30)

    assert [media["orderIndex"] for media in post["media"]] == [0, 1, 2, 3]
    assert [media["width"] for media in post["media"]] == [400, 500, 600, 700]
    assert [media["filterApplied"] for media in post["media"]] == ["moon", "none", "lark", "none"]


@pytest.mark.rule("R-M6")
def test_a_broken_picture_ends_failed_and_its_owner_reads_why(author: Caller, follower: Caller) -> None:
    whole = phone_photo()
    post_id = author.upload(whole[: len(whole) // 2])["post_id"]

    def failed() -> bool:
        post = author.post(post_id)
        return post is not None and post["status"] == "failed"

    until(failed, seconds=60)
    post = author.post(post_id)

    assert post is not None
    assert post["media"][0]["failure"]
    assert follower.post(post_id) is None


@pytest.mark.rule("R-I4")
def test_likes_show_at_once_in_post_and_feed(author: Caller, follower: Caller) -> None:
    post_id = author.upload(phone_photo())["post_id"]
    until(lambda: follower.in_feed(post_id), seconds=50, every=1)
    for turn in range(3):
        assert follower.http.post(f"/posts/{post_id}/like").json()["idempotent"] is False
        liked = follower.in_feed(post_id)
        assert liked is not None, turn
        assert (liked["isLiked"], liked["likeCount"]) == (True, 1)
        assert follower.http.delete(f"/posts/{post_id}/like").json()["idempotent"] is False
        unliked = follower.in_feed(post_id)
        assert unliked is not None, turn
        assert (unliked["isLiked"], unliked["likeCount"]) == (False, 0)


@pytest.mark.rule("R-I5")
def test_follow_and_unfollow_show_in_the_next_feed(author: Caller) -> None:
    post_id = author.upload(phone_photo())["post_id"]
    until(lambda: author.published(post_id), seconds=30)
    reader = Caller("reader")
    for _ in range(3):
        assert reader.in_feed(post_id) is None
        reader.follow(author)
        assert reader.in_feed(post_id) is not None
        reader.http.delete(f"/users/{author.id}/follow")


@pytest.mark.rule("R-F5")
def test_a_published_or_deleted_post_shows_in_a_warm_feed_within_5_s(author: Caller, follower: Caller) -> None:
    follower.feed()
    post_id = author.upload(phone_photo())["post_id"]
    until(lambda: author.published(post_id), seconds=50)
    until(lambda: follower.in_feed(post_id), seconds=5, every=0.5)
    author.http.delete(f"/posts/{post_id}").raise_for_status()
    until(lambda: follower.in_feed(post_id) is None, seconds=5, every=0.5)


def test_a_deleted_post_and_its_files_are_removed_at_once(author: Caller, follower: Caller) -> None:
    post_id = author.upload(phone_photo())["post_id"]
    shown = until(lambda: follower.in_feed(post_id), seconds=50, every=1)
    url = shown["media"][0]["mediaUrl"]
    assert httpx.get(url).status_code == 200
    assert follower.http.delete(f"/posts/{post_id}").status_code == 403
    assert author.http.delete(f"/posts/{post_id}").status_code == 200

    assert follower.in_feed(post_id) is None
    assert author.post(post_id) is None
    assert httpx.get(url, headers={"cache-control": "no-cache"}).status_code == 404


@pytest.mark.rule("R-M7")
def test_no_media_link_works_without_its_signature_or_leads_to_the_uploaded_file(author: Caller) -> None:
    post_id, other_id = (author.upload(phone_photo())["post_id"] for _ in range(2))
    url, other_url = (
        until(partial(author.published, each), seconds=30)["media"][0]["mediaUrl"] for each in (post_id, other_id)
    )
    base, signature, expiry, path = _parts(url)
    other_path = _parts(other_url)[-1]
    assert [httpx.get(each).status_code for each in (url, other_url)] == [200, 200]
    original = _original_key(post_id)
    assert store.exists(original)

    for forged in (
        f"{base}{path}",
        f"{base}{'A' * len(signature)}/{expiry}/{path}",
        f"{base}{signature}/{int(expiry) + 3600}/{path}",
        f"{base}{signature}/{expiry}/{other_path}",
        f"{base}{signature}/{expiry}/{original}",
        f"{base}{signature}/{expiry}/",
    ):
        assert httpx.get(forged).status_code == 403, forged


def _original_key(post_id: str) -> str:
    """Where the store keeps the post's first uploaded file."""
    with transaction() as db:
        row = db.execute("SELECT original_key FROM post_media WHERE post_id = %s", [post_id]).fetchone()
    assert row
    return str(row[0])


def _parts(url: str) -> tuple[str, str, str, str]:
    base, _, rest = url.partition("/media/")
    signature, expiry, path = rest.split("/", 2)
    return f"{base}/media/", signature, expiry, path
