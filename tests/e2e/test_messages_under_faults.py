"""Messages while Cassandra is stopped, killed and back."""

import time
import uuid

import pytest

from tests.support import services
from tests.support.http import Caller
from tests.support.outage_table import ORDINARY_SECONDS
from tests.support.waiting import LATE_SECONDS, until


@pytest.fixture
def talk() -> tuple[Caller, Caller, str]:
    """Two accounts and the path of their conversation."""
    ada, grace = Caller("ada"), Caller("grace")
    opened = ada.http.post("/messages/conversations", json={"recipientId": grace.id}).json()
    return ada, grace, f"/messages/conversations/{opened['conversationId']}"


def _contents(caller: Caller, place: str) -> list[str]:
    reply = caller.http.get(place, params={"limit": 100})
    assert reply.status_code == 200, reply.text
    return [message["content"] for message in reversed(reply.json()["messages"])]


@pytest.mark.rule("R-D1", "R-D2")
def test_without_cassandra_messages_are_503_at_once_and_all_else_works(talk: tuple[Caller, Caller, str]) -> None:
    ada, grace, place = talk
    assert ada.http.post(place, json={"content": "before"}).status_code == 201
    with services.stop("cassandra"):
        for method, path, body in (
            ("GET", "/messages/conversations", None),
            ("GET", place, None),
            ("POST", place, {"content": "lost"}),
            ("POST", "/messages/conversations", {"recipientId": grace.id}),
        ):
            started = time.monotonic()
            reply = ada.http.request(method, path, json=body)
            assert reply.status_code == 503, reply.text
            assert int(reply.headers["retry-after"]) >= 1
            assert time.monotonic() - started < ORDINARY_SECONDS + LATE_SECONDS
        assert ada.feed() == []
        assert ada.http.get("/auth/me").status_code == 200
    until(lambda: ada.http.get(place).status_code == 200, seconds=30, every=0.5)

    assert _contents(grace, place) == ["before"]
    assert ada.http.post(place, json={"content": "after"}).status_code == 201


def test_no_acknowledged_message_is_lost_or_doubled_by_a_kill(talk: tuple[Caller, Caller, str]) -> None:
    ada, grace, place = talk
    sent = []
    for number in range(60):
        message = {"content": str(number), "clientMessageId": str(uuid.uuid4())}
        if number == 30:
            services.process("cassandra").kill()

        def accepted(message: dict[str, str] = message) -> bool:
            return ada.http.post(place, json=message).status_code == 201

        until(accepted, seconds=60, every=0.3)
        sent.append(str(number))

    assert _contents(grace, place) == sent
    assert grace.http.get("/messages/conversations").json()["conversations"][0]["unreadCount"] == 60
