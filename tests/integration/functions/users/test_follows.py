"""Profiles, following and unfollowing."""

import secrets
from uuid import uuid4

import pytest

from functions.admin import remove_user, unban_user
from functions.users import accept_follow_request, follow_user, get_profile, unfollow_user, update_profile
from tests.support.calls import Reply, call
from tests.support.people import Person, new_person
from tests.support.together import together


def _profile(user: Person, viewer: Person | None = None) -> dict[str, object]:
    reply = call(get_profile, path={"user": user.username}, session_id=viewer.session_id if viewer else None)
    profile: dict[str, object] = reply.json["user"]
    return profile


def _follow(viewer: Person, user: Person) -> Reply:
    return call(follow_user, session_id=viewer.session_id, path={"user": user.id})


def _unfollow(viewer: Person, user: Person) -> Reply:
    return call(unfollow_user, session_id=viewer.session_id, path={"user": user.id})


def test_a_profile_is_found_by_name_in_any_case_and_by_id(ada: Person) -> None:
    by_name = call(get_profile, path={"user": ada.username.upper()}).json
    by_id = call(get_profile, path={"user": ada.id}).json

    assert by_name == by_id
    assert by_name["user"]["id"] == str(ada.id)
    assert not {"email", "role"} & set(by_name["user"])


@pytest.mark.parametrize("ref", ["nobody_here", "a", "with space", "x" * 40, str(uuid4()), "%"])
def test_unknown_and_impossible_names_are_404(ref: str) -> None:
    assert call(get_profile, path={"user": ref}).status == 404


@pytest.mark.rule("R-I4")
def test_a_follow_shows_in_the_next_profile(ada: Person, grace: Person) -> None:
    reply = _follow(ada, grace)

    assert reply.json["followStatus"] == "following"
    assert reply.json["idempotent"] is False
    seen = _profile(grace, ada)
    assert (seen["isFollowing"], seen["followStatus"], seen["followerCount"]) == (True, "following", 1)
    assert _profile(ada)["followingCount"] == 1


def test_following_twice_and_unfollowing_twice_change_nothing(ada: Person, grace: Person) -> None:
    _follow(ada, grace)

    assert _follow(ada, grace).json["idempotent"] is True
    assert _unfollow(ada, grace).json == {
        "message": "You do not follow this account.",
        "idempotent": False,
        "followStatus": "none",
    }
    assert _unfollow(ada, grace).json["idempotent"] is True
    assert _profile(grace)["followerCount"] == 0


@pytest.mark.rule("R-I1")
def test_twenty_parallel_follows_count_once(ada: Person, grace: Person) -> None:
    replies = together(lambda _: _follow(ada, grace), range(20))

    assert [reply.status for reply in replies] == [200] * 20
    assert sum(not reply.json["idempotent"] for reply in replies) == 1
    assert _profile(grace)["followerCount"] == 1


@pytest.mark.rule("R-I3")
def test_people_following_each_other_at_once_count_exactly(ada: Person, grace: Person) -> None:
    def turn(number: int) -> int:
        who, whom = (ada, grace) if number % 2 else (grace, ada)
        return (_unfollow if number % 5 == 0 else _follow)(who, whom).status

    for round_ in range(4):
        assert set(together(turn, range(round_ * 8, round_ * 8 + 8))) == {200}
    _follow(ada, grace)
    _unfollow(grace, ada)

    assert (_profile(ada)["followerCount"], _profile(ada)["followingCount"]) == (0, 1)
    assert (_profile(grace)["followerCount"], _profile(grace)["followingCount"]) == (1, 0)


@pytest.mark.rule("R-P4")
def test_following_a_private_account_only_asks(ada: Person) -> None:
    shy = new_person("shy", private=True)
    reply = _follow(ada, shy)

    assert (reply.json["followStatus"], reply.json["idempotent"]) == ("requested", False)
    assert _follow(ada, shy).json["idempotent"] is True
    seen = _profile(shy, ada)
    assert (seen["isFollowing"], seen["followStatus"], seen["followerCount"]) == (False, "requested", 0)
    assert _unfollow(ada, shy).json["idempotent"] is False
    assert _profile(shy, ada)["followStatus"] == "none"


def test_following_oneself_is_400(ada: Person) -> None:
    assert _follow(ada, ada).status == 400


@pytest.mark.rule("R-V1")
@pytest.mark.parametrize("user", ["name", "1234", "0" * 36, secrets.token_hex(16)])
def test_a_malformed_id_is_400(ada: Person, user: str) -> None:
    assert call(follow_user, session_id=ada.session_id, path={"user": user}).status == 400
    assert call(unfollow_user, session_id=ada.session_id, path={"user": user}).status == 400


def test_following_an_unknown_account_is_404_and_without_a_session_401(ada: Person) -> None:
    assert call(follow_user, session_id=ada.session_id, path={"user": uuid4()}).status == 404
    assert call(follow_user, path={"user": uuid4()}).status == 401


@pytest.mark.rule("R-L1")
def test_the_thirty_first_follow_of_an_hour_is_refused(ada: Person, grace: Person) -> None:
    replies = [_follow(ada, grace) for _ in range(31)]

    assert [reply.status for reply in replies] == [200] * 30 + [429]
    assert replies[0].headers["ratelimit-limit"] == "30"
    assert replies[0].headers["ratelimit-remaining"] == "29"
    assert replies[0].headers["ratelimit-policy"] == "30;w=3600"
    assert int(replies[30].headers["retry-after"]) > 3500
    assert _follow(grace, ada).status == 200


def test_the_request_of_a_banned_account_cannot_be_accepted(ada: Person, grace: Person, admin: Person) -> None:
    make_private(ada)
    assert _follow(grace, ada).json["followStatus"] == "requested"
    assert call(remove_user, session_id=admin.session_id, path={"user": grace.id}).status == 200

    assert call(accept_follow_request, session_id=ada.session_id, path={"user": grace.id}).status == 404
    assert call(unban_user, session_id=admin.session_id, path={"user": grace.id}).status == 200
    assert call(accept_follow_request, session_id=ada.session_id, path={"user": grace.id}).status == 200


def make_private(person: Person) -> None:
    reply = call(update_profile, session_id=person.session_id, body={"isPrivate": True})
    assert reply.status == 200, reply.body
