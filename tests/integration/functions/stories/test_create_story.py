"""POST /stories: one picture, ready in the answer; what is refused, and that nothing is half-stored."""

import io
from datetime import datetime, timedelta

import pytest
from PIL import Image

from functions.stories import create_story
from layers.core import limits, story_files
from layers.postgres.connection import transaction
from tests import pictures
from tests.support.calls import Reply, Upload, call
from tests.support.people import Person


def _create(person: Person, *uploads: Upload, **texts: str) -> Reply:
    return call(create_story, session_id=person.session_id, form=(list(uploads), texts))


def _photo(**given: str) -> Upload:
    return Upload(pictures.jpeg(64, 48), **given)


def _rows(person: Person) -> int:
    with transaction() as db:
        row = db.execute("SELECT count(*) FROM stories WHERE user_id = %s", [person.id]).fetchone()
    assert row
    count: int = row[0]
    return count


def test_r_s1_the_answer_is_the_story_with_its_24_hours(ada: Person) -> None:
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
