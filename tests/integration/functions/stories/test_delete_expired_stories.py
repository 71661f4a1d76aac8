"""The hourly cleanup."""

from uuid import UUID

import pytest

from functions.stories import create_story, delete_expired_stories
from layers.core import limits, story_files
from layers.core.errors import StoreUnavailable
from layers.media import connection as storage
from tests import pictures
from tests.support.calls import Upload, call
from tests.support.people import Person
from tests.support.proxies import Proxy
from tests.support.stories import grow_older, new_story, rows_of

LONG_GONE = limits.STORY_SECONDS + limits.STORY_GRACE_SECONDS + 1


def _tick() -> int:
    removed: int = delete_expired_stories.handler({"source": "aws.events", "detail-type": "Scheduled Event"}, None)
    return removed


def _story_with_files(person: Person) -> UUID:
    reply = call(create_story, session_id=person.session_id, form=([Upload(pictures.jpeg(64, 48))], {}))
    assert reply.status == 201, reply.body
    return UUID(reply.json["story"]["id"])


def _files(story_id: UUID) -> list[str]:
    return [key for key in story_files.keys(story_id) if storage.exists(key)]


@pytest.mark.rule("R-S2")
def test_rows_and_media_go_an_hour_after_the_end_and_not_before(ada: Person) -> None:
    living, ended, gone = (_story_with_files(ada) for _ in range(3))
    grow_older(ended, seconds=limits.STORY_SECONDS + limits.STORY_GRACE_SECONDS - 60)
    grow_older(gone, seconds=LONG_GONE)
    assert _tick() >= 1

    assert rows_of(ada) == [living, ended]
    assert [len(_files(story_id)) for story_id in (living, ended, gone)] == [3, 3, 0]


def test_more_than_one_batch_goes_in_one_run(ada: Person) -> None:
    count = delete_expired_stories.BATCH + 5
    for _ in range(count):
        new_story(ada, age_seconds=LONG_GONE)

    assert _tick() >= count
    assert rows_of(ada) == []


def test_running_again_removes_nothing() -> None:
    _tick()

    assert _tick() == 0


def test_a_story_whose_files_were_never_stored_is_removed(ada: Person) -> None:
    story_id = new_story(ada, age_seconds=LONG_GONE)
    _tick()

    assert rows_of(ada) == []
    assert _files(story_id) == []


def test_rows_stay_while_their_media_cannot_be_removed(ada: Person, store_proxy: Proxy) -> None:
    story_id = _story_with_files(ada)
    grow_older(story_id, seconds=LONG_GONE)
    store_proxy.close()
    with pytest.raises(StoreUnavailable):
        _tick()
    assert rows_of(ada) == [story_id]
    store_proxy.open()
    _tick()

    assert rows_of(ada) == []
    assert _files(story_id) == []
