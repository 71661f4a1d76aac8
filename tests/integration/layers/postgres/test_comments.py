"""Comments that are added while others change the same post."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from layers.core.errors import CommentNotFound, PostNotFound
from layers.core.ids import new_id, time_of
from layers.core.models import PostCounts
from layers.postgres import comments, posts
from layers.postgres import connection as postgres_connection
from layers.postgres.comments import AddedComment
from layers.postgres.connection import Connection, autocommit, transaction
from tests.support.feed_posts import publish_post
from tests.support.people import Person
from tests.support.stores import somebody_waits_for_a_lock
from tests.support.waiting import until


def _add(
    author: Person, post_id: UUID, *, comment_id: UUID | None = None, parent_id: UUID | None = None
) -> AddedComment:
    with autocommit() as db:
        return comments.add(
            db,
            comment_id=comment_id or new_id(),
            post_id=post_id,
            parent_id=parent_id,
            content="said",
            viewer=author.viewer,
        )


def _stored(comment_id: UUID) -> tuple[object, ...] | None:
    with transaction() as db:
        return db.execute(
            "SELECT user_id, content, parent_id, reply_count, created_at FROM comments WHERE id = %s", [comment_id]
        ).fetchone()


def test_what_is_returned_is_what_is_stored(ada: Person, grace: Person) -> None:
    post_id = publish_post(ada)
    parent = _add(grace, post_id).comment
    added = _add(ada, post_id, parent_id=parent.id)

    assert added.counts == PostCounts(post_id=post_id, version=3, like_count=0, comment_count=2)
    assert _stored(added.comment.id) == (ada.id, "said", parent.id, 0, added.comment.created_at)
    assert added.comment.created_at == time_of(added.comment.id).isoformat(timespec="milliseconds").replace(
        "+00:00", "Z"
    )
    assert _stored(parent.id) == (grace.id, "said", None, 1, parent.created_at)


def test_the_same_id_again_gives_the_comment_as_it_is_now(ada: Person, grace: Person) -> None:
    post_id, comment_id = publish_post(ada), new_id()
    first = _add(ada, post_id, comment_id=comment_id)
    _add(grace, post_id, parent_id=comment_id)
    again = _add(ada, post_id, comment_id=comment_id)

    assert again.comment.id == comment_id
    assert again.comment.created_at == first.comment.created_at
    assert again.comment.reply_count == 1
    assert again.counts == PostCounts(post_id=post_id, version=3, like_count=0, comment_count=2)


def test_a_parent_must_be_on_the_same_post(ada: Person) -> None:
    post_id, other_id = publish_post(ada), publish_post(ada)
    parent_id = _add(ada, other_id).comment.id
    for unknown in (parent_id, uuid4()):
        with pytest.raises(CommentNotFound):
            _add(ada, post_id, parent_id=unknown)
    with pytest.raises(PostNotFound):
        _add(ada, uuid4(), parent_id=parent_id)


def _while_waiting(change: Callable[[Connection], object], add: Callable[[], object]) -> object:
    """The result of adding, or its error, which begins before the change is committed and waits for it."""
    begun, waited = threading.Event(), threading.Event()

    def adding() -> object:
        begun.wait(5)
        try:
            return add()
        except (CommentNotFound, PostNotFound) as error:
            return type(error)
        finally:
            postgres_connection.close()

    def watch() -> None:
        until(somebody_waits_for_a_lock)
        waited.set()

    with ThreadPoolExecutor(2) as pool:
        outcome = pool.submit(adding)
        with transaction() as db:
            change(db)
            begun.set()
            pool.submit(watch)
            assert waited.wait(10)
        return outcome.result(10)


def test_a_parent_that_is_deleted_meanwhile_is_not_found(ada: Person) -> None:
    post_id = publish_post(ada)
    parent_id = _add(ada, post_id).comment.id
    outcome = _while_waiting(
        lambda db: comments.delete(db, comment_id=parent_id, viewer=ada.viewer),
        lambda: _add(ada, post_id, parent_id=parent_id),
    )

    assert outcome is CommentNotFound


def test_a_post_that_is_deleted_meanwhile_is_not_found(ada: Person) -> None:
    post_id = publish_post(ada)
    outcome = _while_waiting(
        lambda db: posts.delete(db, post_id=post_id, viewer=ada.viewer), lambda: _add(ada, post_id)
    )

    assert outcome is PostNotFound


def test_a_repetition_that_waits_for_the_first_gives_its_comment(ada: Person) -> None:
    post_id, comment_id = publish_post(ada), new_id()

    def first(db: Connection) -> AddedComment:
        return comments.add(
            db, comment_id=comment_id, post_id=post_id, parent_id=None, content="said", viewer=ada.viewer
        )

    again = _while_waiting(first, lambda: _add(ada, post_id, comment_id=comment_id))

    assert isinstance(again, AddedComment)
    assert again.comment.id == comment_id
    assert again.counts == PostCounts(post_id=post_id, version=2, like_count=0, comment_count=1)
