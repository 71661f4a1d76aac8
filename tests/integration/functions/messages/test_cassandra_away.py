"""With Cassandra down messages are 503 at once and everything else works; it is used again when it is back."""

import time
from collections.abc import Iterator
from uuid import UUID

import pytest

from functions.auth import get_me
from functions.feed import get_feed
from functions.messages import (
    list_conversations,
    list_messages,
    list_receipts,
    list_typing,
    open_conversation,
    send_message,
    start_typing,
)
from tests.support.calls import call
from tests.support.messages import ask, inbox, read, send_text
from tests.support.people import Person
from tests.support.proxies import Proxy, cassandra_through_a_proxy
from tests.support.waiting import until


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, talk: UUID) -> Iterator[Proxy]:
    """Cassandra behind a proxy that the test can close."""
    with cassandra_through_a_proxy(monkeypatch) as opened:
        yield opened


@pytest.mark.rule("R-D1")
def test_messages_are_503_at_once_and_all_else_works_and_it_recovers_without_a_restart(
    ada: Person, grace: Person, talk: UUID, proxy: Proxy
) -> None:
    said = send_text(ada, talk, "before")
    proxy.close()
    for module, given in (
        (list_messages, {}),
        (send_message, {"body": {"content": "x"}}),
        (list_receipts, {}),
        (start_typing, {}),
        (list_typing, {}),
    ):
        started = time.monotonic()
        reply = ask(module, ada, talk, **given)
        assert (reply.status, time.monotonic() - started < 5) == (503, True), module
        assert int(reply.headers["retry-after"]) >= 1
    assert call(list_conversations, session_id=ada.session_id).status == 503
    assert call(open_conversation, session_id=ada.session_id, body={"recipientId": str(grace.id)}).status == 503
    assert call(get_me, session_id=ada.session_id).status == 200
    assert call(get_feed, session_id=ada.session_id).status == 200
    proxy.open()

    assert until(lambda: ask(list_messages, ada, talk).status == 200, seconds=15)
    assert read(ada, talk) == [said]
    assert len(inbox(grace)) == 1


@pytest.mark.rule("R-D1")
def test_answers_that_valkey_has_are_503_too(ada: Person, grace: Person, talk: UUID, proxy: Proxy) -> None:
    send_text(ada, talk)
    for _ in range(2):
        assert (len(read(ada, talk)), len(inbox(ada)), len(inbox(grace))) == (1, 1, 1)
    proxy.close()

    for _ in range(3):
        assert ask(list_messages, ada, talk).status == 503
        assert call(list_conversations, session_id=ada.session_id).status == 503
        assert ask(list_typing, ada, talk).status == 503
    proxy.open()
    until(lambda: ask(list_messages, ada, talk).status == 200, seconds=15)
