"""Profiles reach Cassandra by their events."""

import pytest

from functions.users import copy_profile
from infra.migrate import migrate_cassandra
from layers.core.events import ProfileUpdated
from layers.core.ids import new_id
from layers.core.models import Time
from layers.core.settings import settings
from layers.rabbitmq import connection as broker
from tests.support.deliveries import deliver
from tests.support.queues import count_ready, new_queue, take
from tests.support.stores import read_profile


@pytest.fixture(scope="module", autouse=True)
def keyspace() -> None:
    migrate_cassandra()


def updated(at: str = "2026-11-23T10:00:00.000Z", name: str = "Ada", **fields: object) -> ProfileUpdated:
    given = {"user_id": new_id(), "username": "ada", "profile_picture_url": None} | fields
    return ProfileUpdated(display_name=name, updated_at=Time(at), **given)  # type: ignore[arg-type]


def name_of(event: ProfileUpdated) -> str | None:
    found = read_profile(event.user_id)
    return found.display_name if found else None


def test_an_event_makes_a_copy() -> None:
    event = updated(name="Ada L.")
    deliver(copy_profile, event)

    assert name_of(event) == "Ada L."


def test_a_batch_is_copied_whole_and_twice_is_harmless() -> None:
    events = [updated(name=f"n{number}") for number in range(20)]
    deliver(copy_profile, *events)
    deliver(copy_profile, *events)

    assert [name_of(event) for event in events] == [event.display_name for event in events]


def test_an_older_event_that_arrives_later_never_wins() -> None:
    new = updated("2026-11-23T10:00:00.001Z", "New")
    old = updated("2026-11-23T10:00:00.000Z", "Old", user_id=new.user_id)
    deliver(copy_profile, new, old)
    deliver(copy_profile, old)

    assert name_of(new) == "New"


def test_with_cassandra_down_the_message_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from layers.cassandra import connection  # noqa: PLC0415

    event = updated()
    with new_queue() as queue:
        monkeypatch.setenv("CASSANDRA_PORT", "9")
        settings.cache_clear()
        connection.close()
        try:
            deliver(copy_profile, event, queue=queue)
        finally:
            monkeypatch.undo()
            settings.cache_clear()
        letter = take(queue)
        assert (letter.headers["x-outage"], letter.headers.get("x-attempt")) == (1, None)
        assert count_ready(f"{queue}.dead") == 0
        broker.close()
