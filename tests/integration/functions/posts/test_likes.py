"""Liking and unliking."""

from uuid import UUID, uuid4

import pytest

from functions.posts import get_post, like_post, unlike_post
from layers.core.ids import new_id
from layers.postgres import posts
from layers.postgres.connection import transaction
from tests.support.calls import Reply, call
from tests.support.people import Person, new_person
from tests.support.together import together


def _published(author: Person) -> UUID:
    post_id = new_id()
    picture = posts.NewPicture(id=new_id(), original_key=f"originals/{post_id}.jpg")
    with transaction() as db:
        posts.create(db, post_id=post_id, user_id=author.id, caption="", location=None, tags=[], pictures=[picture])
        posts.finish_picture(db, post_id=post_id, order_index=0, width=4, height=3)
    return post_id


def _like(person: Person, post_id: object) -> Reply:
    return call(like_post, session_id=person.session_id, path={"post_id": post_id})


def _unlike(person: Person, post_id: object) -> Reply:
    return call(unlike_post, session_id=person.session_id, path={"post_id": post_id})


def _seen(person: Person, post_id: UUID) -> tuple[int, bool]:
    post = call(get_post, session_id=person.session_id, path={"post_id": post_id}).json["post"]
    return post["likeCount"], post["isLiked"]


@pytest.mark.rule("R-I1")
def test_twenty_parallel_likes_count_once(ada: Person, grace: Person) -> None:
    post_id = _published(ada)
    replies = together(lambda _: _like(grace, post_id), range(20))

    assert [reply.status for reply in replies] == [200] * 20
    assert sum(not reply.json["idempotent"] for reply in replies) == 1
    assert _seen(grace, post_id) == (1, True)


@pytest.mark.rule("R-I1")
def test_twenty_parallel_unlikes_count_once(ada: Person, grace: Person) -> None:
    post_id = _published(ada)
    _like(ada, post_id)
    _like(grace, post_id)
    replies = together(lambda _: _unlike(grace, post_id), range(20))

    assert sum(not reply.json["idempotent"] for reply in replies) == 1
    assert _seen(grace, post_id) == (1, False)


@pytest.mark.rule("R-I2")
def test_like_unlike_like_are_three_changes(ada: Person, grace: Person) -> None:
    post_id = _published(ada)
    replies = [_like(grace, post_id), _unlike(grace, post_id), _like(grace, post_id)]

    assert [reply.json["idempotent"] for reply in replies] == [False] * 3
    assert _seen(grace, post_id) == (1, True)


@pytest.mark.rule("R-I3")
def test_the_counter_equals_the_rows_after_many_people_at_once(ada: Person) -> None:
    post_id = _published(ada)
    people = [new_person("liker") for _ in range(8)]
    together(lambda person: [_like(person, post_id), _unlike(person, post_id), _like(person, post_id)], people)
    _unlike(people[0], post_id)
    with transaction() as db:
        row = db.execute("SELECT count(*) FROM likes WHERE post_id = %s", [post_id]).fetchone()

    assert row == (7,)
    assert _seen(ada, post_id) == (7, False)


def test_what_may_not_be_seen_cannot_be_liked(ada: Person, grace: Person) -> None:
    shy = new_person("shy", private=True)
    unseen = [_published(shy), uuid4()]

    for post_id in unseen:
        assert _like(grace, post_id).status == 404
        assert _unlike(grace, post_id).status == 404
    assert call(like_post, path={"post_id": _published(ada)}).status == 401


@pytest.mark.rule("R-V1")
@pytest.mark.parametrize("post_id", ["1", "x" * 36])
def test_a_malformed_id_is_400(ada: Person, post_id: str) -> None:
    assert _like(ada, post_id).status == 400
    assert _unlike(ada, post_id).status == 400


@pytest.mark.rule("R-L1")
def test_the_hundred_and_first_like_of_an_hour_is_refused(ada: Person) -> None:
    post_id = _published(ada)
    statuses = [_like(ada, post_id).status for _ in range(101)]

    assert statuses == [200] * 100 + [429]
