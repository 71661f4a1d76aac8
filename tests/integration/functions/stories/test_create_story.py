"""POST /stories: one picture, ready in the answer; what is refused, and that nothing is half-stored."""

import io
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from PIL import Image

from functions.stories import create_story, delete_expired_stories, get_tray, list_user_stories
from layers.core import limits, story_files
from layers.media import connection as storage
from tests import pictures
from tests.support.calls import Reply, Upload, call
from tests.support.people import Person
from tests.support.proxies import Proxy
from tests.support.stories import grow_older, rows_of


def _create(person: Person, *uploads: Upload, **texts: str) -> Reply:
    return call(create_story, session_id=person.session_id, form=(list(uploads), texts))


def _photo(field: str = "media", name: str = "photo.jpg") -> Upload:
    return Upload(pictures.jpeg(64, 48), field=field, name=name)


@pytest.mark.rule("R-S1")
def test_the_answer_is_the_story_with_its_24_hours(ada: Person) -> None:
    reply = _create(ada, _photo(), filter="moon")
    story = reply.json["story"]

    assert reply.status == 201
    assert set(story) == {
        *("id", "userId", "mediaUrl", "mediaType", "thumbnailUrl", "filterApplied", "viewCount", "hasViewed"),
        *("createdAt", "expiresAt"),
    }
    assert (story["userId"], story["mediaType"], story["filterApplied"]) == (str(ada.id), "image", "moon")
    assert (story["viewCount"], story["hasViewed"]) == (0, True)
    made, end = (datetime.fromisoformat(story[time]) for time in ("createdAt", "expiresAt"))
    assert end - made == timedelta(hours=24)


@pytest.mark.rule("R-S5")
def test_the_own_new_story_is_in_the_next_answers(ada: Person) -> None:
    story = _create(ada, _photo()).json["story"]

    listed = call(list_user_stories, session_id=ada.session_id, path={"user": ada.id}).json["stories"]
    assert listed == [story]
    assert [user["id"] for user in call(get_tray, session_id=ada.session_id).json["users"]] == [str(ada.id)]


def test_picture_and_thumbnail_are_stored_before_the_answer(ada: Person) -> None:
    story_id = UUID(_create(ada, Upload(pictures.jpeg(2000, 1000))).json["story"]["id"])
    found = {key: Image.open(io.BytesIO(storage.get(key) or b"")) for key in story_files.keys(story_id)}

    assert [(picture.format, picture.size) for picture in found.values()] == [
        ("JPEG", (1080, 540)),
        ("WEBP", (1080, 540)),
        ("JPEG", (150, 150)),
    ]


def test_no_filter_means_none(ada: Person) -> None:
    assert _create(ada, _photo()).json["story"]["filterApplied"] == "none"


@pytest.mark.rule("R-V2")
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "heic"])
def test_the_four_types_are_accepted_whatever_is_declared(ada: Person, kind: str) -> None:
    assert _create(ada, Upload(pictures.of_type(kind), name="cat.gif", declared="image/gif")).status == 201


@pytest.mark.rule("R-M1")
def test_exactly_ten_mebibytes_pass_and_one_more_is_413(ada: Person) -> None:
    exact = pictures.padded(pictures.jpeg(64, 48), limits.FILE_BYTES)

    assert _create(ada, Upload(exact)).status == 201
    refused = _create(ada, Upload(exact + b"\0", name="big.jpg"))
    assert refused.status == 413
    assert "big.jpg" in refused.json["error"]
    assert "10 MiB" in refused.json["error"]
    assert len(rows_of(ada)) == 1


@pytest.mark.rule("R-M1", "R-M8")
@pytest.mark.parametrize(
    ("data", "status"),
    [
        *pictures.REFUSED,
        pytest.param(pictures.jpeg(640, 480)[:-2000], 422, id="truncated"),
        pytest.param(pictures.jpeg(640, 480)[:100], 422, id="header alone"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_nothing_is_stored(ada: Person, data: bytes, status: int) -> None:
    reply = _create(ada, Upload(data, name="holiday.jpg"))

    assert reply.status == status
    assert "holiday.jpg" in reply.json["error"]
    assert reply.json["errors"][0]["field"] == "media"
    assert rows_of(ada) == []


@pytest.mark.parametrize(
    "uploads",
    [
        pytest.param([], id="none"),
        pytest.param([_photo(), _photo()], id="two"),
        pytest.param([_photo(field="image")], id="other field"),
        pytest.param([Upload(b"", name="")], id="input left empty"),
    ],
)
def test_not_exactly_one_file_is_400_with_a_reason(ada: Person, uploads: list[Upload]) -> None:
    reply = _create(ada, *uploads)

    assert (reply.status, reply.json["errors"][0]["field"]) == (400, "media")
    assert "exactly 1 file" in reply.json["error"]
    assert rows_of(ada) == []


def test_an_unknown_filter_is_400_and_named(ada: Person) -> None:
    reply = _create(ada, _photo(), filter="sepia")

    assert (reply.status, reply.json["errors"][0]["field"]) == (400, "filter")
    assert rows_of(ada) == []


def test_a_body_that_is_no_form_is_400_and_no_session_401(ada: Person) -> None:
    assert call(create_story, session_id=ada.session_id, body={"filter": "none"}).status == 400
    assert call(create_story, form=([_photo()], {})).status == 401


@pytest.mark.rule("R-L1")
def test_the_twenty_first_story_of_an_hour_is_refused(ada: Person) -> None:
    statuses = [_create(ada).status for _ in range(21)]  # R-L5: whatever their outcome

    assert statuses == [400] * 20 + [429]


def test_without_the_object_store_it_is_503_and_no_story_is_shown(ada: Person, store_proxy: Proxy) -> None:
    store_proxy.close()
    refused = _create(ada, _photo())

    assert (refused.status, refused.json["queued"]) == (503, False)
    assert int(refused.headers["retry-after"]) >= 1
    assert call(get_tray, session_id=ada.session_id).json == {"users": []}
    assert call(list_user_stories, session_id=ada.session_id, path={"user": ada.id}).json["stories"] == []
    store_proxy.open()
    assert _create(ada, _photo()).status == 201


def test_a_story_interrupted_while_it_was_stored_leaves_a_row_that_the_cleanup_finds(
    ada: Person, store_proxy: Proxy
) -> None:
    store_proxy.close()
    _create(ada, _photo())
    store_proxy.open()
    [story_id] = rows_of(ada)
    grow_older(story_id, seconds=limits.STORY_GRACE_SECONDS + 1)
    delete_expired_stories.handler({}, None)

    assert rows_of(ada) == []


def test_after_three_failures_stories_are_refused_at_once(ada: Person, store_proxy: Proxy) -> None:
    store_proxy.close()
    for _ in range(3):
        assert _create(ada, _photo()).status == 503
    store_proxy.open()
    refused = _create(ada, _photo())

    assert refused.status == 503
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert len(rows_of(ada)) == 3  # refused before anything was created
