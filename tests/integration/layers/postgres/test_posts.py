"""The life of a post's rows."""

from functools import partial
from uuid import UUID, uuid4

import pytest

from layers.core.errors import NotAllowed, PostNotFound
from layers.core.events import OutboxEvent
from layers.core.ids import new_id
from layers.postgres import posts, users
from layers.postgres.connection import autocommit, transaction
from tests.support.people import Person, follow, new_person
from tests.support.together import together


def _new_post(author: Person, *, pictures: int = 1) -> UUID:
    post_id = new_id()
    rows = [posts.NewPicture(id=new_id(), original_key=f"originals/{post_id}-{n}.jpg") for n in range(pictures)]
    with transaction() as db:
        posts.create(db, post_id=post_id, user_id=author.id, caption="c", location=None, tags=[], pictures=rows)
    return post_id


def _finish(post_id: UUID, order_index: int = 0) -> OutboxEvent | None:
    with transaction() as db:
        return posts.finish_picture(db, post_id=post_id, order_index=order_index, width=4, height=3)


def _status(post_id: UUID) -> str:
    with transaction() as db:
        return posts.read_status(db, post_id=post_id)


def _post_count(person: Person) -> int:
    with transaction() as db:
        return users.read_self(db, user_id=person.id).post_count


@pytest.mark.rule("R-M5")
def test_a_post_is_published_with_its_last_picture_only(ada: Person) -> None:
    post_id = _new_post(ada, pictures=3)

    assert [_finish(post_id, 2), _finish(post_id, 0)] == [None, None]
    assert (_status(post_id), _post_count(ada)) == ("processing", 0)
    assert _finish(post_id, 1) is not None
    assert (_status(post_id), _post_count(ada)) == ("published", 1)


@pytest.mark.rule("R-M5")
def test_finishing_again_changes_nothing(ada: Person) -> None:
    post_id = _new_post(ada)
    _finish(post_id)

    assert _finish(post_id) is None
    assert _post_count(ada) == 1


def test_two_workers_finishing_the_last_two_pictures_publish_once(ada: Person) -> None:
    for _ in range(10):
        post_id = _new_post(ada, pictures=2)
        notes = together(partial(_finish, post_id), [0, 1, 0, 1])

        assert sum(note is not None for note in notes) == 1
        assert _status(post_id) == "published"
    assert _post_count(ada) == 10


def test_publishing_a_deleted_post_leaves_it_deleted(ada: Person) -> None:
    post_id = _new_post(ada)
    with transaction() as db:
        posts.delete(db, post_id=post_id, viewer=ada.viewer)

    assert _finish(post_id) is None
    assert (_status(post_id), _post_count(ada)) == ("deleted", 0)


def test_a_failed_picture_fails_its_post_and_the_owner_reads_why(ada: Person, grace: Person) -> None:
    post_id = _new_post(ada, pictures=2)
    with transaction() as db:
        assert posts.fail_picture(db, post_id=post_id, order_index=1, reason="too dark")
        post = posts.read(db, post_id=post_id, viewer=ada.viewer)

    assert (post.status, post.media[1].failure) == ("failed", "too dark")
    with transaction() as db, pytest.raises(PostNotFound):
        posts.read(db, post_id=post_id, viewer=grace.viewer)
    assert _finish(post_id, 0) is None


def test_a_published_post_never_fails(ada: Person) -> None:
    post_id = _new_post(ada)
    _finish(post_id)
    with transaction() as db:
        assert not posts.fail_picture(db, post_id=post_id, order_index=0, reason="late")

    assert _status(post_id) == "published"


def test_a_post_that_does_not_exist_yet_cannot_be_finished() -> None:
    with pytest.raises(PostNotFound):
        _finish(uuid4())


@pytest.mark.rule("R-F4")
def test_an_unpublished_post_is_visible_to_its_owner_and_admins_alone(
    ada: Person, grace: Person, admin: Person
) -> None:
    post_id = _new_post(ada)
    with transaction() as db:
        for viewer in (ada.viewer, admin.viewer):
            assert posts.read(db, post_id=post_id, viewer=viewer).status == "processing"
        for stranger in (grace.viewer, None):
            with pytest.raises(PostNotFound):
                posts.read(db, post_id=post_id, viewer=stranger)


