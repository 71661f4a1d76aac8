"""An account's posts, the caller's saved posts, and explore."""

import secrets
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from functions.feed import explore_posts, get_feed
from functions.posts import delete_post, get_post, save_post, unsave_post
from functions.users import list_saved_posts, list_user_posts, unfollow_user, update_profile
from layers.postgres.connection import transaction
from tests.support.calls import Reply, call
from tests.support.feed_posts import publish_post
from tests.support.links import rendition_url
from tests.support.people import Person, follow, new_person


def _posts(user: Person, viewer: Person | None = None, **query: object) -> Reply:
    session_id = viewer.session_id if viewer else None
    return call(list_user_posts, path={"user": user.username}, session_id=session_id, query=query)


def _save(viewer: Person, post_id: UUID) -> Reply:
    return call(save_post, session_id=viewer.session_id, path={"post_id": post_id})


def _unsave(viewer: Person, post_id: UUID) -> Reply:
    return call(unsave_post, session_id=viewer.session_id, path={"post_id": post_id})


def _saved(viewer: Person) -> list[str]:
    return [post["id"] for post in call(list_saved_posts, session_id=viewer.session_id).json["posts"]]


@pytest.mark.rule("R-F4")
def test_an_accounts_grid_shows_what_is_published_the_newest_first(ada: Person) -> None:
    shown = [publish_post(ada, pictures=count) for count in (1, 3)]
    publish_post(ada, status="processing")
    publish_post(ada, status="failed")

    listed = _posts(ada).json
    assert [(post["id"], post["mediaCount"]) for post in listed["posts"]] == [(str(shown[1]), 3), (str(shown[0]), 1)]
    assert listed["nextCursor"] is None
    assert set(listed["posts"][0]) == {"id", "thumbnail", "likeCount", "commentCount", "mediaCount", "createdAt"}


def test_a_thumbnail_is_the_small_rendition_of_the_first_picture(ada: Person) -> None:
    post_id = publish_post(ada, pictures=2)

    [thumb] = _posts(ada).json["posts"]
    media = call(get_post, path={"post_id": post_id}).json["post"]["media"]
    assert thumb["thumbnail"] == rendition_url(media[0], 320, "jpg")


@pytest.mark.rule("R-P1")
def test_the_grid_of_a_private_account_is_403_and_of_an_unknown_one_404(grace: Person, admin: Person) -> None:
    hidden = new_person("hidden", private=True)
    follow(grace, hidden)
    stranger = new_person()

    statuses = [_posts(hidden, viewer).status for viewer in (None, stranger, grace, hidden, admin)]
    assert statuses == [403, 403, 200, 200, 200]
    assert call(list_user_posts, path={"user": "nobody_at_all"}).status == 404


def test_a_grid_shows_12_by_default(ada: Person) -> None:
    for _ in range(13):
        publish_post(ada)

    assert [len(_posts(ada).json["posts"]), len(_posts(ada, limit=20).json["posts"])] == [12, 13]


def test_saving_twice_counts_once_and_the_latest_save_comes_first(ada: Person, grace: Person) -> None:
    first, second = publish_post(ada), publish_post(ada)

    assert [_save(grace, post_id).json["idempotent"] for post_id in (second, first, second)] == [False, False, True]
    assert _saved(grace) == [str(first), str(second)]
    [latest, _] = call(list_saved_posts, session_id=grace.session_id).json["posts"]
    assert latest["savedAt"] >= latest["createdAt"]
    assert [_unsave(grace, first).json["idempotent"] for _ in range(2)] == [False, True]
    assert _saved(grace) == [str(second)]


