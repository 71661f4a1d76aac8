"""A story is created, viewed, counted, expires and is removed. Time passes by moving the row, not by waiting."""

import io
from typing import Any
from uuid import UUID

import httpx
import pytest
from PIL import Image

from functions.stories import delete_expired_stories
from layers.core.limits import STORY_GRACE_SECONDS, STORY_SECONDS
from tests.pictures import phone_photo
from tests.support.http import Caller, api
from tests.support.stories import grow_older
from tests.support.waiting import until


@pytest.fixture
def author() -> Caller:
    """The author of a story."""
    return Caller("author")


@pytest.fixture
def friend(author: Caller) -> Caller:
    """A follower of the author."""
    friend = Caller("friend")
    friend.follow(author)
    return friend


def _create_story(author: Caller, picture: bytes, **texts: str) -> dict[str, Any]:
    answer = author.http.post("/stories", files={"media": ("story.jpg", picture)}, data=texts)
    assert answer.status_code == 201, answer.text
    story: dict[str, Any] = answer.json()["story"]
    return story


def _tray(viewer: Caller) -> list[tuple[str, bool]]:
    """Tray and alias, which answer the same."""
    tray = viewer.http.get("/stories/tray").json()
    assert viewer.http.get("/stories/feed").json() == tray
    return [(user["username"], user["hasSeen"]) for user in tray["users"]]


def _stories(viewer: Caller, author: Caller) -> list[dict[str, Any]]:
    answer = viewer.http.get(f"/stories/user/{author.id}")
    assert answer.status_code == 200, answer.text
    stories: list[dict[str, Any]] = answer.json()["stories"]
    return stories


@pytest.mark.rule("R-S1")
def test_a_story_is_viewed_counted_and_gone_for_all_after_24_hours(author: Caller, friend: Caller) -> None:
    story = _create_story(author, phone_photo(), filter="lark")
    assert (_tray(author), _tray(friend)) == ([(author.username, True)], [(author.username, False)])
    [seen] = _stories(friend, author)
    assert (seen["id"], seen["filterApplied"], seen["hasViewed"]) == (story["id"], "lark", False)
    viewed = friend.http.post(f"/stories/{story['id']}/view").json()
    assert (viewed["idempotent"], viewed["tracked"]) == (False, True)
    assert [(each["hasViewed"], each["viewCount"]) for each in _stories(friend, author)] == [(True, 1)]
    assert _tray(friend) == [(author.username, True)]

    grow_older(UUID(story["id"]), seconds=STORY_SECONDS)

    for viewer in (author, friend):
        assert _tray(viewer) == []
        assert _stories(viewer, author) == []
        assert viewer.http.post(f"/stories/{story['id']}/view").status_code == 404


def test_a_storys_pictures_are_uncropped_stripped_and_within_1080_by_1920(author: Caller) -> None:
    story = _create_story(author, phone_photo(width=1500, height=3000))
    picture, thumbnail = httpx.get(story["mediaUrl"]), httpx.get(story["thumbnailUrl"])

    assert [answer.headers["content-type"] for answer in (picture, thumbnail)] == ["image/jpeg"] * 2
    assert "private" in picture.headers["cache-control"]
    with Image.open(io.BytesIO(picture.content)) as shown, Image.open(io.BytesIO(thumbnail.content)) as small:
        assert (shown.size, small.size) == ((960, 1920), (150, 150))
        assert not shown.getexif()


@pytest.mark.rule("R-S1")
def test_a_link_to_a_story_ends_with_the_story(author: Caller, friend: Caller) -> None:
    story = _create_story(author, phone_photo(width=400, height=300))
    grow_older(UUID(story["id"]), seconds=STORY_SECONDS - 3)
    [last] = _stories(friend, author)
    assert httpx.get(last["mediaUrl"]).status_code == 200

    until(lambda: httpx.get(last["mediaUrl"]).status_code == 403)
    assert _stories(friend, author) == []


@pytest.mark.rule("R-S2")
def test_an_hour_after_its_end_the_cleanup_removes_the_files_too(author: Caller) -> None:
    story, other = (_create_story(author, phone_photo(width=400, height=300)) for _ in range(2))
    grow_older(UUID(story["id"]), seconds=STORY_SECONDS + STORY_GRACE_SECONDS + 1)
    assert httpx.get(story["mediaUrl"]).status_code == 200
    delete_expired_stories.handler({"source": "aws.events", "detail-type": "Scheduled Event"}, None)

    for url in ("mediaUrl", "thumbnailUrl"):
        gone = httpx.get(story[url], headers={"cache-control": "no-cache"})
        assert gone.status_code == 404, url
        assert httpx.get(other[url]).status_code == 200


@pytest.mark.rule("R-M7")
def test_no_story_link_works_for_another_story(author: Caller) -> None:
    first, second = (_create_story(author, phone_photo(width=400, height=300))["mediaUrl"] for _ in range(2))
    assert [httpx.get(link).status_code for link in (first, second)] == [200, 200]
    forged = first.rpartition("/stories/")[0] + "/stories/" + second.rpartition("/stories/")[2]

    assert httpx.get(forged).status_code == 403


def test_a_bad_story_is_refused_with_a_reason_and_is_not_shown(author: Caller, friend: Caller) -> None:
    answer = author.http.post("/stories", files={"media": ("holiday.jpg", b"GIF89a" + b"\0" * 100)})
    assert answer.status_code == 415
    assert "holiday.jpg" in answer.json()["error"]
    with httpx.Client(base_url=api()) as nobody:
        assert nobody.post("/api/v1/stories", files={"media": ("a.jpg", phone_photo())}).status_code == 401

    assert (_tray(author), _tray(friend)) == ([], [])
