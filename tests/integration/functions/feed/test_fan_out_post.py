"""Fan-out: a published post reaches the timelines that exist."""

import base64
from typing import Any
from uuid import UUID

import msgspec
import pytest

from functions.feed import fan_out_post
from layers.core.events import PostPublished
from layers.core.settings import settings
from layers.services import fan_out
from tests.support.feed_posts import feed, feed_ids, publish_post
from tests.support.people import Person, follow, new_person
from tests.support.stores import seconds_to_end, valkey


def _deliver(post_id: UUID, author: Person) -> None:
    body = msgspec.json.encode(PostPublished(post_id=post_id, author_id=author.id))
    message: dict[str, Any] = {"data": base64.b64encode(body).decode(), "basicProperties": {}, "redelivered": False}
    fan_out_post.handler({"rmqMessagesByQueue": {"post-published::/": [message]}}, None)


def _timeline(reader: Person) -> list[UUID]:
    entries: list[bytes] = valkey().lrange(b"timeline:" + reader.id.bytes, 0, -1)  # type: ignore[assignment]
    return [UUID(bytes=entry) for entry in entries if not entry.startswith(b"\0\0")]


def test_followers_and_the_author_get_the_post_and_a_second_delivery_changes_nothing(
    ada: Person, grace: Person, admin: Person
) -> None:
    follow(ada, grace)
    for person in (ada, grace, admin):
        feed(person)
    post_id = publish_post(grace)
    for _ in range(3):
        _deliver(post_id, grace)

    assert _timeline(ada) == _timeline(grace) == [post_id]
    assert _timeline(admin) == []
    assert feed_ids(ada) == [post_id]


def test_a_late_message_finds_its_place(ada: Person, grace: Person) -> None:
    follow(ada, grace)
    feed(ada)
    made = [publish_post(grace) for _ in range(5)]
    for place in (4, 0, 2, 1, 3, 0, 4):
        _deliver(made[place], grace)

    assert _timeline(ada) == made[::-1]


def test_no_timeline_is_created_for_inactive_followers(ada: Person, grace: Person) -> None:
    follow(ada, grace)
    _deliver(publish_post(grace), grace)

    assert not valkey().exists(b"timeline:" + ada.id.bytes)


def test_followers_are_read_in_batches(grace: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "_BATCH", 2)
    readers = [new_person("reader") for _ in range(5)]
    for reader in readers:
        follow(reader, grace)
        feed(reader)
    post_id = publish_post(grace)
    _deliver(post_id, grace)

    assert [_timeline(reader) for reader in readers] == [[post_id]] * 5


def test_a_post_of_a_star_is_pushed_to_no_timeline_and_read_by_all_followers(
    ada: Person, grace: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAR_FOLLOWERS", "1")
    settings.cache_clear()
    follow(ada, grace)
    feed(ada)
    post_id = publish_post(grace)
    try:
        _deliver(post_id, grace)
    finally:
        monkeypatch.undo()
        settings.cache_clear()

    assert _timeline(ada) == []
    assert feed_ids(ada) == [post_id]
    assert seconds_to_end("stars") > 0


def test_a_timeline_keeps_500_and_the_rest_is_read_from_the_rows(ada: Person) -> None:
    feed(ada)
    made = [publish_post(ada) for _ in range(560)]
    for post_id in made:
        _deliver(post_id, ada)

    assert 500 <= len(_timeline(ada)) <= 550
    assert feed_ids(ada, limit=100) == made[:-101:-1]
