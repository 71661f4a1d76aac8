"""Sessions and rate limits in one round trip."""

import secrets
import time
from uuid import UUID

import pytest

from layers.core.ids import new_id
from layers.core.limits import SESSION_SECONDS, Limit
from layers.core.models import Revocation, Session
from layers.core.settings import settings
from layers.valkey import admission
from layers.valkey.admission import Admission
from tests.support.feed_posts import count_trips
from tests.support.proxies import Proxy
from tests.support.stores import end_in, seconds_to_end, valkey
from tests.support.together import together
from tests.support.waiting import until

GENERAL = Limit("general", 1000, 60)
FEED = Limit("feed", 5, 60)
LOGIN = Limit("login", 5, 60, by_address=True, counts_failures=True)
DAY = 24 * 60 * 60


@pytest.fixture
def address() -> str:
    """A client address of its own."""
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
def session() -> Session:
    """A session that Valkey knows."""
    session = Session(id=secrets.token_urlsafe(32), user_id=new_id(), username="ada", role="verified")
    admission.remember(session, seconds=30 * DAY)
    return session


def _accepted(admitted: Admission) -> bool:
    assert admitted.count is not None
    return admitted.count.accepted


def _key(session: Session) -> str:
    return f"session:{session.id}"


@pytest.mark.rule("R-A5")
def test_a_session_is_kept_with_user_role_and_times(session: Session) -> None:
    raw: dict[bytes, bytes] = valkey().hgetall(_key(session))  # type: ignore[assignment]
    kept = {name.decode(): value.decode() for name, value in raw.items()}
    now = time.time()

    assert (kept["user_id"], kept["username"], kept["role"]) == (str(session.user_id), "ada", "verified")
    assert int(kept["expires_at"]) == pytest.approx(now + DAY, abs=5)
    assert int(kept["ends_at"]) == pytest.approx(now + 30 * DAY, abs=5)
    assert int(kept["created_at"]) == pytest.approx(now + (30 - settings().session_absolute_days) * DAY, abs=5)


def test_one_round_trip_gives_session_and_count(session: Session, address: str) -> None:
    admission.admit(None, address, GENERAL, None)  # Valkey knows the script
    with count_trips() as trips:
        admitted = admission.admit(session.id, address, GENERAL, FEED)

    assert trips.valkey == 1
    assert admitted.session == session
    assert admitted.count is not None
    assert (admitted.count.limit, admitted.count.accepted, admitted.count.remaining) == (FEED, True, 4)
    assert 59 <= admitted.count.reset_seconds <= 60


@pytest.mark.rule("R-A2")
def test_use_slides_the_expiry(session: Session, address: str) -> None:
    admission.remember(session, seconds=100)
    valkey().hset(_key(session), "ends_at", int(time.time()) + 30 * DAY)
    admission.admit(session.id, address, GENERAL, None)

    assert seconds_to_end(_key(session)) == pytest.approx(SESSION_SECONDS, abs=2)


@pytest.mark.rule("R-A2")
def test_a_session_that_has_ended_is_unknown_before_it_is_removed(session: Session, address: str) -> None:
    valkey().hset(_key(session), "expires_at", int(time.time()))
    valkey().zrem("deadlines", _key(session))

    assert admission.admit(session.id, address, GENERAL, None).unknown_session
    assert valkey().exists(_key(session))
    admission.remember(session, seconds=DAY)
    assert admission.admit(session.id, address, GENERAL, None).session == session


def test_a_session_never_outlives_its_absolute_end(session: Session, address: str) -> None:
    admission.remember(session, seconds=100)
    admission.admit(session.id, address, GENERAL, None)
    assert seconds_to_end(_key(session)) <= 100
    valkey().hset(_key(session), "ends_at", int(time.time()) - 1)

    assert admission.admit(session.id, address, GENERAL, None).unknown_session


