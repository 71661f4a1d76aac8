"""Copies of profiles: the latest change wins, in whatever order events arrive."""

import random
from uuid import UUID

from layers.cassandra import connection, profiles
from layers.core.events import ProfileUpdated
from layers.core.ids import new_id
from layers.core.models import Time
from tests.support.stores import read_profile

EARLY, LATE = Time("2026-11-23T10:00:00.000Z"), Time("2026-11-23T10:00:00.001Z")


def event(user_id: UUID, at: Time, name: str = "Ada", picture: str | None = None) -> ProfileUpdated:
    return ProfileUpdated(
        user_id=user_id, username="ada", display_name=name, profile_picture_url=picture, updated_at=at
    )


def test_a_profile_is_read_as_it_was_put() -> None:
    user_id = new_id()
    profiles.save(event(user_id, EARLY, picture="avatars/a.jpg?v=1"))

    found = read_profile(user_id)
    assert found == profiles.ProfileCopy(
        user_id=user_id,
        username="ada",
        display_name="Ada",
        profile_picture_url="avatars/a.jpg?v=1",
        is_hidden=False,
        version=profiles.version_of(event(user_id, EARLY)),
    )


def test_an_unknown_profile_is_none() -> None:
    assert read_profile(new_id()) is None


def test_an_older_event_never_wins() -> None:
    user_id = new_id()
    profiles.save(event(user_id, LATE, "New", "b"))
    profiles.save(event(user_id, EARLY, "Old", "a"))

    found = read_profile(user_id)
    assert found
    assert (found.display_name, found.profile_picture_url) == ("New", "b")


def test_in_any_order_the_latest_millisecond_wins() -> None:
    user_id = new_id()
    events = [event(user_id, Time(f"2026-11-23T10:00:00.{ms:03}Z"), f"n{ms}") for ms in range(100)]
    random.shuffle(events)
    for each in events:
        profiles.save(each)

    found = read_profile(user_id)
    assert found
    assert found.display_name == "n99"


def test_a_picture_taken_away_is_gone_and_leaves_no_tombstone() -> None:
    user_id = new_id()
    profiles.save(event(user_id, EARLY, picture="a"))
    profiles.save(event(user_id, LATE, picture=None))

    found = read_profile(user_id)
    assert found
    assert found.profile_picture_url is None
    [row] = connection.execute("SELECT profile_picture_url FROM profiles WHERE user_id = :id", {"id": user_id})
    assert row == {"profile_picture_url": ""}


def test_the_same_event_twice_changes_nothing() -> None:
    user_id = new_id()
    profiles.save(event(user_id, EARLY))
    before = read_profile(user_id)
    profiles.save(event(user_id, EARLY))

    assert read_profile(user_id) == before
