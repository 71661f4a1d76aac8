"""Events that clients poll for, how long they are kept, and what happens without Valkey."""

from typing import Any
from uuid import UUID

import pytest

from functions.live import connect, list_events
from functions.messages import mute_conversation, send_message
from layers.core.ids import new_id
from layers.services import live_events
from tests.support.calls import Reply, call, sample
from tests.support.limits import set_limits
from tests.support.messages import ask, entry, open_pair, read, send_text
from tests.support.people import Person
from tests.support.proxies import Proxies
from tests.support.stores import end_in, seconds_to_end

KEPT = 1000
HOUR = 3600


def _poll(person: Person, after: str | None = None) -> dict[str, Any]:
    reply = call(list_events, session_id=person.session_id, query={"after": after} if after else {})
    assert reply.status == 200, reply.body
    answer: dict[str, Any] = reply.json
    return answer


def _publish(person: Person, count: int) -> list[str]:
    """So many events of posts for one person; the ids of the posts."""
    post_ids = [new_id() for _ in range(count)]
    for post_id in post_ids:
        live_events.publish([person.id], live_events.PostProcessed(post_id=post_id, status="published"))
    return [str(post_id) for post_id in post_ids]


@pytest.mark.rule("R-E7")
def test_a_poll_without_after_has_no_events_and_the_id_from_which_to_go_on(ada: Person) -> None:
    _publish(ada, 3)
    begin = _poll(ada)
    post_ids = _publish(ada, 2)
    later = _poll(ada, begin["lastId"])

    assert (begin["events"], begin["reset"]) == ([], False)
    assert [event["postId"] for event in later["events"]] == post_ids
    assert later["lastId"] == later["events"][-1]["id"]
    assert _poll(ada, later["lastId"]) == {"events": [], "lastId": later["lastId"], "reset": False}


@pytest.mark.rule("R-E3", "R-E7")
def test_the_last_1000_events_are_polled_in_order_100_at_a_time(ada: Person) -> None:
    begin = _poll(ada)["lastId"]
    [first, *_] = _publish(ada, 1)
    [event] = _poll(ada, begin)["events"]
    post_ids = _publish(ada, KEPT - 1)
    found: list[str] = []
    page = _poll(ada, event["id"])
    while page["events"]:
        assert len(page["events"]) == min(100, KEPT - 1 - len(found))
        assert page["reset"] is False
        found += [each["postId"] for each in page["events"]]
        page = _poll(ada, page["lastId"])

    assert event["postId"] == first
    assert found == post_ids


@pytest.mark.rule("R-E3", "R-E7")
def test_an_event_that_is_not_kept_any_more_is_answered_with_a_reset(ada: Person) -> None:
    begin = _poll(ada)["lastId"]
    _publish(ada, 2 * KEPT)
    missed = _poll(ada, begin)

    assert (missed["events"], missed["reset"]) == ([], True)
    [post_id] = _publish(ada, 1)
    assert [event["postId"] for event in _poll(ada, missed["lastId"])["events"]] == [post_id]


@pytest.mark.rule("R-E3")
def test_events_are_kept_for_an_hour_after_the_newest(ada: Person) -> None:
    key = b"live:" + ada.id.bytes
    _publish(ada, 1)
    begin = _poll(ada)["lastId"]
    end_in(60, key)
    [post_id] = _publish(ada, 1)

    assert HOUR - 5 <= seconds_to_end(key) <= HOUR
    assert [event["postId"] for event in _poll(ada, begin)["events"]] == [post_id]
    end_in(-1, key)
    assert _poll(ada, begin)["reset"]


@pytest.mark.parametrize("after", ["x", "1", "-", "1-1-1", "1-x", "0" * 19 + "-1", "é"])
@pytest.mark.rule("R-E7")
def test_a_malformed_id_is_400(ada: Person, after: str) -> None:
    assert call(list_events, session_id=ada.session_id, query={"after": after}).status == 400


@pytest.mark.rule("R-N2")
def test_a_muted_conversation_goes_on_as_before(ada: Person, grace: Person) -> None:
    talk = open_pair(ada, grace)
    assert ask(mute_conversation, ada, talk).status == 200
    begin = _poll(ada)["lastId"]
    message = send_text(grace, talk, "psst")

    assert read(ada, talk) == [message]
    assert (entry(ada, talk)["unreadCount"], entry(ada, talk)["isMuted"]) == (1, True)
    assert [event["message"] for event in _poll(ada, begin)["events"]] == [message]


@pytest.mark.rule("R-E1")
def test_connecting_counts_for_the_general_limit(grace: Person) -> None:
    with set_limits(general=(2, 60)):
        assert [_connect(grace).status for _ in range(3)] == [200, 200, 429]


@pytest.mark.rule("R-E8")
def test_without_valkey_messages_are_sent_and_events_are_503(ada: Person, grace: Person, proxies: Proxies) -> None:
    talk = open_pair(ada, grace)
    proxies.valkey.close()
    message = ask(send_message, ada, talk, body={"content": "anyway"})
    polled = call(list_events, session_id=grace.session_id)
    connected = _connect(grace)

    assert (message.status, polled.status, connected.status) == (201, 503, 503)
    assert int(polled.headers["retry-after"]) >= 1
    proxies.valkey.open()
    assert UUID(read(grace, talk)[0]["messageId"]) == UUID(message.json["message"]["messageId"])


def _connect(person: Person) -> Reply:
    event = sample(connect)
    event["headers"] = {"cookie": f"session_id={person.session_id}"}
    reply = connect.handler(event, None)
    return Reply(status=reply["statusCode"], headers={}, body=reply["body"].encode())
