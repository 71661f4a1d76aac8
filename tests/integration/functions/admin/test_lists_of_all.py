"""All accounts and all posts, as admins list them."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from functions.admin import list_all_posts, list_all_users, remove_post, remove_user
from functions.posts import get_post
from layers.core.clock import format_time
from layers.core.ids import time_of
from layers.postgres.connection import transaction
from tests.support.calls import Reply, call
from tests.support.feed_posts import aged_id, count_trips, publish_post
from tests.support.links import rendition_url
from tests.support.people import Person, follow, new_person


def _users(admin: Person, **query: object) -> Reply:
    return call(list_all_users, session_id=admin.session_id, query=query)


def _posts(admin: Person, **query: object) -> Reply:
    return call(list_all_posts, session_id=admin.session_id, query=query)


def _names(admin: Person, **query: object) -> list[str]:
    reply = _users(admin, **query)
    assert reply.status == 200, reply.body
    return [user["username"] for user in reply.json["users"]]


def _ids(admin: Person, **query: object) -> list[UUID]:
    reply = _posts(admin, **query)
    assert reply.status == 200, reply.body
    return [UUID(post["id"]) for post in reply.json["posts"]]


def _rename(person: Person, *, email: str | None = None, display_name: str | None = None) -> None:
    with transaction() as db:
        db.execute(
            "UPDATE users SET email = coalesce(%s, email), display_name = coalesce(%s, display_name) WHERE id = %s",
            [email, display_name, person.id],
        )


def _caption(post_id: UUID, text: str) -> UUID:
    with transaction() as db:
        db.execute("UPDATE posts SET caption = %s WHERE id = %s", [text, post_id])
    return post_id


@pytest.fixture
def word() -> str:
    """A word that no other test uses."""
    return f"w{secrets.token_hex(5)}"


def test_an_account_is_listed_with_all_that_admins_know(admin: Person, ada: Person, grace: Person) -> None:
    follow(grace, ada)
    publish_post(ada)
    call(remove_user, session_id=admin.session_id, path={"user": grace.id})

    [shown] = _users(admin, q=ada.username).json["users"]
    assert shown == {
        "id": str(ada.id),
        "username": ada.username,
        "email": f"{ada.username}@example.org",
        "displayName": "Ada",
        "profilePictureUrl": None,
        "role": "user",
        "isPrivate": False,
        "status": "active",
        "followerCount": 1,
        "followingCount": 0,
        "postCount": 1,
        "createdAt": shown["createdAt"],
        "bannedAt": None,
    }
    [banned] = _users(admin, q=grace.username).json["users"]
    assert banned["status"] == "banned"
    assert banned["bannedAt"] >= banned["createdAt"]


def test_accounts_are_found_by_a_part_of_name_address_or_display_name_in_any_case(admin: Person, word: str) -> None:
    by_name, by_address, by_display_name, _ = new_person(word), new_person(), new_person(), new_person()
    _rename(by_address, email=f"x{word}@example.org")
    _rename(by_display_name, display_name=f"The {word.title()} one")

    found = [by_display_name.username, by_address.username, by_name.username]
    assert _names(admin, q=word) == found
    assert _names(admin, q=f"  {word.upper()} ") == found
    assert _names(admin, q=f"x{word}@") == [by_address.username]


@pytest.mark.parametrize("sign", ["%", "_", "\\"])
def test_wildcard_characters_are_literal(admin: Person, word: str, sign: str) -> None:
    with_it, without = new_person(), new_person()
    _rename(with_it, display_name=f"{word}{sign}z")
    _rename(without, display_name=f"{word}az")
    post_id = _caption(publish_post(with_it), f"{word}{sign}z")
    _caption(publish_post(without), f"{word}az")

    assert _names(admin, q=f"{word}{sign}") == [with_it.username]
    assert _ids(admin, q=f"{word}{sign}") == [post_id]


def test_accounts_are_filtered_by_role_and_status(admin: Person, word: str) -> None:
    user, verified, boss = new_person(word), new_person(word, role="verified"), new_person(word, role="admin")
    banned = new_person(word)
    call(remove_user, session_id=admin.session_id, path={"user": banned.id})

    assert _names(admin, q=word, role="verified") == [verified.username]
    assert _names(admin, q=word, role="admin") == [boss.username]
    assert _names(admin, q=word, status="banned") == [banned.username]
    assert _names(admin, q=word, role="user", status="active") == [user.username]
    assert _names(admin, q=word) == [banned.username, boss.username, verified.username, user.username]


@pytest.mark.rule("R-F6")
@pytest.mark.parametrize(
    "query",
    [
        {"role": "king"},
        {"role": ""},
        {"role": "null"},
        {"status": "gone"},
        {"status": "Banned"},
        {"limit": 0},
        {"limit": "x"},
        {"cursor": "x"},
    ],
)
def test_a_filter_of_accounts_that_is_none_is_400(admin: Person, query: dict[str, object]) -> None:
    assert _users(admin, **query).status == 400


def test_a_post_is_listed_with_all_that_admins_know(admin: Person, ada: Person) -> None:
    post_id = publish_post(ada, pictures=3)

    [shown] = _posts(admin, userId=ada.id).json["posts"]
    post = call(get_post, path={"post_id": post_id}).json["post"]
    assert shown == {
        "id": str(post_id),
        "userId": str(ada.id),
        "username": ada.username,
        "caption": f"Post of {ada.username}",
        "location": None,
        "status": "published",
        "likeCount": 0,
        "commentCount": 0,
        "mediaCount": 3,
        "thumbnail": rendition_url(post["media"][0], 320, "jpg"),
        "createdAt": post["createdAt"],
        "updatedAt": shown["updatedAt"],
    }


def test_posts_of_private_and_banned_accounts_are_listed_in_every_state(admin: Person) -> None:
    hidden = new_person("hidden", private=True)
    of_state = {status: publish_post(hidden, status=status) for status in ("processing", "failed", "published")}
    of_state["deleted"] = publish_post(hidden)
    call(remove_post, session_id=admin.session_id, path={"post_id": of_state["deleted"]})
    call(remove_user, session_id=admin.session_id, path={"user": hidden.id})

    listed: list[dict[str, Any]] = _posts(admin, userId=hidden.id).json["posts"]
    assert [(post["status"], post["id"]) for post in listed] == [
        (status, str(post_id)) for status, post_id in sorted(of_state.items(), key=lambda each: each[1], reverse=True)
    ]
    assert {post["status"]: post["thumbnail"] is None for post in listed} == {
        "processing": True,
        "failed": True,
        "published": False,
        "deleted": True,
    }
    for status, post_id in of_state.items():
        assert _ids(admin, userId=hidden.id, status=status) == [post_id]


def test_posts_are_found_by_a_part_of_their_caption(admin: Person, ada: Person, grace: Person, word: str) -> None:
    first = _caption(publish_post(ada), f"My {word.upper()}!")
    second = _caption(publish_post(grace), word)

    assert _ids(admin, q=word) == [second, first]
    assert _ids(admin, q=word, userId=ada.id) == [first]


def test_from_is_inclusive_and_to_exclusive(admin: Person, ada: Person) -> None:
    now = datetime.now(UTC)
    milliseconds = int(now.timestamp() * 1000)
    made = [publish_post(ada, aged_id(milliseconds + shift)) for shift in (-1, 0, 1)]
    earlier, moment, later = (format_time(time_of(post_id)) for post_id in made)

    def between(since: str | None, before: str | None) -> list[UUID]:
        query = {name: given for name, given in (("from", since), ("to", before)) if given}
        return sorted(_ids(admin, userId=ada.id, **query))

    assert between(moment, None) == made[1:]
    assert between(None, moment) == made[:1]
    assert between(earlier, later) == made[:2]
    assert between(moment, moment) == []
    assert between(moment.removesuffix("Z"), None) == made[1:]
    shifted = (time_of(made[1]) + timedelta(hours=2)).isoformat(timespec="milliseconds").replace("+00:00", "+02:00")
    assert between(shifted, None) == made[1:]


@pytest.mark.rule("R-F6")
@pytest.mark.parametrize(
    "query",
    [
        {"status": "lost"},
        {"status": "null"},
        {"userId": "x"},
        {"userId": "null"},
        {"from": "yesterday"},
        {"from": "1700000000"},
        {"to": "2026-13-01T00:00:00Z"},
        {"to": ""},
        {"to": "null"},
        {"limit": -1},
        {"cursor": "x"},
    ],
)
def test_a_filter_of_posts_that_is_none_is_400(admin: Person, query: dict[str, object]) -> None:
    assert _posts(admin, **query).status == 400


@pytest.mark.rule("R-F6")
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00"])
def test_times_at_the_ends_of_the_calendar_are_accepted(admin: Person, ada: Person, moment: str) -> None:
    assert _posts(admin, userId=ada.id, **{"from": moment}).status == 200


@pytest.mark.rule("R-F1", "R-F2")
def test_pages_yield_each_account_and_post_once(admin: Person, ada: Person, word: str) -> None:
    people = [new_person(word) for _ in range(4)]
    made = [publish_post(ada) for _ in range(4)]

    for module, items, wanted, query in (
        (list_all_users, "users", [person.id for person in people], {"q": word}),
        (list_all_posts, "posts", made, {"userId": ada.id}),
    ):
        seen, cursor = [], None
        while True:
            more: dict[str, object] = {"cursor": cursor} if cursor else {}
            page = call(module, session_id=admin.session_id, query={**query, "limit": 2, **more}).json
            seen += [UUID(item["id"]) for item in page[items]]
            cursor = page["nextCursor"]
            if cursor is None:
                break
        assert seen == sorted(wanted, reverse=True)
        assert len(seen) == 4  # the second page was full, and the last


def test_a_cursor_of_another_filter_list_or_admin_is_400(admin: Person, word: str) -> None:
    for _ in range(3):
        publish_post(new_person(word))
    cursor = _users(admin, q=word, limit=1).json["nextCursor"]

    assert _users(admin, q=word, limit=2, cursor=cursor).status == 200
    refused = [
        _users(admin, q=f"{word}_", cursor=cursor),
        _users(admin, cursor=cursor),
        _users(admin, q=word, status="active", cursor=cursor),
        _posts(admin, q=word, cursor=cursor),
        _users(new_person("boss", role="admin"), q=word, cursor=cursor),
    ]
    assert [reply.status for reply in refused] == [400] * 5


def test_the_number_of_statements_does_not_grow_with_the_page(admin: Person, word: str) -> None:
    author = new_person(word)
    for _ in range(5):
        publish_post(author)
        new_person(word)

    def statements(limit: int) -> list[int]:
        counted = []
        for ask, query in ((_users, {"q": word}), (_posts, {"userId": author.id})):
            with count_trips() as trips:
                ask(admin, limit=limit, **query)
            counted.append(trips.statements)
        return counted

    _users(admin)  # the session is known in Valkey from here on
    assert statements(1) == statements(100) == [2, 2]
