"""Follows in one statement, and what is left to longer transactions."""

from uuid import uuid4

import pytest

from layers.core.errors import UserNotFound
from layers.postgres import follows, users
from layers.postgres.connection import autocommit, transaction
from layers.postgres.follows import FollowResult
from tests.support.people import Person, new_person


def _counts(*people: Person) -> list[tuple[int, int]]:
    """Followers and followed of each."""
    with transaction() as db:
        accounts = [users.read_self(db, user_id=person.id) for person in people]
    return [(account.follower_count, account.following_count) for account in accounts]


def _follow(follower: Person, target: Person) -> FollowResult | None:
    with autocommit() as db:
        return follows.follow_public(db, follower_id=follower.id, target_id=target.id)


def _end(follower: Person, target: Person) -> bool:
    with autocommit() as db:
        return follows.end_follow(db, follower_id=follower.id, target_id=target.id)


def test_a_public_account_is_followed_once(ada: Person, grace: Person) -> None:
    assert _follow(ada, grace) == FollowResult("following", is_new=True)
    assert _counts(ada, grace) == [(0, 1), (1, 0)]
    assert _follow(ada, grace) == FollowResult("following", is_new=False)
    assert _counts(ada, grace) == [(0, 1), (1, 0)]


def test_a_private_account_is_left_to_a_request(ada: Person) -> None:
    target = new_person("private", private=True)

    assert _follow(ada, target) is None
    assert _counts(ada, target) == [(0, 0), (0, 0)]


def test_a_banned_or_unknown_account_is_not_found(ada: Person, grace: Person) -> None:
    with transaction() as db:
        db.execute("UPDATE users SET banned_at = now() WHERE id = %s", [grace.id])
    with pytest.raises(UserNotFound):
        _follow(ada, grace)
    with pytest.raises(UserNotFound), autocommit() as db:
        follows.follow_public(db, follower_id=ada.id, target_id=uuid4())


def test_a_follow_ends_once(ada: Person, grace: Person) -> None:
    _follow(ada, grace)
    _follow(grace, ada)

    assert [_end(ada, grace), _end(ada, grace)] == [True, False]
    assert _counts(ada, grace) == [(1, 0), (0, 1)]


def test_a_request_is_not_a_follow(ada: Person) -> None:
    target = new_person("private", private=True)
    with transaction() as db:
        follows.follow(db, follower_id=ada.id, target_id=target.id)

    assert _end(ada, target) is False
    with transaction() as db:
        assert follows.unfollow(db, follower_id=ada.id, target_id=target.id) is True
