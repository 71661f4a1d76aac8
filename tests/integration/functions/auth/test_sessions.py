"""Login, logout, me: the life of a session."""

import secrets

import msgspec
import pytest

from functions.auth import get_me, login, logout, register
from layers.postgres.connection import transaction
from tests.support.calls import Reply, call
from tests.support.people import Person
from tests.support.stores import end_in, seconds_to_end, valkey

PASSWORD = "correct horse battery"


class Account(msgspec.Struct, frozen=True):
    """A registered account that can log in."""

    username: str
    email: str
    address: str
    """Its own client address: login attempts count per address."""

    def login(self, *, name: str | None = None, password: str = PASSWORD, session_id: str | None = None) -> Reply:
        """One attempt."""
        body = {"username": name or self.username, "password": password}
        return call(login, body=body, address=self.address, session_id=session_id)


@pytest.fixture
def account() -> Account:
    """An account of its own for each test."""
    name = f"l_{secrets.token_hex(5)}"
    account = Account(username=name, email=f"{name}@example.org", address=f"test-{name}")
    call(register, body={"username": name, "email": account.email, "password": PASSWORD})
    return account


def _session_id(reply: Reply) -> str:
    return reply.headers["set-cookie"].split(";")[0].removeprefix("session_id=")


def test_a_username_or_an_address_in_any_case_signs_in(account: Account) -> None:
    for name in (account.username, account.username.upper(), account.email, account.email.upper()):
        reply = account.login(name=name)

        assert reply.status == 200
        assert reply.json["user"]["username"] == account.username


def test_unknown_user_and_wrong_password_have_one_answer(account: Account) -> None:
    wrong, unknown = account.login(password="wrong one"), account.login(name="nobody_at_all")

    assert (wrong.status, wrong.json) == (401, unknown.json)


@pytest.mark.parametrize("name", ["", "\x00", "a\x00b", "x" * 5000, "' OR 1=1 --"])
def test_an_impossible_name_is_an_unknown_user(account: Account, name: str) -> None:
    assert account.login(name=name or " ").status == 401


@pytest.mark.rule("R-A4")
def test_the_session_id_changes_at_login_and_a_given_one_is_never_adopted(account: Account) -> None:
    first = _session_id(account.login())
    second = _session_id(account.login(session_id=first))
    third = _session_id(account.login(session_id="chosen-by-the-caller"))

    assert len({first, second, third, "chosen-by-the-caller"}) == 4


@pytest.mark.rule("R-A3")
def test_after_logout_the_old_cookie_is_401(account: Account) -> None:
    session_id = _session_id(account.login())
    assert call(get_me, session_id=session_id).status == 200
    reply = call(logout, session_id=session_id)

    assert reply.status == 200
    assert "Max-Age=0" in reply.headers["set-cookie"]
    assert call(get_me, session_id=session_id).status == 401


def test_logout_without_a_session_is_fine() -> None:
    assert call(logout).status == 200
    assert call(logout, session_id="unknown").status == 200


@pytest.mark.rule("R-A2")
def test_each_answer_renews_the_cookie_and_the_entry(ada: Person) -> None:
    call(get_me, session_id=ada.session_id)
    end_in(60, f"session:{ada.session_id}")
    reply = call(get_me, session_id=ada.session_id)

    assert "Max-Age=86400" in reply.headers["set-cookie"]
    assert seconds_to_end(f"session:{ada.session_id}") > 86_000


@pytest.mark.rule("R-A2")
def test_a_session_unused_for_more_than_24_hours_has_ended(ada: Person) -> None:
    with transaction() as db:
        db.execute("UPDATE sessions SET expires_at = now() - interval '1 s' WHERE user_id = %s", [ada.id])
    valkey().delete(f"session:{ada.session_id}")

    assert call(get_me, session_id=ada.session_id).status == 401


@pytest.mark.rule("R-A2")
def test_activity_does_not_extend_a_session_beyond_its_absolute_end(ada: Person) -> None:
    with transaction() as db:
        db.execute("UPDATE sessions SET ends_at = now() + interval '10 s' WHERE user_id = %s", [ada.id])
    assert call(get_me, session_id=ada.session_id).status == 200

    assert seconds_to_end(f"session:{ada.session_id}") <= 10


@pytest.mark.rule("R-A5")
def test_the_session_is_stored_with_user_name_role_and_times(ada: Person) -> None:
    call(get_me, session_id=ada.session_id)
    stored = valkey().hgetall(f"session:{ada.session_id}")

    assert stored[b"user_id"] == str(ada.id).encode()
    assert stored[b"username"] == ada.username.encode()
    assert stored[b"role"] == b"user"
    assert {b"created_at", b"expires_at"} <= set(stored)


def test_a_session_that_valkey_lost_stays_valid(ada: Person) -> None:
    call(get_me, session_id=ada.session_id)
    valkey().delete(f"session:{ada.session_id}")

    assert call(get_me, session_id=ada.session_id).status == 200


@pytest.mark.parametrize("session_id", [None, "unknown", "x" * 5000, "%00"])
def test_me_without_a_live_session_is_401(session_id: str | None) -> None:
    reply = call(get_me, session_id=session_id)

    assert reply.status == 401
    assert reply.json["error"]


@pytest.mark.rule("R-L4")
def test_after_five_failures_in_a_minute_even_the_right_password_is_429(account: Account) -> None:
    statuses = [account.login(password="wrong one").status for _ in range(6)]
    right = account.login()

    assert statuses == [401] * 5 + [429]
    assert right.status == 429
    assert int(right.headers["retry-after"]) >= 1


@pytest.mark.rule("R-L4")
def test_successes_do_not_count(account: Account) -> None:
    statuses = [account.login().status for _ in range(7)]

    assert statuses == [200] * 7


@pytest.mark.rule("R-O2")
def test_the_trace_id_is_echoed_and_a_bad_one_replaced() -> None:
    assert call(get_me, headers={"X-Trace-Id": "abc-123"}).headers["x-trace-id"] == "abc-123"
    for bad in ("", "x" * 129, "white space", "é"):
        assert call(get_me, headers={"x-trace-id": bad}).headers["x-trace-id"] != bad
