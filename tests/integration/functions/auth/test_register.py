"""POST /auth/register."""

import secrets
from collections.abc import Iterator

import pytest

from functions.auth import get_me, login, logout, register
from layers.core.settings import settings
from layers.postgres.connection import transaction
from tests.support.calls import call


def _registration(**given: object) -> dict[str, object]:
    name = f"r_{secrets.token_hex(5)}"
    return {"username": name, "email": f"{name}@example.org", "password": "secret password"} | given


def test_registering_signs_in_at_once() -> None:
    reply = call(register, body=_registration(displayName="Ada <b>L</b>"))

    assert reply.status == 201
    assert reply.json["user"]["displayName"] == "Ada L"
    assert reply.json["user"]["isPrivate"] is False
    session_id = reply.headers["set-cookie"].split(";")[0].removeprefix("session_id=")
    assert call(get_me, session_id=session_id).json["user"]["username"] == reply.json["user"]["username"]


@pytest.mark.rule("R-A1")
def test_the_cookie_has_the_contracts_flags() -> None:
    cookie = call(register, body=_registration()).headers["set-cookie"]

    assert cookie.split("; ")[1:] == ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=86400"]


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cookies as a deployment sets them."""
    monkeypatch.setenv("SECURE_COOKIES", "true")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.rule("R-A1")
def test_in_production_every_session_cookie_is_secure(production: None) -> None:
    registration = _registration()
    registered = call(register, body=registration)
    signed_in = call(login, body={name: registration[name] for name in ("username", "password")})
    session_id = signed_in.headers["set-cookie"].split(";")[0].removeprefix("session_id=")
    renewed = call(get_me, session_id=session_id)
    signed_out = call(logout, session_id=session_id)
    replies = (registered, signed_in, renewed, signed_out)

    assert [reply.status for reply in replies] == [201, 200, 200, 200]
    for reply, seconds in zip(replies, (86400, 86400, 86400, 0), strict=True):
        attributes = reply.headers["set-cookie"].split("; ")[1:]
        assert attributes == ["HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={seconds}", "Secure"]


@pytest.mark.rule("R-A6")
def test_no_password_or_hash_is_in_the_answer() -> None:
    reply = call(register, body=_registration(password="hunter22 and more"))

    assert b"hunter22" not in reply.body
    assert b"argon2" not in reply.body


@pytest.mark.rule("R-A6")
def test_the_stored_hash_is_slow_and_salted() -> None:
    first, second = _registration(), _registration()
    for registration in (first, second):
        call(register, body=registration)
    with transaction() as db:
        found = db.execute(
            "SELECT password_hash FROM users WHERE username = ANY(%s)", [[first["username"], second["username"]]]
        ).fetchall()

    assert all(row[0].startswith("$argon2id$v=19$m=47104,t=1") for row in found)
    assert found[0] != found[1]


@pytest.mark.rule("R-V2")
def test_usernames_are_folded() -> None:
    registration = _registration()
    registration["username"] = str(registration["username"]).upper()
    reply = call(register, body=registration)

    assert reply.json["user"]["username"] == str(registration["username"]).lower()
    assert reply.json["user"]["displayName"] == registration["username"]


@pytest.mark.parametrize("change", ["username", "email"])
def test_a_taken_username_and_a_taken_e_mail_address_have_one_answer(change: str) -> None:
    taken = _registration()
    call(register, body=taken)
    reply = call(register, body=_registration(**{change: taken[change]}))

    assert reply.status == 409
    assert reply.json["error"] == "Username or e-mail address is already in use."


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"username": "ab"}, "username"),
        ({"username": "a" * 31}, "username"),
        ({"username": "white space"}, "username"),
        ({"username": "me"}, "username"),
        ({"username": "search"}, "username"),
        ({"username": ["list"]}, "username"),
        ({"email": "nobody"}, "email"),
        ({"email": f"{'a' * 250}@example.org"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "p" * 129}, "password"),
        ({"password": None}, "password"),
        ({"displayName": "d" * 101}, "displayName"),
    ],
)
def test_a_bad_field_is_named(given: dict[str, object], field: str) -> None:
    reply = call(register, body=_registration(**given))

    assert reply.status == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in reply.json["errors"]] == [field]


@pytest.mark.parametrize("field", ["username", "email", "password"])
def test_a_missing_field_is_named(field: str) -> None:
    registration = _registration()
    del registration[field]
    reply = call(register, body=registration)

    assert (reply.status, reply.json["errors"][0]["field"]) == (400, field)


@pytest.mark.parametrize("body", ['{"username": ', "[]", '"text"', "\x00", '{"username": "\\ud800"}'])
def test_a_malformed_body_is_refused(body: str) -> None:
    assert call(register, body=body).status == 400


def test_members_that_callers_may_not_set_are_ignored() -> None:
    reply = call(register, body=_registration(role="admin", followerCount=9, id="x", isVerified=True))

    assert reply.json["user"]["role"] == "user"
    assert reply.json["user"]["followerCount"] == 0


def test_a_body_over_100_kib_is_refused() -> None:
    assert call(register, body=_registration(bio="x" * 102_400)).status == 413


def test_a_foreign_origin_is_refused_and_own_ones_pass() -> None:
    own = settings().own_origins.split(",")[0]

    assert call(register, body=_registration(), headers={"Origin": "https://evil.example"}).status == 403
    passed = call(register, body=_registration(), headers={"Origin": own})
    assert (passed.status, passed.headers["access-control-allow-origin"]) == (201, own)
