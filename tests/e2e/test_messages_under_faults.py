"""Messages while Cassandra is killed and comes back."""

import uuid

import pytest

from tests.support import services
from tests.support.http import Caller
from tests.support.waiting import until


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