@pytest.mark.rule("R-I4")
def test_a_save_shows_in_the_next_post_and_feed(ada: Person, grace: Person) -> None:
    follow(grace, ada)
    post_id = publish_post(ada)

    def seen() -> list[bool]:
        post = call(get_post, session_id=grace.session_id, path={"post_id": post_id}).json["post"]
        [in_feed] = call(get_feed, session_id=grace.session_id).json["posts"]
        return [post["isSaved"], in_feed["isSaved"]]

    assert seen() == [False, False]
    _save(grace, post_id)
    assert seen() == [True, True]
    _unsave(grace, post_id)
    assert seen() == [False, False]


@pytest.mark.rule("R-P2")
def test_what_the_caller_may_not_see_any_more_is_left_out_of_the_saved_posts(ada: Person, grace: Person) -> None:
    follow(grace, ada)
    post_id, gone = publish_post(ada), publish_post(ada)
    for each in (post_id, gone):
        _save(grace, each)
    call(delete_post, session_id=ada.session_id, path={"post_id": gone})
    call(update_profile, session_id=ada.session_id, body={"isPrivate": True})

    assert _saved(grace) == [str(post_id)]
    call(unfollow_user, session_id=grace.session_id, path={"user": ada.id})
    assert _saved(grace) == []
    assert _save(grace, post_id).status == 404
    assert _unsave(grace, post_id).json["idempotent"] is False  # one's own save can always be taken back
    assert _unsave(grace, post_id).status == 404


def test_a_post_that_does_not_exist_cannot_be_saved(ada: Person) -> None:
    waiting = publish_post(ada, status="processing")

    assert [_save(ada, post_id).status for post_id in (uuid4(), waiting)] == [404, 404]
    assert [_unsave(ada, post_id).status for post_id in (uuid4(), waiting)] == [404, 404]
    assert call(save_post, session_id=ada.session_id, path={"post_id": "x"}).status == 400
    assert call(save_post, path={"post_id": waiting}).status == 401


@pytest.fixture
def top() -> Iterator[int]:
    """A score above every other in the database; the posts that got there come down again."""
    with transaction() as db:
        row = db.execute("SELECT max(like_count + 2 * comment_count) FROM posts").fetchone()
    score = (row[0] if row else 0) + 100 + secrets.randbelow(1000)
    yield score
    with transaction() as db:
        db.execute("UPDATE posts SET like_count = 0, comment_count = 0 WHERE like_count >= %s", [score])


def _scored(author: Person, likes: int, comments: int = 0) -> str:
    post_id = publish_post(author)
    with transaction() as db:
        db.execute("UPDATE posts SET like_count = %s, comment_count = %s WHERE id = %s", [likes, comments, post_id])
    return str(post_id)


def _explored(viewer: Person | None = None, *, limit: int = 5) -> list[str]:
    reply = call(explore_posts, session_id=viewer.session_id if viewer else None, query={"limit": limit})
    return [post["id"] for post in reply.json["posts"]]


def test_explore_counts_a_comment_twice_and_shows_the_newest_of_equals_first(ada: Person, top: int) -> None:
    old, new = _scored(ada, top), _scored(ada, top)
    commented = _scored(ada, top, comments=1)
    liked = _scored(ada, top + 1)

    assert _explored(limit=4) == [commented, liked, new, old]


@pytest.mark.rule("R-P5")
def test_explore_shows_no_private_accounts_and_not_the_viewers_own_and_followed_ones(
    ada: Person, grace: Person, admin: Person, top: int
) -> None:
    hidden = new_person("hidden", private=True)
    banned = new_person("banned")
    of_hidden, of_banned = _scored(hidden, top + 9), _scored(banned, top + 9)
    with transaction() as db:
        db.execute("UPDATE users SET banned_at = now() WHERE id = %s", [banned.id])
    follow(grace, ada)
    of_ada, of_grace = _scored(ada, top + 1), _scored(grace, top)

    assert _explored(limit=2) == [of_ada, of_grace]
    assert not {of_ada, of_grace} & set(_explored(grace))
    assert _explored(ada)[0] == of_grace
    assert not {of_hidden, of_banned} & set(_explored(hidden) + _explored(admin))
