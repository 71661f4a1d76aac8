"""Followers, followed accounts, follow requests and search."""

import secrets
from types import ModuleType

import pytest

from functions.users import (
    accept_follow_request,
    decline_follow_request,
    follow_user,
    get_profile,
    list_follow_requests,
    list_followers,
    list_following,
    search_users,
    unfollow_user,
    update_profile,
)
from layers.postgres.connection import transaction
from tests.support.calls import Reply, call
from tests.support.people import Person, follow, new_person


def _of(module: ModuleType, user: Person, viewer: Person | None = None, **query: object) -> Reply:
    return call(module, path={"user": user.username}, session_id=viewer.session_id if viewer else None, query=query)


def _ask(who: Person, target: Person) -> str:
    status: str = call(follow_user, session_id=who.session_id, path={"user": target.id}).json["followStatus"]
    return status


def _accept(who: Person, requester: Person) -> Reply:
    return call(accept_follow_request, session_id=who.session_id, path={"user": requester.id})


def _decline(who: Person, requester: Person) -> Reply:
    return call(decline_follow_request, session_id=who.session_id, path={"user": requester.id})


def _requesters(who: Person) -> list[str]:
    return [each["id"] for each in call(list_follow_requests, session_id=who.session_id).json["requests"]]


def test_followers_and_following_show_cards_the_newest_first(ada: Person) -> None:
    people = [new_person(f"fan{number}") for number in range(3)]
    for seconds_ago, each in enumerate(reversed(people)):
        follow(each, ada)
        with transaction() as db:
            db.execute(
                "UPDATE follows SET created_at = now() - %s * interval '1 s' WHERE follower_id = %s",
                [seconds_ago, each.id],
            )

    listed = _of(list_followers, ada).json
    assert [card["id"] for card in listed["followers"]] == [str(each.id) for each in reversed(people)]
    assert listed["nextCursor"] is None
    assert set(listed["followers"][0]) == {"id", "username", "displayName", "profilePictureUrl", "isVerified"}
    assert [card["id"] for card in _of(list_following, people[0]).json["following"]] == [str(ada.id)]


@pytest.mark.rule("R-P1")
@pytest.mark.parametrize("module", [list_followers, list_following])
def test_a_private_accounts_lists_are_403_for_strangers_and_open_for_followers(
    module: ModuleType, ada: Person, grace: Person, admin: Person
) -> None:
    hidden = new_person("hidden", private=True)
    follow(grace, hidden)

    assert [_of(module, hidden, viewer).status for viewer in (None, ada, grace, hidden, admin)] == [
        403,
        403,
        200,
        200,
        200,
    ]


@pytest.mark.parametrize("module", [list_followers, list_following])
def test_an_unknown_account_has_no_lists(module: ModuleType) -> None:
    assert call(module, path={"user": "nobody_at_all"}).status == 404


def test_a_request_waits_until_it_is_accepted(ada: Person) -> None:
    owner = new_person("owner", private=True)

    assert _ask(ada, owner) == "requested"
    [request] = call(list_follow_requests, session_id=owner.session_id).json["requests"]
    assert (request["id"], request["username"]) == (str(ada.id), ada.username)
    assert request["requestedAt"].endswith("Z")
    assert _accept(owner, ada).json["idempotent"] is False
    assert _accept(owner, ada).json["idempotent"] is True
    assert _requesters(owner) == []
    profile = call(get_profile, path={"user": owner.username}, session_id=ada.session_id).json["user"]
    assert (profile["followStatus"], profile["isFollowing"], profile["followerCount"]) == ("following", True, 1)


def test_a_declined_request_is_gone_and_may_be_made_again(ada: Person) -> None:
    owner = new_person("owner", private=True)
    _ask(ada, owner)

    assert _decline(owner, ada).json["idempotent"] is False
    assert _decline(owner, ada).json["idempotent"] is True
    assert _requesters(owner) == []
    assert _accept(owner, ada).status == 404
    assert _ask(ada, owner) == "requested"


def test_a_withdrawn_request_cannot_be_accepted(ada: Person) -> None:
    owner = new_person("owner", private=True)
    _ask(ada, owner)
    call(unfollow_user, session_id=ada.session_id, path={"user": owner.id})

    assert _requesters(owner) == []
    assert _accept(owner, ada).status == 404


def test_a_request_can_be_accepted_by_the_asked_account_alone(ada: Person, grace: Person) -> None:
    owner = new_person("owner", private=True)
    _ask(ada, owner)

    assert _accept(grace, ada).status == 404
    assert _requesters(owner) == [str(ada.id)]


def test_requests_need_a_session_and_an_id(ada: Person) -> None:
    assert call(list_follow_requests).status == 401
    assert call(accept_follow_request, session_id=ada.session_id, path={"user": "grace"}).status == 400
    assert call(decline_follow_request, session_id=ada.session_id, path={"user": "grace"}).status == 400


def _search(part: str, viewer: Person | None = None, **query: object) -> list[str]:
    reply = call(search_users, query={"q": part, **query}, session_id=viewer.session_id if viewer else None)
    assert reply.status == 200, reply.body
    return [card["username"] for card in reply.json["users"]]


def test_search_finds_a_part_of_either_name_in_any_case() -> None:
    part = secrets.token_hex(6)
    person = new_person(f"x{part}"[:12])
    call(update_profile, session_id=person.session_id, body={"displayName": f"Zoë {part.upper()}"})

    assert _search(part) == [person.username]
    assert _search(person.username[3:].upper()) == [person.username]


@pytest.mark.rule("R-P5")
def test_search_lists_private_accounts_and_no_banned_ones(admin: Person) -> None:
    part = secrets.token_hex(5)
    hidden, banned = new_person(part, private=True), new_person(part)
    with transaction() as db:
        db.execute("UPDATE users SET banned_at = now() WHERE id = %s", [banned.id])

    assert _search(part) == [hidden.username]
    assert set(_search(part, admin)) == {hidden.username, banned.username}


def test_those_with_more_followers_come_first(ada: Person, grace: Person) -> None:
    part = secrets.token_hex(5)
    people = [new_person(part) for _ in range(3)]
    follow(ada, people[1])
    follow(grace, people[1])
    follow(ada, people[2])

    assert _search(part) == [people[1].username, people[2].username, people[0].username]
    assert _search(part, limit=1) == [people[1].username]


@pytest.mark.parametrize("part", ["", "a", " a ", "é"])
def test_fewer_than_two_characters_find_nothing(part: str, ada: Person) -> None:
    assert _search(part) == []


def test_wildcard_characters_are_literal() -> None:
    part = secrets.token_hex(5)
    percent, under, back = (new_person(part) for _ in range(3))
    for person, name in ((percent, f"{part}%x"), (under, f"{part}_x"), (back, f"{part}\\x")):
        call(update_profile, session_id=person.session_id, body={"displayName": name})

    assert _search(f"{part}%x") == [percent.username]
    assert set(_search(f"{part}_x")) == {under.username}
    assert _search(f"{part}\\x") == [back.username]


def test_a_bad_limit_is_400() -> None:
    assert [call(search_users, query={"q": "ab", "limit": limit}).status for limit in (0, -1, "x")] == [400, 400, 400]
