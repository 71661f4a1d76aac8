"""Own stories, a single one, who saw it, and deleting it."""

from uuid import UUID, uuid4

import pytest

from functions.stories import (
    create_story,
    delete_story,
    get_story,
    get_tray,
    list_own_stories,
    list_user_stories,
    list_viewers,
    view_story,
)
from layers.core import story_files
from layers.core.settings import settings
from layers.media import connection as storage
from layers.postgres.connection import transaction
from tests import pictures
from tests.support.calls import Form, Reply, Upload, call
from tests.support.people import Person, follow, new_person
from tests.support.stories import HOUR, new_story, rows_of


def _single(story_id: UUID, viewer: Person) -> Reply:
    return call(get_story, session_id=viewer.session_id, path={"story_id": story_id})


def _viewers(story_id: UUID, viewer: Person) -> Reply:
    return call(list_viewers, session_id=viewer.session_id, path={"story_id": story_id})


def _delete(story_id: UUID, viewer: Person) -> Reply:
    return call(delete_story, session_id=viewer.session_id, path={"story_id": story_id})


def _view(story_id: UUID, viewer: Person) -> Reply:
    return call(view_story, session_id=viewer.session_id, path={"story_id": story_id})


def _own(who: Person) -> list[str]:
    return [story["id"] for story in call(list_own_stories, session_id=who.session_id).json["stories"]]


def test_own_stories_are_listed_oldest_first_and_only_while_they_live(ada: Person) -> None:
    new_story(ada, age_seconds=24 * HOUR)
    shown = [new_story(ada, age_seconds=age) for age in (2 * HOUR, 60)]

    assert _own(ada) == [str(story_id) for story_id in shown]
    assert call(list_own_stories).status == 401


def test_a_single_story_has_its_author_and_whether_it_was_viewed(ada: Person, grace: Person) -> None:
    story_id = new_story(ada)

    answer = _single(story_id, grace).json
    assert (answer["story"]["id"], answer["story"]["hasViewed"]) == (str(story_id), False)
    assert (answer["user"]["id"], answer["user"]["username"]) == (str(ada.id), ada.username)
    _view(story_id, grace)
    assert _single(story_id, grace).json["story"]["hasViewed"] is True
    assert _single(story_id, ada).json["story"]["hasViewed"] is True


@pytest.mark.rule("R-S1", "R-S7")
def test_an_ended_or_private_story_is_404(ada: Person, grace: Person) -> None:
    ended = new_story(ada, age_seconds=24 * HOUR)
    private = new_story(new_person("hidden", private=True))

    for story_id in (ended, private, uuid4()):
        assert [act(story_id, grace).status for act in (_single, _viewers, _view, _delete)] == [404] * 4
    assert [act(ended, ada).status for act in (_single, _viewers, _view, _delete)] == [404] * 4


@pytest.mark.rule("R-S3", "R-S4")
def test_viewers_are_listed_the_latest_first_without_the_owner(ada: Person) -> None:
    story_id = new_story(ada)
    people = [new_person(f"viewer{number}") for number in range(3)]
    for each in [*people, ada]:
        _view(story_id, each)

    listed = _viewers(story_id, ada).json
    assert [card["id"] for card in listed["viewers"]] == [str(each.id) for each in reversed(people)]
    assert listed["viewers"][0]["viewedAt"].endswith("Z")
    assert _single(story_id, ada).json["story"]["viewCount"] == 3


def test_viewers_are_the_owners_and_admins_to_know(ada: Person, grace: Person, admin: Person) -> None:
    story_id = new_story(ada)

    assert [_viewers(story_id, who).status for who in (ada, grace, admin)] == [200, 403, 200]
    assert call(list_viewers, path={"story_id": story_id}).status == 401


def test_a_deleted_story_is_gone_from_every_read_and_its_files_too(ada: Person, grace: Person) -> None:
    follow(grace, ada)
    form: Form = ([Upload(pictures.jpeg(60, 40))], {})
    story_id = UUID(call(create_story, session_id=ada.session_id, form=form).json["story"]["id"])
    assert all(storage.exists(key) for key in story_files.keys(story_id))

    assert _delete(story_id, ada).status == 200

    assert [act(story_id, ada).status for act in (_single, _viewers, _view, _delete)] == [404] * 4
    assert _own(ada) == []
    assert call(get_tray, session_id=grace.session_id).json["users"] == []
    assert call(list_user_stories, session_id=grace.session_id, path={"user": ada.id}).json["stories"] == []
    assert not any(storage.exists(key) for key in story_files.keys(story_id))
    assert rows_of(ada) == []


def test_with_the_store_down_a_deleted_story_is_gone_and_the_cleanup_finds_it(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    story_id = new_story(ada)
    with monkeypatch.context() as away:
        away.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:9")
        settings.cache_clear()
        storage.close()
        assert _delete(story_id, ada).status == 200
    settings.cache_clear()
    storage.close()

    assert _own(ada) == []
    assert rows_of(ada) == [story_id]


def test_a_story_is_its_owners_and_admins_to_delete_and_admins_leave_a_trace(
    ada: Person, grace: Person, admin: Person
) -> None:
    story_id = new_story(ada)

    assert [_delete(story_id, grace).status, _delete(story_id, admin).status] == [403, 200]
    with transaction() as db:
        audited = db.execute("SELECT action, target_id FROM audit WHERE admin_id = %s", [admin.id]).fetchall()
    assert audited == [("delete_story", story_id)]
