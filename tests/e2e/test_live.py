"""Live connections: through nginx, from a function to its listeners."""

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import Empty, Queue
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
import hypothesis
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st
from PIL import Image

from layers.core.settings import settings
from layers.postgres import users
from layers.postgres.connection import transaction
from tests.pictures import phone_photo
from tests.support import services
from tests.support.http import PASSWORD, Caller, nginx_origin
from tests.support.stores import valkey
from tests.support.waiting import until

_SECONDS = 5


class Listener:
    """A client that listens over one connection, in a thread of its own."""

    def __init__(self, caller: Caller, *, origin: str | None = None) -> None:
        self._cookie = "; ".join(f"{name}={value}" for name, value in caller.http.cookies.items())
        self._origin = origin
        self._loop = asyncio.new_event_loop()
        self.frame_bytes: list[int] = []
        """The size of each frame that has come."""
        self._frames: Queue[dict[str, Any]] = Queue()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        try:
            self._run(self._connect())
        except aiohttp.WSServerHandshakeError:
            self.leave()
            raise

    def say(self, **said: object) -> None:
        """Send a message."""
        self.send(json.dumps(said))

    def send(self, text: str) -> None:
        """Send any text as a message."""
        assert self._socket
        self._run(self._socket.send_str(text))

    def frame(self, *, seconds: float = _SECONDS) -> dict[str, Any]:
        """The next frame."""
        return self._frames.get(timeout=seconds)

    def events(self, count: int) -> list[dict[str, Any]]:
        """So many events, from as many frames as they come in."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            found += self.frame()["events"]
        return found

    def resumed(self, after: str | None = None) -> dict[str, Any]:
        """Events follow from here on."""
        self.say(action="resume", after=after)
        frame = self.frame(seconds=10)
        if frame.get("message") == "Internal server error":  # its function was killed just then
            return self.resumed(after)
        assert frame["type"] == "ready"
        return frame

    def is_silent(self, *, seconds: float = 1) -> bool:
        """Whether nothing comes."""
        try:
            self._frames.get(timeout=seconds)
        except Empty:
            return True
        return False

    @property
    def is_closed(self) -> bool:
        """Whether the other side has ended it."""
        return self._socket is None or self._socket.closed

    def leave(self) -> None:
        """Close the connection."""
        if self._socket:
            self._run(self._socket.close())
            self._run(self._session.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _connect(self) -> None:
        self._session = aiohttp.ClientSession()
        headers = {"cookie": self._cookie} | ({"origin": self._origin} if self._origin else {})
        try:
            self._socket = await self._session.ws_connect(f"{nginx_origin()}/live", headers=headers)
        except aiohttp.WSServerHandshakeError:
            await self._session.close()
            raise
        self._reading = asyncio.create_task(self._read(self._socket))

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            self.frame_bytes.append(len(message.data.encode()))
            self._frames.put(json.loads(message.data))

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)


@contextmanager
def listening(caller: Caller) -> Iterator[Listener]:
    listener = Listener(caller)
    try:
        yield listener
    finally:
        listener.leave()


@pytest.fixture
def ada() -> Caller:
    return Caller("ada")


@pytest.fixture
def grace() -> Caller:
    return Caller("grace")


@pytest.fixture
def talk(ada: Caller, grace: Caller) -> str:
    conversation_id: str = ada.http.post("/messages/conversations", json={"recipientId": grace.id}).json()[
        "conversationId"
    ]
    return conversation_id


def _sent(caller: Caller, talk: str, content: str) -> dict[str, Any]:
    reply = caller.http.post(f"/messages/conversations/{talk}", json={"content": content})
    assert reply.status_code == 201, reply.text
    message: dict[str, Any] = reply.json()["message"]
    return message


@pytest.mark.rule("R-E4")
def test_a_message_a_read_mark_typing_and_a_reaction_arrive_at_once(ada: Caller, grace: Caller, talk: str) -> None:
    with listening(grace) as listener:
        assert listener.resumed()["reset"] is False
        message = _sent(ada, talk, "hello")
        ada.http.post(f"/messages/conversations/{talk}/typing")
        ada.http.post(f"/messages/conversations/{talk}/read", json={"lastMessageId": message["messageId"]})
        place = f"/messages/conversations/{talk}/messages/{message['messageId']}/reactions"
        ada.http.post(place, json={"reaction": "heart"})
        ada.http.delete(place)
        events = listener.events(5)

    assert [event["type"] for event in events] == ["message", "typing", "read", "reaction", "reaction"]
    assert events[0]["message"] == message
    assert [event.get("reaction") for event in events[3:]] == ["heart", None]
    assert len({event["id"] for event in events}) == 5


@pytest.mark.rule("R-E2", "R-E3")
def test_resuming_gives_the_missed_events_without_a_gap_or_a_repeat(ada: Caller, grace: Caller, talk: str) -> None:
    with listening(grace) as listener:
        listener.resumed()
        _sent(ada, talk, "0")
        [last] = listener.events(1)
    for number in range(1, 150):
        _sent(ada, talk, str(number))
    with listening(grace) as listener:
        assert listener.resumed(last["id"])["reset"] is False
        _sent(ada, talk, "150")
        events = listener.events(150)
        assert listener.is_silent()

    assert [event["message"]["content"] for event in events] == [str(number) for number in range(1, 151)]


@pytest.mark.rule("R-E2")
def test_nothing_is_sent_before_the_client_resumes(ada: Caller, grace: Caller, talk: str) -> None:
    with listening(grace) as listener:
        _sent(ada, talk, "early")
        assert listener.is_silent()
        begin = listener.resumed()
        message = _sent(ada, talk, "late")
        [event] = listener.events(1)

    assert set(begin) == {"type", "id", "reset"}
    assert event["message"] == message


@pytest.mark.rule("R-E2")
def test_frames_are_at_most_32_kib_and_their_events_ascend(ada: Caller, grace: Caller, talk: str) -> None:
    begin = grace.http.get("/live/events").json()["lastId"]
    for number in range(60):
        _sent(ada, talk, f"{number} " + "é" * 2000)
    with listening(grace) as listener:
        listener.resumed(begin)
        events = listener.events(60)
        assert 2 < len(listener.frame_bytes) < 60
        assert max(listener.frame_bytes) <= 32 * 1024

    assert [int(event["message"]["content"].partition(" ")[0]) for event in events] == list(range(60))
    places = [tuple(int(part) for part in event["id"].split("-")) for event in events]
    assert places == sorted(places)


@pytest.mark.rule("R-E3")
def test_resuming_after_an_event_that_is_not_kept_gives_reset(ada: Caller, grace: Caller, talk: str) -> None:
    with listening(grace) as listener:
        assert listener.resumed("1-1")["reset"] is True
        message = _sent(ada, talk, "next")
        assert [event["message"] for event in listener.events(1)] == [message]


@pytest.mark.rule("R-E7")
def test_polling_gives_the_same_events(ada: Caller, grace: Caller, talk: str) -> None:
    begins = grace.http.get("/live/events").json()
    _sent(ada, talk, "one")
    _sent(ada, talk, "two")
    polled = grace.http.get("/live/events", params={"after": begins["lastId"]}).json()

    assert [event["message"]["content"] for event in polled["events"]] == ["one", "two"]
    assert polled["reset"] is False
    assert grace.http.get("/live/events", params={"after": polled["lastId"]}).json()["events"] == []
    assert grace.http.get("/live/events", params={"after": "1-1"}).json()["reset"] is True
    assert grace.http.get("/live/events", params={"after": "x"}).status_code == 400


@pytest.mark.rule("R-E4")
def test_typing_is_sent_to_listeners_and_not_kept(ada: Caller, grace: Caller, talk: str) -> None:
    begins = grace.http.get("/live/events").json()["lastId"]
    ada.http.post(f"/messages/conversations/{talk}/typing")

    assert grace.http.get("/live/events", params={"after": begins}).json()["events"] == []


@pytest.mark.rule("R-E1")
def test_connecting_needs_a_session_and_no_foreign_origin(grace: Caller) -> None:
    nobody = Caller("nobody")
    nobody.http.post("/auth/logout")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        Listener(nobody)
    assert refusal.value.status == 401
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        Listener(grace, origin="https://evil.example")
    assert refusal.value.status == 403


@pytest.mark.rule("R-E5")
def test_after_logout_no_events_are_sent(ada: Caller, grace: Caller, talk: str) -> None:
    with listening(grace) as listener:
        listener.resumed()
        grace.http.post("/auth/logout")
        _sent(ada, talk, "secret")
        assert listener.is_silent()


@pytest.mark.rule("R-E5")
def test_after_a_ban_no_events_are_sent(ada: Caller, grace: Caller, talk: str) -> None:
    with listening(grace) as listener:
        listener.resumed()
        with transaction() as db:
            users.grant(db, username=ada.username, role="admin")
        ada.http.post("/auth/login", json={"username": ada.username, "password": PASSWORD}).raise_for_status()
        group = {"name": "All", "userIds": [grace.id, Caller("linus").id]}
        place = ada.http.post("/messages/groups", json=group).json()["conversationId"]
        ada.http.delete(f"/admin/users/{grace.id}").raise_for_status()
        _sent(ada, place, "secret")
        assert listener.is_silent()


@pytest.mark.rule("R-E4")
def test_an_outsider_receives_no_events(ada: Caller, grace: Caller, talk: str) -> None:
    outsider = Caller("outsider")
    with listening(outsider) as listener:
        listener.resumed()
        _sent(ada, talk, "private")
        _sent(grace, talk, "too")
        assert listener.is_silent()


@pytest.mark.rule("R-E6")
def test_an_unknown_action_is_answered_with_an_error(grace: Caller) -> None:
    with listening(grace) as listener:
        listener.say(action="dance")
        assert listener.frame()["type"] == "error"
        listener.say(action="ping")
        assert listener.frame() == {"type": "pong"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.rule("R-E6")
def test_a_message_of_any_text_is_answered_and_the_connection_goes_on(grace: Caller) -> None:
    with listening(grace) as listener:

        @hypothesis.settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
            | _JSON.map(json.dumps)
            | st.fixed_dictionaries({"action": _JSON | st.just("resume")}, optional={"after": _JSON}).map(json.dumps)
        )
        @example("[" * 30_000)
        @example('{"action":' * 3000)
        @example('{"action":"resume","after":"' + "9" * 30_000 + '-0"}')
        @example('{"action":"ping","action":"resume","after":"18446744073709551615-18446744073709551615"}')
        @example('{"action":"resume","after":"18446744073709551616-0"}')
        def send(text: str) -> None:
            listener.send(text)
            assert listener.frame(seconds=10).get("type") in ("error", "ready", "pong"), text
            listener.say(action="ping")
            assert listener.frame(seconds=10) == {"type": "pong"}, text

        send()


@pytest.mark.rule("R-E6")
def test_a_connection_that_valkey_has_forgotten_is_closed_when_it_pings(grace: Caller) -> None:
    with listening(grace) as listener:
        listener.resumed()
        for key in valkey().keys("connection:*"):
            valkey().delete(key)
            valkey().zrem("deadlines", key)
        listener.say(action="ping")
        until(lambda: listener.is_closed, seconds=5)


@pytest.mark.parametrize("stage", ["", "/prod", "/../"])
def test_whoever_does_not_know_the_stage_cannot_send(grace: Caller, stage: str) -> None:
    address = urlsplit(settings().live_endpoint_url).netloc
    with listening(grace) as listener:
        listener.resumed()
        connection_id = str(valkey().keys("connection:*")[0]).partition(":")[2]
        answer = httpx.post(f"http://{address}{stage}/@connections/{connection_id}", content=b"forged")

        assert answer.status_code == 404
        assert listener.is_silent()


def test_a_listener_receives_events_again_after_its_function_was_killed(ada: Caller, grace: Caller, talk: str) -> None:
    for process in services.process("api").children(recursive=True):
        if "functions.live.receive.handler" in process.cmdline():
            process.kill()
    with listening(grace) as listener:
        listener.resumed()
        _sent(ada, talk, "still there?")
        assert listener.events(1)[0]["message"]["content"] == "still there?"


@pytest.mark.rule("R-E1")
def test_an_account_listens_over_twenty_connections_and_no_more(grace: Caller) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(listening(grace)).resumed()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            Listener(grace)
        assert refusal.value.status == 429


def test_fifty_listeners_receive_all_events_within_seconds() -> None:
    ada, others = Caller("ada"), [Caller("member") for _ in range(5)]
    body = {"name": "Crowd", "userIds": [other.id for other in others]}
    group = ada.http.post("/messages/groups", json=body).json()["conversationId"]
    with ExitStack() as stack:
        listeners = [stack.enter_context(listening(other)) for other in others for _ in range(10)]
        for listener in listeners:
            listener.resumed()
        for number in range(5):
            _sent(ada, group, str(number))
        for listener in listeners:
            heard = [event["message"]["content"] for event in listener.events(5)]
            assert heard == [str(number) for number in range(5)]


@pytest.mark.rule("R-E4")
def test_the_author_gets_an_event_when_a_post_is_published(ada: Caller) -> None:
    with listening(ada) as listener:
        listener.resumed()
        post_id = ada.upload(phone_photo())["post_id"]
        until(lambda: ada.published(post_id), seconds=30)
        [event] = listener.events(1)

    assert (event["type"], event["postId"], event["status"]) == ("post", post_id, "published")


@pytest.mark.rule("R-E4")
def test_the_author_gets_an_event_when_a_post_has_failed(ada: Caller) -> None:
    whole = phone_photo()
    with listening(ada) as listener:
        listener.resumed()
        post_id = ada.upload(whole[: len(whole) // 2])["post_id"]
        event = listener.frame(seconds=30)["events"][0]

    assert (event["type"], event["postId"], event["status"]) == ("post", post_id, "failed")


@pytest.mark.rule("R-DM5")
def test_a_changed_name_and_picture_come_to_the_list_by_their_event(ada: Caller, grace: Caller, talk: str) -> None:
    _sent(grace, talk, "hello")
    changed = grace.http.put("/users/me", files={"profilePicture": ("me.jpg", phone_photo())})
    assert changed.status_code == 200, changed.text

    def picture() -> str | None:
        [listed] = ada.http.get("/messages/conversations").json()["conversations"]
        shown: str | None = listed["otherProfilePicture"]
        return shown

    url = until(picture, seconds=20, every=0.5)
    assert url == changed.json()["user"]["profilePictureUrl"]
    assert httpx.get(url).status_code == 200


def test_a_picture_message_is_read_by_both_over_its_signed_link(ada: Caller, grace: Caller, talk: str) -> None:
    sent = ada.http.post(f"/messages/conversations/{talk}", files={"media": ("p.jpg", phone_photo())})
    assert sent.status_code == 201, sent.text
    [message] = grace.http.get(f"/messages/conversations/{talk}").json()["messages"]
    answer = httpx.get(message["mediaUrl"])
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert max(picture.size) == 1080
        assert not picture.getexif()
    base, _, key = message["mediaUrl"].partition("/messages/")
    assert httpx.get(f"{base.rsplit('/media/', 1)[0]}/media/messages/{key}").status_code == 403