def test_a_save_is_due_once_every_15_minutes(session: Session, address: str) -> None:
    assert not admission.admit(session.id, address, GENERAL, None).save_due
    valkey().hset(_key(session), "saved_at", int(time.time()) - 15 * 60)

    assert [admission.admit(session.id, address, GENERAL, None).save_due for _ in range(3)] == [True, False, False]


def test_an_unknown_session_counts_nothing(address: str) -> None:
    assert admission.admit("unknown", address, GENERAL, FEED) == Admission(None, None, unknown_session=True)
    assert not valkey().keys(f"ratelimit:{address}:*")


@pytest.mark.rule("R-L5")
def test_without_a_session_only_general_counts_by_address(address: str) -> None:
    admitted = admission.admit(None, address, GENERAL, FEED)

    assert admitted.session is None
    assert admitted.count is not None
    assert admitted.count.limit == GENERAL
    assert valkey().keys(f"ratelimit:{address}:*") == [f"ratelimit:{address}:general".encode()]


@pytest.mark.rule("R-L1")
def test_the_limit_passes_the_next_is_refused_and_other_users_and_actions_are_not(
    session: Session, address: str
) -> None:
    assert [_accepted(admission.admit(session.id, address, GENERAL, FEED)) for _ in range(6)] == [True] * 5 + [False]
    refused = admission.admit(session.id, address, GENERAL, FEED)
    other = Session(id=secrets.token_urlsafe(32), user_id=new_id(), username="grace", role="user")
    admission.remember(other, seconds=DAY)

    assert refused.count is not None
    assert (refused.count.limit, refused.count.remaining) == (FEED, 0)
    assert 1 <= refused.count.reset_seconds <= 60
    assert _accepted(admission.admit(other.id, address, GENERAL, FEED))
    assert _accepted(admission.admit(session.id, address, GENERAL, Limit("like", 5, 60)))


def test_general_refuses_before_the_specific_limiter_is_touched(session: Session, address: str) -> None:
    tight = Limit("general", 2, 60)
    answers = [admission.admit(session.id, address, tight, FEED).count for _ in range(3)]

    assert [answer.limit.action for answer in answers if answer] == ["feed", "feed", "general"]
    assert valkey().llen(f"ratelimit:{session.user_id}:feed") == 2


@pytest.mark.rule("R-L2")
def test_fifty_at_once_get_exactly_the_limit(session: Session, address: str) -> None:
    limit = Limit("burst", 7, 60)
    accepted = together(lambda _: _accepted(admission.admit(session.id, address, GENERAL, limit)), range(50))

    assert sum(accepted) == 7


@pytest.mark.rule("R-L2")
def test_in_no_span_of_one_window_are_more_than_the_limit_accepted(address: str) -> None:
    limit, moments = Limit("general", 4, 1), list[int]()

    def one_more() -> bool:
        count = admission.admit(None, address, limit, None).count
        assert count is not None
        if count.accepted:
            moments.append(int(count.entry))
        return len(moments) >= 13

    until(one_more, seconds=10, every=0.01)

    assert all(later - earlier > 1_000_000 for earlier, later in zip(moments, moments[4:], strict=False))


@pytest.mark.rule("R-L2")
def test_refused_requests_do_not_prolong_the_wait(address: str) -> None:
    limit = Limit("general", 1, 1)
    assert _accepted(admission.admit(None, address, limit, None))
    started = time.monotonic()

    until(lambda: _accepted(admission.admit(None, address, limit, None)), seconds=3, every=0.01)

    assert time.monotonic() - started < 1.5


def test_a_lowered_limit_holds_at_once(address: str) -> None:
    for _ in range(5):
        admission.admit(None, address, Limit("general", 9, 60), None)
    count = admission.admit(None, address, Limit("general", 3, 60), None).count

    assert count is not None
    assert not count.accepted
    assert 1 <= count.reset_seconds <= 60


