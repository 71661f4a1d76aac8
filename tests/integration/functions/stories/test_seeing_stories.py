"""Tray, list and view of stories, as a client walks through them."""

from uuid import UUID, uuid4

import pytest

from functions.stories import get_tray, list_user_stories, view_story
from layers.core.limits import STORY_SECONDS
from layers.postgres.connection import transaction
from tests.support.calls import Reply, call
from tests.support.people import Person, follow, new_person
from tests.support.stories import grow_older, new_story
from tests.support.together import together


def _tray(viewer: Person) -> list[dict[str, object]]:
    reply = call(get_tray, session_id=viewer.session_id)
    assert reply.status == 200
    users: list[dict[str, object]] = reply.json["users"]
    return users


def _list(user: Person, viewer: Person) -> Reply:
    return call(list_user_stories, session_id=viewer.session_id, path={"user": user.id})


def _view(story_id: UUID, viewer: Person) -> Reply:
    return call(view_story, session_id=viewer.session_id, path={"story_id": story_id})


def test_a_tray_entry_has_the_contracts_fields(ada: Person, grace: Person) -> None:
    follow(ada, grace)
    new_story(grace)
    with transaction() as db:
        db.execute("UPDATE users SET avatar_id = id WHERE id = %s", [grace.id])
    [entry] = _tray(ada)

    assert set(entry) == {
        *("id", "username", "profilePictureUrl", "hasSeen", "displayName", "storyCount", "latestStoryTime"),
    }
    assert (entry["id"], entry["username"], entry["displayName"]) == (str(grace.id), grace.username, "Grace")
    assert (entry["hasSeen"], entry["storyCount"]) == (False, 1)
    assert str(entry["profilePictureUrl"]).endswith(f"/{grace.id}.jpg")
    assert str(entry["latestStoryTime"]).endswith("Z")


@pytest.mark.rule("R-S5")
def test_an_own_new_story_and_own_views_show_at_once(ada: Person, grace: Person) -> None:
    follow(ada, grace)
    assert _tray(ada) == []
    new_story(ada)
    assert [(user["id"], user["hasSeen"]) for user in _tray(ada)] == [(str(ada.id), True)]
    theirs = new_story(grace)
    assert [user["hasSeen"] for user in _tray(ada)] == [True, False]
    _view(theirs, ada)

    assert [user["hasSeen"] for user in _tray(ada)] == [True, True]


@pytest.mark.rule("R-S5")
def test_the_tray_never_shows_an_expired_story(ada: Person, grace: Person) -> None:
    follow(ada, grace)
    story_id = new_story(grace)
    assert len(_tray(ada)) == 1
    grow_older(story_id, seconds=STORY_SECONDS)

    assert _tray(ada) == []


def test_the_list_has_the_users_card_and_the_stories(ada: Person, grace: Person) -> None:
    first, second = new_story(grace, age_seconds=60), new_story(grace)
    answer = _list(grace, ada).json

    assert set(answer["user"]) == {"id", "username", "displayName", "profilePictureUrl", "isVerified"}
    assert [story["id"] for story in answer["stories"]] == [str(first), str(second)]
    assert answer["stories"][0]["filterApplied"] == "moon"
    assert _list(ada, ada).json["stories"] == []


@pytest.mark.rule("R-S6", "R-I4")
def test_after_a_view_the_next_list_has_it_and_the_owner_has_always_viewed(ada: Person, grace: Person) -> None:
    story_id = new_story(grace)
    assert _list(grace, ada).json["stories"][0]["hasViewed"] is False

    assert _view(story_id, ada).json == {"message": "You saw this story.", "idempotent": False, "tracked": True}
    seen = _list(grace, ada).json["stories"][0]
    assert (seen["hasViewed"], seen["viewCount"]) == (True, 1)
    assert _view(story_id, ada).json["idempotent"] is True
    assert _list(grace, grace).json["stories"][0]["hasViewed"] is True


@pytest.mark.rule("R-S3")
def test_the_owners_view_is_idempotent_and_not_tracked(ada: Person) -> None:
    story_id = new_story(ada)
    own_view = _view(story_id, ada).json

    assert (own_view["idempotent"], own_view["tracked"]) == (True, False)
    assert _list(ada, ada).json["stories"][0]["viewCount"] == 0


@pytest.mark.rule("R-I1", "R-S3")
def test_ten_parallel_views_count_once(ada: Person, grace: Person) -> None:
    story_id = new_story(grace)
    replies = together(lambda _: _view(story_id, ada), range(10))

    assert [reply.status for reply in replies] == [200] * 10
    assert sum(not reply.json["idempotent"] for reply in replies) == 1
    assert all(reply.json["tracked"] for reply in replies)
    assert _list(grace, ada).json["stories"][0]["viewCount"] == 1


@pytest.mark.rule("R-P1", "R-S7")
def test_a_stranger_to_a_private_account(ada: Person) -> None:
    shy = new_person("shy", private=True)
    story_id = new_story(shy)
    refused = _list(shy, ada)

    assert (refused.status, _view(story_id, ada).status) == (403, 404)
    assert "private" in refused.json["error"]
    assert _view(story_id, ada).json["error"] == _view(uuid4(), ada).json["error"]
    assert _tray(ada) == []


@pytest.mark.rule("R-P4")
def test_an_ended_follow_ends_the_view_right_at_once(ada: Person) -> None:
    shy = new_person("shy", private=True)
    follow(ada, shy)
    story_id = new_story(shy)
    assert (_list(shy, ada).status, _view(story_id, ada).status, len(_tray(ada))) == (200, 200, 1)
    with transaction() as db:
        db.execute("DELETE FROM follows WHERE follower_id = %s", [ada.id])

    assert (_list(shy, ada).status, _view(story_id, ada).status, len(_tray(ada))) == (403, 404, 0)


@pytest.mark.rule("R-S1")
def test_an_ended_story_is_404_and_in_no_list(ada: Person, grace: Person) -> None:
    story_id = new_story(grace, age_seconds=STORY_SECONDS)

    assert (_view(story_id, ada).status, _view(story_id, grace).status) == (404, 404)
    assert _list(grace, grace).json["stories"] == []


def test_unknown_things_are_404_and_without_a_session_all_is_401(ada: Person) -> None:
    assert _view(uuid4(), ada).status == 404
    assert call(list_user_stories, session_id=ada.session_id, path={"user": uuid4()}).status == 404
    for reply in (
        call(get_tray),
        call(list_user_stories, path={"user": ada.id}),
        call(view_story, path={"story_id": new_story(ada)}),
    ):
        assert reply.status == 401


@pytest.mark.rule("R-V1")
@pytest.mark.parametrize("given", ["1", "me", "not-an-id", "0" * 36, "%27"])
def test_a_malformed_id_is_400(ada: Person, given: str) -> None:
    for module, name in ((list_user_stories, "user"), (view_story, "story_id")):
        reply = call(module, session_id=ada.session_id, path={name: given})
        assert (reply.status, reply.json["errors"][0]["field"]) == (400, name)
