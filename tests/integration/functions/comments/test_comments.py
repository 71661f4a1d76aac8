"""Comments, replies and comment likes."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from functions.comments import (
    create_comment,
    delete_comment,
    like_comment,
    list_comments,
    list_replies,
    unlike_comment,
)
from functions.feed import get_feed
from functions.posts import delete_post, get_post
from functions.users import unfollow_user
from layers.postgres.connection import transaction
from tests.support.calls import Reply, call
from tests.support.feed_posts import publish_post
from tests.support.people import Person, follow, new_person
from tests.support.together import together


def _say(who: Person, post_id: UUID, content: str = "Lovely", parent: str | None = None) -> Reply:
    body = {"content": content, "parentCommentId": parent} if parent else {"content": content}
    return call(create_comment, session_id=who.session_id, path={"post_id": post_id}, body=body)


def _said(who: Person, post_id: UUID, content: str = "Lovely", parent: str | None = None) -> str:
    comment_id: str = _say(who, post_id, content, parent).json["comment"]["id"]
    return comment_id


def _comments(post_id: UUID, viewer: Person | None = None) -> list[dict[str, Any]]:
    reply = call(list_comments, path={"post_id": post_id}, session_id=viewer.session_id if viewer else None)
    assert reply.status == 200, reply.body
    comments: list[dict[str, Any]] = reply.json["comments"]
    return comments


def _replies(comment_id: str, viewer: Person | None = None) -> Reply:
    return call(list_replies, path={"comment_id": comment_id}, session_id=viewer.session_id if viewer else None)


def _delete(who: Person, comment_id: str) -> Reply:
    return call(delete_comment, session_id=who.session_id, path={"comment_id": comment_id})


def _like(who: Person, comment_id: str) -> Reply:
    return call(like_comment, session_id=who.session_id, path={"comment_id": comment_id})


def _unlike(who: Person, comment_id: str) -> Reply:
    return call(unlike_comment, session_id=who.session_id, path={"comment_id": comment_id})


def _count(post_id: UUID) -> int:
    count: int = call(get_post, path={"post_id": post_id}).json["post"]["commentCount"]
    return count


def test_a_comment_is_answered_whole_and_comes_first(ada: Person, grace: Person) -> None:
    post_id = publish_post(ada)
    _say(ada, post_id, "First")

    reply = _say(grace, post_id, " What a view! ")

    assert reply.status == 201
    comment = reply.json["comment"]
    assert comment == {
        "id": comment["id"],
        "userId": str(grace.id),
        "username": grace.username,
        "displayName": "Grace",
        "profilePictureUrl": None,
        "content": "What a view!",
        "parentCommentId": None,
        "likeCount": 0,
        "isLiked": False,
        "replyCount": 0,
        "createdAt": comment["createdAt"],
    }
    assert [each["content"] for each in _comments(post_id)] == ["What a view!", "First"]
    assert _comments(post_id)[0] == comment


def test_replies_stand_below_their_comment_the_oldest_first_and_count(ada: Person, grace: Person) -> None:
    post_id = publish_post(ada)
    parent = _said(ada, post_id)
    replies = [_said(grace, post_id, f"Reply {number}", parent) for number in range(3)]

    assert [each["id"] for each in _replies(parent).json["replies"]] == replies
    [comment] = _comments(post_id)
    assert (comment["id"], comment["replyCount"]) == (parent, 3)
    assert _replies(parent).json["replies"][0]["parentCommentId"] == parent
    assert _count(post_id) == 4


@pytest.mark.rule("R-I4")
def test_the_count_is_right_in_the_next_feed(ada: Person, grace: Person) -> None:
    follow(grace, ada)
    post_id = publish_post(ada)

    def counted() -> int:
        [post] = call(get_feed, session_id=grace.session_id).json["posts"]
        count: int = post["commentCount"]
        return count

    assert counted() == 0
    comment_id = _said(grace, post_id)
    assert counted() == 1
    _delete(grace, comment_id)
    assert counted() == 0


@pytest.mark.rule("R-V2", "R-V3")
@pytest.mark.parametrize(
    "body",
    [{}, {"content": ""}, {"content": " \r\n "}, {"content": "<b></b>"}, {"content": "x" * 2201}, {"content": 5}],
)
def test_a_comment_has_a_minimum_and_a_maximum_length(ada: Person, body: dict[str, object]) -> None:
    post_id = publish_post(ada)

    assert call(create_comment, session_id=ada.session_id, path={"post_id": post_id}, body=body).status == 400
    assert _comments(post_id) == []


@pytest.mark.rule("R-V3")
def test_markup_is_removed_and_line_ends_are_folded(ada: Person) -> None:
    reply = _say(ada, publish_post(ada), "Hello <b>you</b>\r\nI <3 you, a < b &amp; <script>alert(1)</script>c")

    assert reply.json["comment"]["content"] == "Hello you\nI <3 you, a < b &amp; c"


def test_a_parent_must_be_a_comment_on_the_same_post(ada: Person) -> None:
    post_id, other = publish_post(ada), publish_post(ada)
    elsewhere = _said(ada, other)

    assert [_say(ada, post_id, "x", parent).status for parent in (elsewhere, str(uuid4()))] == [404, 404]
    assert _say(ada, post_id, "x", "not-an-id").status == 400
    assert (
        call(
            create_comment,
            session_id=ada.session_id,
            path={"post_id": post_id},
            body={"content": "x", "parentCommentId": None},
        ).status
        == 201
    )


def test_posts_that_the_caller_may_not_see_take_no_comments(ada: Person, grace: Person) -> None:
    hidden = new_person("hidden", private=True)
    waiting, private = publish_post(ada, status="processing"), publish_post(hidden)

    assert [_say(grace, post_id).status for post_id in (waiting, private, uuid4())] == [404, 404, 404]
    assert _say(ada, waiting).status == 404
    assert call(list_comments, path={"post_id": private}).status == 404
    assert call(create_comment, path={"post_id": waiting}, body={"content": "x"}).status == 401


def test_deleting_takes_all_replies_along_and_counts_them(ada: Person, grace: Person) -> None:
    post_id = publish_post(ada)
    parent, other = _said(grace, post_id), _said(grace, post_id)
    reply = _said(ada, post_id, parent=parent)
    _said(grace, post_id, parent=reply)
    assert _count(post_id) == 4

    assert _delete(grace, parent).status == 200

    assert _count(post_id) == 1
    assert [each["id"] for each in _comments(post_id)] == [other]
    assert [_replies(each).status for each in (parent, reply)] == [404, 404]
    assert _delete(grace, parent).status == 404


def test_deleting_a_reply_lowers_its_comments_count(ada: Person) -> None:
    post_id = publish_post(ada)
    parent = _said(ada, post_id)
    reply = _said(ada, post_id, parent=parent)

    _delete(ada, reply)
    assert _comments(post_id)[0]["replyCount"] == 0
    assert _count(post_id) == 1


def test_a_comment_is_its_authors_the_posts_owners_and_admins_to_delete(
    ada: Person, grace: Person, admin: Person
) -> None:
    post_id, stranger = publish_post(ada), new_person()
    of_grace = [_said(grace, post_id) for _ in range(3)]

    assert _delete(stranger, of_grace[0]).status == 403
    assert [_delete(who, each).status for who, each in zip((grace, ada, admin), of_grace, strict=True)] == [200] * 3
    assert call(delete_comment, path={"comment_id": of_grace[0]}).status == 401
    with transaction() as db:
        audited = db.execute("SELECT action, target_id FROM audit WHERE admin_id = %s", [admin.id]).fetchall()
    assert audited == [("delete_comment", UUID(of_grace[2]))]


def test_an_own_comment_can_be_deleted_after_losing_access_to_the_post(ada: Person) -> None:
    hidden = new_person("hidden", private=True)
    follow(ada, hidden)
    post_id = publish_post(hidden)
    mine, other = _said(ada, post_id), _said(hidden, post_id)
    _like(ada, other)
    call(unfollow_user, session_id=ada.session_id, path={"user": hidden.id})

    assert _delete(ada, other).status == 404
    assert [_unlike(ada, other).status, _unlike(ada, other).status] == [200, 404]
    assert _delete(ada, mine).status == 200


def test_liking_a_comment_twice_counts_once(ada: Person, grace: Person) -> None:
    post_id = publish_post(ada)
    comment_id = _said(ada, post_id)

    assert [_like(grace, comment_id).json["idempotent"] for _ in range(2)] == [False, True]
    [comment] = _comments(post_id, grace)
    assert (comment["likeCount"], comment["isLiked"]) == (1, True)
    assert _comments(post_id, ada)[0]["isLiked"] is False
    assert [_unlike(grace, comment_id).json["idempotent"] for _ in range(2)] == [False, True]
    assert _comments(post_id, grace)[0]["likeCount"] == 0
    assert [_like(grace, str(uuid4())).status, _unlike(grace, str(uuid4())).status] == [404, 404]


@pytest.mark.rule("R-P1")
def test_comments_of_banned_accounts_are_visible_to_admins_alone(ada: Person, grace: Person, admin: Person) -> None:
    post_id = publish_post(ada)
    comment_id = _said(grace, post_id)
    _said(ada, post_id, parent=comment_id)
    with transaction() as db:
        db.execute("UPDATE users SET banned_at = now() WHERE id = %s", [grace.id])

    assert (_comments(post_id, ada), _replies(comment_id, ada).status) == ([], 404)
    assert _like(ada, comment_id).status == 404
    assert _say(ada, post_id, "x", comment_id).status == 404
    assert [each["id"] for each in _comments(post_id, admin)] == [comment_id]
    assert _replies(comment_id, admin).status == 200


def test_a_deleted_posts_comments_are_gone(ada: Person) -> None:
    post_id = publish_post(ada)
    comment_id = _said(ada, post_id)
    call(delete_post, session_id=ada.session_id, path={"post_id": post_id})

    assert call(list_comments, path={"post_id": post_id}, session_id=ada.session_id).status == 404
    assert _replies(comment_id, ada).status == 404
    assert _like(ada, comment_id).status == 404


@pytest.mark.rule("R-I3")
def test_comments_replies_and_deletes_at_the_same_moment_leave_the_count_right(ada: Person) -> None:
    post_id = publish_post(ada)
    parents = [_said(ada, post_id) for _ in range(4)]

    def act(number: int) -> int:
        if number % 3 == 0:
            return _delete(ada, parents[number // 3]).status
        return _say(ada, post_id, "Again", parents[number // 3] if number % 3 == 1 else None).status

    statuses = together(act, range(12))

    assert set(statuses) <= {200, 201, 404}
    with transaction() as db:
        row = db.execute("SELECT count(*) FROM comments WHERE post_id = %s", [post_id]).fetchone()
    assert row
    assert _count(post_id) == row[0]