@pytest.mark.rule("R-L3")
def test_every_key_has_an_end_and_none_can_be_evicted(session: Session, address: str) -> None:
    admission.admit(session.id, address, GENERAL, FEED)
    admission.admit(None, address, GENERAL, LOGIN)
    keys = [key for whose in (session.id, str(session.user_id), address) for key in valkey().keys(f"*{whose}*")]

    assert len(keys) == 6
    assert all(seconds_to_end(key) > 0 for key in keys)


@pytest.mark.rule("R-L3")
def test_what_has_ended_counts_no_more_and_is_removed(address: str) -> None:
    limit = Limit("general", 2, 60)
    for _ in range(2):
        admission.admit(None, address, limit, None)
    key = f"ratelimit:{address}:general"
    long_ago = str(int((time.time() - 61) * 1_000_000))
    for place in range(2):
        valkey().lset(key, place, long_ago)
    count = admission.admit(None, address, limit, None).count
    assert count is not None
    assert (count.accepted, count.remaining) == (True, 1)
    assert valkey().llen(key) == 1

    end_in(-1, key)

    def is_removed() -> bool:
        admission.admit(None, "test-another", GENERAL, None)
        return not valkey().exists(key)

    until(is_removed)
    assert valkey().zscore("deadlines", key) is None


@pytest.mark.rule("R-L4")
def test_of_fifty_at_once_five_are_counted_and_an_uncounted_one_is_free_again(address: str) -> None:
    counts = together(lambda _: admission.admit(None, address, GENERAL, LOGIN).count, range(50))
    taken = [count for count in counts if count and count.accepted]
    assert len(taken) == 5

    admission.refund(LOGIN, address, taken[2].entry)

    assert valkey().llen(f"ratelimit:{address}:login") == 4
    assert [_accepted(admission.admit(None, address, GENERAL, LOGIN)) for _ in range(2)] == [True, False]


def test_one_request_is_uncounted_of_two_counted_in_one_microsecond(address: str) -> None:
    key = f"ratelimit:{address}:login"
    valkey().rpush(key, "5", "5", "6")
    admission.refund(LOGIN, address, b"5")

    assert valkey().lrange(key, 0, -1) == [b"5", b"6"]


@pytest.mark.rule("R-A3")
def test_a_revoked_session_is_unknown_and_a_concurrent_lookup_does_not_restore_it(
    session: Session, address: str
) -> None:
    assert admission.apply_revocation(Revocation(id=new_id(), session_id=session.id))
    assert admission.admit(session.id, address, GENERAL, None).unknown_session
    admission.remember(session, seconds=DAY)

    assert admission.admit(session.id, address, GENERAL, None).unknown_session
    assert 0 < seconds_to_end(_key(session)) <= 60
    end_in(-1, _key(session))
    admission.remember(session, seconds=DAY)
    assert admission.admit(session.id, address, GENERAL, None).session == session


@pytest.mark.rule("R-A3")
def test_all_sessions_of_a_user_end_and_later_ones_stay_valid(address: str) -> None:
    user_id = new_id()
    absolute = settings().session_absolute_days * DAY
    old = [_session_of(user_id) for _ in range(3)]
    for session in old[:2]:
        admission.remember(session, seconds=absolute - 10)
    admission.apply_revocations([Revocation(id=new_id(), user_id=user_id)])
    admission.remember(old[2], seconds=absolute - 10)
    later = _session_of(user_id)
    admission.remember(later, seconds=absolute + 1)

    assert all(admission.admit(session.id, address, GENERAL, None).unknown_session for session in old)
    assert admission.admit(later.id, address, GENERAL, None).session == later


def test_with_valkey_down_a_revocation_returns_false_and_a_request_stays_counted(proxy: Proxy, address: str) -> None:
    proxy.close()

    assert not admission.apply_revocation(Revocation(id=new_id(), session_id="some"))
    admission.refund(LOGIN, address, b"5")


def _session_of(user_id: UUID) -> Session:
    return Session(id=secrets.token_urlsafe(32), user_id=user_id, username="ada", role="user")
