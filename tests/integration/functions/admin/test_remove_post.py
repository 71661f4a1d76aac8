"""Posts that an admin removes."""

from uuid import uuid4

from functions.admin import remove_post
from functions.posts import delete_post, get_post
from functions.users import get_profile
from layers.media import connection as storage
from tests.support.calls import Reply, call
from tests.support.feed_posts import feed_ids, publish_post
from tests.support.people import Person, follow, new_person
from tests.support.trail import trail_of
from tests.support.uploads import begin, picture


def _remove(admin: Person, post_id: object) -> Reply:
    return call(remove_post, session_id=admin.session_id, path={"post_id": post_id})


def test_a_removed_post_is_absent_from_the_next_answer_of_every_viewer(
    admin: Person, ada: Person, grace: Person
) -> None:
    follow(ada, grace)
    post_id = publish_post(grace)
    assert feed_ids(ada) == [post_id]

    reply = _remove(admin, post_id)

    assert reply.status == 200
    assert reply.json["message"]
    assert feed_ids(ada) == []
    for viewer in (ada, grace, admin):
        assert call(get_post, session_id=viewer.session_id, path={"post_id": post_id}).status == 404
    assert call(get_profile, path={"user": grace.username}).json["user"]["postCount"] == 0
    [entry] = trail_of(admin)
    assert (entry.action, entry.target_id, entry.details) == ("delete_post", post_id, {})


def test_its_files_go_with_it(admin: Person) -> None:
    hidden = new_person("hidden", private=True)
    post = begin(hidden, picture(), picture())
    assert all(storage.exists(key) for key in post.keys)

    assert _remove(admin, post.id).status == 200
    assert post.status == "deleted"
    assert not any(storage.exists(key) for key in post.keys)


def test_an_unknown_or_deleted_post_is_404(admin: Person, ada: Person) -> None:
    by_admin, by_author = publish_post(ada), publish_post(ada)
    _remove(admin, by_admin)
    call(delete_post, session_id=ada.session_id, path={"post_id": by_author})

    assert [_remove(admin, post_id).status for post_id in (by_admin, by_author, uuid4())] == [404] * 3
    assert _remove(admin, "x").status == 400
