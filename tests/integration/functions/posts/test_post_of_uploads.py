"""POST /posts as JSON: a post made of files that were sent straight to the store before."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from functions.images import resize_photo
from functions.posts import create_post, delete_post, get_post, sweep_posts
from layers.core import limits
from layers.media import connection, photos, uploads
from layers.postgres import posts
from layers.postgres.connection import transaction
from tests import pictures
from tests.support.calls import Upload, call
from tests.support.deliveries import deliver
from tests.support.direct_uploads import ask_one, create, grow_older, is_stored, send
from tests.support.people import Person
from tests.support.proxies import Proxies, Proxy, stores_answer
from tests.support.queues import watch_notifications
from tests.support.together import together
from tests.support.waiting import until

PHOTO = pictures.jpeg(64, 48)


def _originals(post_id: str) -> list[str]:
    with transaction() as db:
        return posts.read_original_keys(db, post_id=UUID(post_id))


def _rows(person: Person) -> int:
    with transaction() as db:
        row = db.execute("SELECT count(*) FROM posts WHERE user_id = %s", [person.id]).fetchone()
    assert row
    return int(row[0])


def _used(upload_id: str) -> str | None:
    with transaction() as db:
        row = db.execute("SELECT post_id::text FROM uploads WHERE id = %s", [upload_id]).fetchone()
    assert row
    used: str | None = row[0]
    return used


def _latest_abandoned() -> list[str]:
    """Objects of the post that was withdrawn last."""
    with transaction() as db:
        row = db.execute("SELECT keys FROM abandoned_files ORDER BY created_at DESC LIMIT 1").fetchone()
    assert row
    keys: list[str] = row[0]
    return keys


def _store(upload_id: str, data: bytes) -> None:
    """Replace the bytes of an upload by others than the store would have accepted."""
    connection.put_all([connection.StoredFile(uploads.key(UUID(upload_id)), data, "image/jpeg")])


@pytest.mark.rule("R-M5")
def test_from_the_presigned_put_to_the_published_post(ada: Person) -> None:
    files = [pictures.jpeg(640, 480), pictures.jpeg(300, 400)]
    upload_ids = send(ada, *files)
    with watch_notifications() as notices:
        reply = create(
            ada,
            *upload_ids,
            caption="Two of <b>them</b> #Sun",
            location=" Rome ",
            filters=["moon"],
            tags=["Sea"],
            headers={"x-trace-id": "trace-of-two"},
        )
        post = reply.json["post"]
        assert reply.status == 202
        assert (reply.json["status"], reply.json["post_id"]) == ("processing", post["id"])
        assert (post["caption"], post["location"], post["tags"]) == ("Two of them #Sun", "Rome", ["sea", "sun"])
        assert [media["filterApplied"] for media in post["media"]] == ["moon", "none"]
        originals = _originals(post["id"])
        assert [photos.read_original(key) for key in originals] == files

        def own() -> list[dict[str, Any]]:
            return [notice for notice in notices() if post["id"] in notice["Key"]]

        notes = until(lambda: len(own()) == 2 and own())
    assert {note["EventName"] for note in notes} == {"s3:ObjectCreated:Copy"}
    uploaded = [msgspec.convert(note, photos.UploadNotification) for note in notes]
    assert {each.trace_id for each in uploaded} == {"trace-of-two"}
    assert not any(is_stored(upload_id) for upload_id in upload_ids)
    deliver(resize_photo, *notes)

    published = call(get_post, path={"post_id": post["id"]}).json["post"]
    assert published["status"] == "published"
    assert [(media["width"], media["height"]) for media in published["media"]] == [(640, 480), (300, 400)]


def test_the_answer_has_the_form_of_a_post_of_files(ada: Person) -> None:
    of_uploads = create(ada, *send(ada, PHOTO)).json
    of_files = call(create_post, session_id=ada.session_id, form=([Upload(PHOTO)], {})).json

    assert set(of_uploads) == set(of_files)
    assert set(of_uploads["post"]) == set(of_files["post"])
    differing = {"id", "createdAt", "media"}
    assert {name: value for name, value in of_uploads["post"].items() if name not in differing} == {
        name: value for name, value in of_files["post"].items() if name not in differing
    }


@pytest.mark.rule("R-V2")
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "heic"])
def test_the_four_types_are_accepted_whatever_was_declared(ada: Person, kind: str) -> None:
    data = pictures.of_type(kind)
    reply = create(ada, *send(ada, data, media_type="image/png"))

    assert reply.status == 202
    [key] = _originals(reply.json["post_id"])
    assert key.endswith(".jpg" if kind == "jpeg" else f".{kind}")


@pytest.mark.rule("R-V2")
def test_a_picture_that_begins_late_in_its_file_is_found(ada: Person) -> None:
    data = PHOTO[:2] + (b"\xff\xe5\xff\xff" + b"\0" * 65533) * 4 + PHOTO[2:]
    heic = pictures.heic()
    late = heic[:28] + (80_000).to_bytes(4) + b"free" + bytes(80_000 - 8) + heic[28:]

    assert [create(ada, *send(ada, each)).status for each in (data, late)] == [202, 202]


@pytest.mark.rule("R-M1", "R-M8")
@pytest.mark.parametrize(("data", "status"), [each for each in pictures.REFUSED if each.id != "empty"])
def test_a_bad_file_is_refused_by_its_bytes_and_nothing_is_stored(ada: Person, data: bytes, status: int) -> None:
    upload_ids = send(ada, PHOTO, data)
    reply = create(ada, *upload_ids)

    assert reply.status == status
    assert upload_ids[1] in reply.json["error"]
    assert reply.json["errors"][0]["field"] == "uploads"
    assert _rows(ada) == 0
    assert _used(upload_ids[0]) is None
    assert create(ada, upload_ids[0]).status == 202


@pytest.mark.rule("R-M1")
def test_exactly_ten_mebibytes_pass_and_one_more_stored_is_413(ada: Person) -> None:
    exact = pictures.padded(PHOTO, limits.FILE_BYTES)
    upload_ids = send(ada, exact, PHOTO)
    _store(upload_ids[1], exact + b"\0")

    assert create(ada, upload_ids[0]).status == 202
    reply = create(ada, upload_ids[1])
    assert (reply.status, reply.json["errors"][0]["field"]) == (413, "uploads")


def test_an_upload_that_is_not_to_be_had_is_400_and_named(ada: Person, grace: Person) -> None:
    [good, used, late] = send(ada, PHOTO, PHOTO, PHOTO)
    [foreign] = send(grace, PHOTO)
    not_sent = ask_one(ada, len(PHOTO))["id"]
    assert create(ada, used).status == 202
    grow_older(late, seconds=limits.UPLOAD_USABLE_SECONDS)

    for bad in (str(uuid4()), foreign, used, late, not_sent):
        reply = create(ada, good, bad)
        assert (reply.status, reply.json["errors"][0]["field"]) == (400, "uploads")
        assert bad in reply.json["error"]
    assert create(ada, good, good).status == 400
    assert _rows(ada) == 1
    assert [_used(each) for each in (good, foreign)] == [None, None]


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"caption": "x" * 2201}, "caption"),
        ({"caption": 5}, "caption"),
        ({"location": "x" * 256}, "location"),
        ({"filters": ["sepia"]}, "filters"),
        ({"filters": "none"}, "filters"),
        ({"tags": ["white space"]}, "tags[0]"),
        ({"tags": ["x" * 51]}, "tags[0]"),
        ({"tags": [f"t{number}" for number in range(31)]}, "tags"),
        ({"tags": "sun"}, "tags"),
        ({"uploads": []}, "uploads"),
        ({"uploads": "x"}, "uploads"),
        ({"uploads": ["not-an-id"]}, "uploads"),
        ({"uploads": [str(uuid4()) for _ in range(11)]}, "uploads"),
        ({"uploads": None}, "uploads"),
    ],
)
def test_a_bad_member_is_named_and_nothing_is_stored(ada: Person, members: dict[str, Any], field: str) -> None:
    [upload_id] = send(ada, PHOTO)
    reply = (
        create(ada, upload_id, **members)
        if "uploads" not in members
        else call(create_post, session_id=ada.session_id, body=members)
    )

    assert reply.status == 400
    assert reply.json["errors"][0]["field"].startswith(field)
    assert (_rows(ada), _used(upload_id), is_stored(upload_id)) == (0, None, True)


def test_filters_beyond_the_pictures_do_not_count(ada: Person) -> None:
    reply = create(ada, *send(ada, PHOTO), filters=["lark", "sepia"], location=None)

    assert reply.status == 202
    assert [media["filterApplied"] for media in reply.json["post"]["media"]] == ["lark"]


def test_ten_uploads_make_a_carousel_in_the_order_named(ada: Person) -> None:
    files = [pictures.jpeg(64, 40 + number) for number in range(10)]
    upload_ids = send(ada, *files)
    reply = create(ada, *reversed(upload_ids))

    assert reply.status == 202
    assert [photos.read_original(key) for key in _originals(reply.json["post_id"])] == files[::-1]


def test_of_two_posts_of_one_upload_at_once_one_is_created(ada: Person) -> None:
    for _ in range(2):
        before = _rows(ada)
        one, two, three = send(ada, PHOTO, PHOTO, PHOTO)
        replies = together(lambda ids: create(ada, *ids), [(one, two, three), (three, two, one), (two,)])

        assert sorted(reply.status for reply in replies) == [202, 400, 400]
        assert _rows(ada) == before + 1


@pytest.mark.rule("R-L1")
def test_both_ways_share_the_limit_of_ten_posts_an_hour(ada: Person) -> None:
    statuses = [create(ada).status for _ in range(5)]
    statuses += [call(create_post, session_id=ada.session_id, form=([], {})).status for _ in range(5)]

    assert statuses == [400] * 10
    assert create(ada).status == 429


def test_no_session_is_401() -> None:
    assert call(create_post, body={"uploads": [str(uuid4())]}).status == 401


def test_without_the_object_store_it_is_503_and_the_uploads_stay_free(ada: Person, store_proxy: Proxy) -> None:
    upload_ids = send(ada, PHOTO, PHOTO)
    store_proxy.close()
    refused = create(ada, *upload_ids)

    assert (refused.status, refused.json["queued"]) == (503, False)
    assert int(refused.headers["retry-after"]) >= 1
    assert _rows(ada) == 0
    assert [_used(upload_id) for upload_id in upload_ids] == [None, None]
    store_proxy.open()
    assert create(ada, *upload_ids).status == 202


@contextmanager
def _just_before_copying(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> Iterator[None]:
    """Something happens after the uploads were inspected and before they are copied."""
    inspect = uploads.inspect

    def inspect_and_interrupt(upload_ids: Sequence[UUID]) -> list[uploads.StoredUpload]:
        stored = inspect(upload_ids)
        happens()
        return stored

    with monkeypatch.context() as patched:
        patched.setattr(uploads, "inspect", inspect_and_interrupt)
        yield


def test_an_upload_sent_again_while_its_post_is_made_is_400_and_nothing_is_left(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_ids = send(ada, PHOTO, PHOTO)
    with _just_before_copying(monkeypatch, lambda: _store(upload_ids[1], pictures.jpeg(64, 40))):
        reply = create(ada, *upload_ids)

    assert (reply.status, reply.json["errors"][0]["field"]) == (400, "uploads")
    assert _rows(ada) == 0
    assert all(is_stored(upload_id) and _used(upload_id) is None for upload_id in upload_ids)
    assert not any(connection.exists(key) for key in _latest_abandoned())
    assert create(ada, *upload_ids).status == 202


def test_with_the_store_down_before_the_copy_the_cleanup_gets_the_keys(
    ada: Person, monkeypatch: pytest.MonkeyPatch, store_proxy: Proxy
) -> None:
    upload_ids = send(ada, PHOTO, PHOTO)
    with _just_before_copying(monkeypatch, store_proxy.close):
        assert create(ada, *upload_ids).status == 503
    store_proxy.open()

    assert _rows(ada) == 0
    assert [_used(upload_id) for upload_id in upload_ids] == [None, None]
    keys = _latest_abandoned()
    originals = [key for key in keys if key.startswith("originals/")]
    assert len(originals) == 2
    assert sorted(photos.all_keys(photos.parse_original_key(originals[0]).post_id, originals)) == sorted(keys)


def test_with_the_database_down_before_the_rows_nothing_is_copied(
    ada: Person, monkeypatch: pytest.MonkeyPatch, proxies: Proxies
) -> None:
    upload_ids = send(ada, PHOTO)
    with _just_before_copying(monkeypatch, proxies.database.close):
        assert create(ada, *upload_ids).status == 503
    proxies.database.open()
    until(stores_answer)

    assert (_rows(ada), _used(upload_ids[0]), is_stored(upload_ids[0])) == (0, None, True)


def test_the_uploads_of_a_deleted_post_stay_used(ada: Person) -> None:
    [upload_id] = send(ada, PHOTO)
    post_id = create(ada, upload_id).json["post_id"]
    assert call(delete_post, session_id=ada.session_id, path={"post_id": post_id}).status == 200

    assert create(ada, upload_id).status == 400


@pytest.mark.rule("R-M5")
def test_a_copy_whose_notice_was_lost_is_finished_by_the_sweeper(ada: Person) -> None:
    post_id = create(ada, *send(ada, PHOTO)).json["post_id"]
    with transaction() as db:
        db.execute("UPDATE posts SET updated_at = updated_at - interval '1 min' WHERE id = %s", [post_id])
    sweep_posts.handler({"id": "x"}, None)

    assert call(get_post, path={"post_id": post_id}).json["post"]["status"] == "published"
