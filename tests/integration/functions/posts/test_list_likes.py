"""Who likes a post."""

import pytest

from functions.posts import like_post, list_likes, unlike_post
from layers.postgres.connection import transaction
from tests.support.calls import call
from tests.support.feed_posts import publish_post
from tests.support.people import Person, follow, new_person


def test_the_newest_like_comes_first_and_a_removed_one_is_gone(ada: Person) -> None:
    post_id = publish_post(ada)
    people = [new_person(f"fan{number}") for number in range(3)]
    for each in people:
        call(like_post, session_id=each.session_id, path={"post_id": post_id})
    call(unlike_post, session_id=people[1].session_id, path={"post_id": post_id})

    listed = call(list_likes, path={"post_id": post_id}).json
    assert [card["id"] for card in listed["likes"]] == [str(people[2].id), str(people[0].id)]
    assert listed["nextCursor"] is None


def test_banned_people_are_left_out_but_for_admins(ada: Person, grace: Person, admin: Person) -> None:
    post_id = publish_post(ada)
    call(like_post, session_id=grace.session_id, path={"post_id": post_id})
    with transaction() as db:
        db.execute("UPDATE users SET banned_at = now() WHERE id = %s", [grace.id])

    def listed(viewer: Person) -> int:
        return len(call(list_likes, session_id=viewer.session_id, path={"post_id": post_id}).json["likes"])

    assert [listed(ada), listed(admin)] == [0, 1]


@pytest.mark.rule("R-P2")
def test_the_likes_of_a_post_that_the_caller_may_not_see_are_404(ada: Person, grace: Person) -> None:
    hidden = new_person("hidden", private=True)
    follow(grace, hidden)
    post_id = publish_post(hidden)

    def status(viewer: Person | None) -> int:
        return call(list_likes, session_id=viewer.session_id if viewer else None, path={"post_id": post_id}).status

    assert [status(viewer) for viewer in (None, ada, grace, hidden)] == [404, 404, 200, 200]
    assert call(list_likes, path={"post_id": "x"}).status == 400


def test_a_like_can_be_removed_after_losing_access_to_the_post(ada: Person) -> None:
    hidden = new_person("hidden", private=True)
    follow(ada, hidden)
    post_id = publish_post(hidden)
    call(like_post, session_id=ada.session_id, path={"post_id": post_id})
    with transaction() as db:
        db.execute("DELETE FROM follows WHERE follower_id = %s", [ada.id])

    def taken_back() -> int:
        return call(unlike_post, session_id=ada.session_id, path={"post_id": post_id}).status

    assert [taken_back(), taken_back()] == [200, 404]