@pytest.mark.rule("R-P1")
def test_a_private_post_is_seen_by_owner_follower_and_admin(ada: Person, grace: Person, admin: Person) -> None:
    shy = new_person("shy", private=True)
    follow(grace, shy)
    post_id = _new_post(shy)
    _finish(post_id)
    with transaction() as db:
        for viewer in (shy.viewer, grace.viewer, admin.viewer):
            assert posts.read(db, post_id=post_id, viewer=viewer).id == post_id
        for stranger in (ada.viewer, None):
            with pytest.raises(PostNotFound):
                posts.read(db, post_id=post_id, viewer=stranger)


@pytest.mark.rule("R-P4")
def test_a_request_is_not_a_follow(ada: Person) -> None:
    shy = new_person("shy", private=True)
    post_id = _new_post(shy)
    _finish(post_id)
    with transaction() as db:
        db.execute("INSERT INTO follow_requests (requester_id, target_id) VALUES (%s, %s)", [ada.id, shy.id])
        with pytest.raises(PostNotFound):
            posts.read(db, post_id=post_id, viewer=ada.viewer)


def test_only_owner_and_admin_delete(ada: Person, grace: Person, admin: Person) -> None:
    first, second = _new_post(ada), _new_post(ada)
    _finish(first)
    _finish(second)
    with transaction() as db:
        with pytest.raises(NotAllowed):
            posts.delete(db, post_id=first, viewer=grace.viewer)
        posts.delete(db, post_id=first, viewer=ada.viewer)
        posts.delete(db, post_id=second, viewer=admin.viewer)
        with pytest.raises(PostNotFound):
            posts.delete(db, post_id=first, viewer=ada.viewer)

    assert _post_count(ada) == 0


def test_a_deleted_post_is_visible_to_no_account(ada: Person, admin: Person) -> None:
    post_id = _new_post(ada)
    with transaction() as db:
        posts.delete(db, post_id=post_id, viewer=ada.viewer)
        for viewer in (ada.viewer, admin.viewer, None):
            with pytest.raises(PostNotFound):
                posts.read(db, post_id=post_id, viewer=viewer)


def test_a_post_whose_pictures_were_not_stored_is_withdrawn(ada: Person) -> None:
    post_id = _new_post(ada)
    with autocommit() as db:
        posts.withdraw(db, post_id=post_id, keys=["a", "b"])

    with pytest.raises(PostNotFound):
        _status(post_id)
    assert _abandoned(post_id) == ["a", "b"]


def test_a_post_created_again_after_it_was_withdrawn_keeps_its_files(ada: Person) -> None:
    post_id = _new_post(ada)
    with autocommit() as db:
        posts.withdraw(db, post_id=post_id, keys=["a", "b"])
    with transaction() as db:
        posts.create(db, post_id=post_id, user_id=ada.id, caption="", location=None, tags=[], pictures=[])

    assert (_status(post_id), _abandoned(post_id)) == ("processing", None)


def _abandoned(post_id: UUID) -> list[str] | None:
    with transaction() as db:
        row = db.execute("SELECT keys FROM abandoned_files WHERE id = %s", [post_id]).fetchone()
    return row[0] if row else None


def test_the_files_of_a_deleted_post_are_listed_until_they_are_removed(ada: Person) -> None:
    post_id = _new_post(ada, pictures=2)
    with transaction() as db:
        posts.delete(db, post_id=post_id, viewer=ada.viewer)
        deleted = posts.list_deleted_with_media(db, older_than_seconds=-1, at_most=10_000)
    left = {each.post_id: each for each in deleted}
    assert len(left[post_id].original_keys) == 2
    with autocommit() as db:
        posts.mark_media_removed(db, post_id=post_id)

    with transaction() as db:
        deleted = posts.list_deleted_with_media(db, older_than_seconds=-1, at_most=10_000)
    assert post_id not in {each.post_id for each in deleted}
