"""Valkey at the limit of its memory: only what can be read again is evicted, and then it is as if Valkey were stopped.

The tests have a Valkey of their own with the policy of the stack's, and little memory.
"""

import re
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis

from functions.auth import get_me, login
from functions.feed import get_feed
from infra.stack import debian
from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from layers.core.limits import Limit
from layers.core.models import Revocation, Session
from layers.valkey import admission, copies, fragments, live_events, pairs, timelines
from tests.support.calls import call
from tests.support.feed_posts import count_trips, deliver, feed_ids, publish_post, publish_to
from tests.support.hosts import free_port
from tests.support.people import Person, follow
from tests.support.proxies import valkey_at
from tests.support.stack import ROOT
from tests.support.waiting import until

_MEGABYTES: Final = 16
_EVICTED: Final = 2000
_DAY: Final = 24 * 60 * 60
_GENERAL: Final = Limit("general", 1000, 60)
_FEW: Final = Limit("feed", 5, 600)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """A client of a Valkey with little memory, which this thread's functions use."""
    text = (ROOT / "infra/valkey/valkey.conf").read_text()
    policy = re.search(r"^maxmemory-policy (\S+)$", text, re.MULTILINE)
    assert policy
    port = free_port()
    memory = ["--maxmemory", f"{_MEGABYTES}mb", "--maxmemory-policy", policy[1]]
    command = [str(debian.valkey_server()), "--bind", "127.0.0.1", "--port", str(port), "--save", "", *memory]
    server = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        with redis.Redis.from_url(url) as client:
            until(lambda: _answers(client))
            with valkey_at(url, monkeypatch):
                yield client
    finally:
        server.kill()
        server.wait()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _fill(client: redis.Redis) -> None:
    """Store copies until some thousands of keys were evicted."""
    begun = _evicted(client)
    while _evicted(client) < begun + _EVICTED:
        for _ in range(500):
            assert copies.save(f"user:{secrets.token_hex(8)}", secrets.token_bytes(1000), about=new_id())


def _evicted(client: redis.Redis) -> int:
    info: Any = client.info("stats")
    return int(info["evicted_keys"])


def _new_session() -> Session:
    session = Session(id=secrets.token_urlsafe(32), user_id=new_id(), username="ada", role="user")
    admission.remember(session, seconds=_DAY)
    return session


@pytest.mark.rule("R-A2", "R-A3")
def test_no_session_ends_and_no_ended_one_comes_back(small: redis.Redis) -> None:
    sessions, revoked = [_new_session() for _ in range(200)], [_new_session() for _ in range(20)]
    for session in revoked[:10]:
        assert admission.apply_revocation(Revocation(id=new_id(), session_id=session.id))
    for session in revoked[10:]:
        assert admission.apply_revocation(Revocation(id=new_id(), user_id=session.user_id))
    _fill(small)

    for session in sessions:
        assert admission.admit(session.id, "test", _GENERAL, None).session == session
    for session in revoked:
        admission.remember(session, seconds=_DAY)
        assert admission.admit(session.id, "test", _GENERAL, None).unknown_session
    assert admission.apply_revocation(Revocation(id=new_id(), user_id=sessions[0].user_id))
    assert admission.admit(sessions[0].id, "test", _GENERAL, None).unknown_session


@pytest.mark.rule("R-L1", "R-L3")
def test_no_limit_forgets(small: redis.Redis) -> None:
    session = _new_session()
    for _ in range(_FEW.requests):
        admission.admit(session.id, "test", _GENERAL, _FEW)
    _fill(small)
    counts = [admission.admit(session.id, "test", _GENERAL, limit).count for limit in (_FEW, Limit("like", 9, 60))]

    assert [count.accepted for count in counts if count] == [False, True]
    assert small.llen(f"ratelimit:{session.user_id}:general") == _FEW.requests + 2


def test_no_mark_is_lost(small: redis.Redis, ada: Person, grace: Person) -> None:
    hidden, deleted, talk = new_id(), new_id(), new_id()
    copies.set_hidden(hidden, is_hidden=True)
    fragments.mark_deleted(deleted)
    assert pairs.claim(talk, b"first")
    timelines.set_banned(grace.id)
    timelines.push_popular(grace.id, new_id())
    live_events.append(b'{"type":"x"}', [ada.id], is_transient=False)
    kept = {key: small.ttl(key) for key in small.scan_iter()}
    _fill(small)

    assert set(kept.values()) == {-1}
    assert small.exists(*kept) == len(kept)
    copies.save("about", b"copy", about=hidden)
    assert copies.read("about") is None
    assert not pairs.claim(talk, b"second")
    assert small.smembers("banned") == {grace.id.bytes}


@pytest.mark.rule("R-F5")
def test_a_warm_feed_is_built_again_and_has_all_posts(small: redis.Redis, ada: Person, grace: Person) -> None:
    follow(ada, grace)
    shown = [publish_to(grace, ada) for _ in range(3)]
    assert feed_ids(ada) == shown[::-1]
    popular = publish_post(grace)
    deliver(popular, grace.id, None)
    expected = [popular, *shown[::-1]]
    assert feed_ids(ada) == expected
    _fill(small)
    assert feed_ids(ada) == expected
    small.config_set("maxmemory", "1")
    until(lambda: not small.exists(b"timeline:" + ada.id.bytes))
    small.config_set("maxmemory", f"{_MEGABYTES}mb")

    assert feed_ids(ada) == expected
    with count_trips() as trips:
        assert feed_ids(ada) == expected
    assert (trips.valkey, trips.statements) == (1, 0)


@pytest.mark.rule("R-D1")
def test_when_nothing_is_left_to_evict_it_is_as_if_it_were_stopped(small: redis.Redis, ada: Person) -> None:
    post_id = publish_post(ada)
    assert feed_ids(ada) == [post_id]
    small.config_set("maxmemory", "1")
    with pytest.raises(StoreUnavailable):
        admission.remember(_session_of(ada), seconds=_DAY)

    for function in (get_feed, get_me):
        reply = call(function, session_id=ada.session_id)
        assert reply.status == 200
        assert not [name for name in reply.headers if name.lower().startswith("ratelimit")]
    body = {"username": ada.username, "password": "wrong password"}
    assert call(login, body=body).status == 503

    small.config_set("maxmemory", f"{_MEGABYTES}mb")
    until(lambda: "ratelimit-limit" in call(get_me, session_id=ada.session_id).headers)


def test_what_has_ended_makes_room(small: redis.Redis) -> None:
    for _ in range(100):
        _new_session()
    keys: Any = small.zrange("deadlines", 0, -1)
    small.zadd("deadlines", dict.fromkeys(keys, 1))
    small.config_set("maxmemory", "1")

    def is_empty() -> bool:
        admission.admit(None, "test", _GENERAL, None)
        return not small.exists(*keys)

    until(is_empty)


def _session_of(person: Person) -> Session:
    return Session(id=secrets.token_urlsafe(32), user_id=person.id, username=person.username, role="user")
