"""Two accounts exchange messages; polling gives the events, and others read nothing."""

import io
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.pictures import phone_photo
from tests.support.http import Caller
from tests.support.waiting import until


@pytest.fixture
def ada() -> Caller:
    """Who writes first."""
    return Caller("ada")


@pytest.fixture
def grace() -> Caller:
    """The recipient."""
    return Caller("grace")


@pytest.fixture
def talk(ada: Caller, grace: Caller) -> str:
    """The path of their conversation."""
    opened = ada.http.post("/messages/conversations", json={"recipientId": grace.id})
    assert opened.status_code in (200, 201), opened.text
    return f"/messages/conversations/{opened.json()['conversationId']}"


def _said(reader: Caller, talk: str) -> list[dict[str, Any]]:
    answer = reader.http.get(talk)
    assert answer.status_code == 200, answer.text
    messages: list[dict[str, Any]] = answer.json()["messages"]
    return messages


@pytest.mark.rule("R-DM1")
def test_participants_exchange_messages_and_others_get_404(ada: Caller, grace: Caller, talk: str) -> None:
    ada.http.post(talk, json={"content": "Hello <there>"}).raise_for_status()
    [inbox] = grace.http.get("/messages/conversations").json()["conversations"]
    assert (inbox["otherUsername"], inbox["lastMessagePreview"], inbox["unreadCount"]) == (
        ada.username,
        "Hello <there>",
        1,
    )
    [first] = _said(grace, talk)
    grace.http.post(f"{talk}/read", json={"lastMessageId": first["messageId"]}).raise_for_status()
    grace.http.post(talk, json={"content": "Hello yourself"}).raise_for_status()

    assert [each["content"] for each in _said(ada, talk)] == ["Hello yourself", "Hello <there>"]
    outsider = Caller("outsider")
    unknown = outsider.http.get("/messages/conversations/01a20855-93a3-70f1-807a-09d4c5171f0f")
    assert (outsider.http.get(talk).status_code, outsider.http.get(talk).content) == (404, unknown.content)


def test_a_poll_returns_the_event_of_a_message(ada: Caller, grace: Caller, talk: str) -> None:
    begun = grace.http.get("/live/events").json()
    sent = ada.http.post(talk, json={"content": "Are you there?"}).json()["message"]

    def heard() -> list[Any]:
        events = grace.http.get("/live/events", params={"after": begun["lastId"]}).json()["events"]
        return [each for each in events if each["type"] == "message"]

    [event] = until(heard, seconds=5)
    assert event["message"]["messageId"] == sent["messageId"]


def test_a_picture_message_is_small_and_stripped(ada: Caller, grace: Caller, talk: str) -> None:
    sent = ada.http.post(talk, files={"media": ("a.jpg", phone_photo(), "image/jpeg")})
    assert sent.status_code == 201, sent.text

    [message] = until(lambda: [each for each in _said(grace, talk) if each["mediaUrl"]], seconds=30)
    with Image.open(io.BytesIO(httpx.get(message["mediaUrl"]).content)) as picture:
        assert max(picture.size) <= 1080
        assert not picture.getexif()
