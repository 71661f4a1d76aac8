"""The home feed, warm, cold and broken."""

import re
import time

import msgspec
import pytest

from functions.feed import get_feed
from functions.posts import like_post, unlike_post
from functions.users import follow_user, unfollow_user
from layers.core import media_links
from layers.core.ids import time_of
from layers.core.models import Post
from layers.postgres import posts
from layers.postgres.connection import transaction
from layers.services import home_feed
from layers.valkey import fragments, timelines
from tests.support.calls import call
from tests.support.feed_posts import (
    aged_id,
    all_pages,
    count_trips,
    deliver,
    feed,
    feed_ids,
    forget_feed,
    publish_post,
    publish_to,
)
from tests.support.people import Person, follow
from tests.support.proxies import Proxies, stores_answer
from tests.support.stores import valkey
from tests.support.waiting import until


@pytest.fixture
def friends(ada: Person, grace: Person) -> tuple[Person, Person]:
    """Ada follows Grace."""
    follow(ada, grace)
    return ada, grace


def test_followed_and_own_posts_newest_first_and_no_others(friends: tuple[Person, Person], admin: Person) -> None:
    ada, grace = friends
    publish_post(admin)
    mine, first, second = publish_post(ada), publish_post(grace), publish_post(grace)

    assert feed_ids(ada) == [second, first, mine]
    assert feed_ids(ada) == [second, first, mine]


def test_a_post_reads_as_get_post_shows_it(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    post_id = publish_post(grace, pictures=3)
    with transaction() as db:
        db.execute("UPDATE users SET avatar_id = gen_random_uuid() WHERE id = %s", [grace.id])
        db.execute(
            "UPDATE posts SET tags = '{a,b}', location = 'Q\"<>', caption = %s WHERE id = %s", ["ü%b\n", post_id]
        )
        post = posts.read(db, post_id=post_id, viewer=ada.viewer)
    shown = msgspec.json.decode(media_links.sign_all(msgspec.json.encode(post)))

    for _ in ("cold", "warm"):
        (in_feed,) = feed(ada)["posts"]
        assert in_feed == shown
        msgspec.convert(in_feed, Post, strict=False)


@pytest.mark.rule("R-F4")
def test_only_published_posts(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    for status in ("processing", "failed", "deleted"):
        publish_post(grace, status="published" if status == "deleted" else status)
    with transaction() as db:
        db.execute("UPDATE posts SET status = 'deleted' WHERE user_id = %s AND status = 'published'", [grace.id])

    assert feed_ids(ada) == []


@pytest.mark.rule("R-F1")
@pytest.mark.parametrize("limit", [1, 3, 7])
def test_paging_yields_each_post_once_in_order(friends: tuple[Person, Person], limit: int) -> None:
    ada, grace = friends
    made = [publish_post(author) for _ in range(7) for author in (ada, grace)]

    assert all_pages(ada, limit=limit) == made[::-1]


@pytest.mark.rule("R-F1")
def test_posts_arriving_while_paging_neither_repeat_nor_hide_others(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    made = [publish_post(grace) for _ in range(6)]
    page = feed(ada, limit=3)
    publish_to(grace, ada)

    assert feed_ids(ada, limit=3, cursor=page["nextCursor"]) == made[2::-1]


@pytest.mark.rule("R-F1")
def test_posts_of_one_millisecond_are_each_shown_once(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    now = int(time.time() * 1000)
    made = sorted((publish_post(grace, aged_id(now)) for _ in range(9)), reverse=True)

    assert all_pages(ada, limit=2) == made


@pytest.mark.rule("R-F2")
def test_next_cursor_is_null_exactly_on_the_last_page_also_when_it_is_full(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    for _ in range(4):
        publish_post(grace)

    for _ in ("cold", "warm"):
        assert feed(ada, limit=4)["nextCursor"] is None
        assert feed(ada, limit=3)["nextCursor"] is not None


@pytest.mark.rule("R-F3")
def test_cursors_need_no_escaping(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    publish_post(grace), publish_post(grace)

    assert re.fullmatch(r"[A-Za-z0-9._~:-]+", feed(ada, limit=1)["nextCursor"])


def test_a_bare_time_means_strictly_older_than(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    base = int(time.time() * 1000) - 10_000
    old, same, _ = (publish_post(grace, aged_id(base + step)) for step in (0, 1, 2))
    moment = time_of(same).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    assert feed_ids(ada, cursor=moment) == [old]
    assert feed_ids(ada, cursor="1901-01-01T00:00:00.000Z") == []
    assert feed_ids(ada, cursor="9999-12-31T23:59:59.999Z")[-1] == old


@pytest.mark.rule("R-F6")
@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0}, {"limit": -1}, {"limit": "x"}, {"limit": "1.5"}, {"cursor": "x"}, {"cursor": ""},
        {"cursor": "AAAA" * 20}, {"cursor": "2026-13-45T00:00:00Z"}, {"cursor": "2026-01-01TNaN"},
    ],
)  # fmt: skip
def test_bad_limits_and_cursors_are_400(ada: Person, query: dict[str, object]) -> None:
    assert call(get_feed, session_id=ada.session_id, query=query).status == 400


def test_a_signed_cursor_is_never_taken_for_a_time() -> None:
    signed = "1kf1-aA-AAAAATAAAA"

    assert not home_feed._ISO_TIME.match(signed)


def test_a_cursor_of_another_viewer_is_400(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    publish_post(grace), publish_post(grace)
    cursor = feed(ada, limit=1)["nextCursor"]

    assert call(get_feed, session_id=grace.session_id, query={"cursor": cursor}).status == 400


def test_limits_above_100_count_as_100(ada: Person) -> None:
    now = int(time.time() * 1000) - 1000
    for step in range(102):
        publish_post(ada, aged_id(now + step))

    assert len(feed(ada, limit=5000)["posts"]) == 100


def test_pages_beyond_what_a_timeline_holds_come_from_the_rows(friends: tuple[Person, Person]) -> None:
    ada, _ = friends
    now = int(time.time() * 1000) - 1000
    made = [publish_post(author, aged_id(now + step)) for step in range(65) for author in friends]
    feed(ada)
    assert len(valkey().lrange(b"timeline:" + ada.id.bytes, 0, -1)) < 60

    assert all_pages(ada, limit=9) == sorted(made, reverse=True)


def test_a_warm_feed_is_one_round_trip_and_no_statement(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    for _ in range(30):
        publish_post(grace)
    feed(ada)

    with count_trips() as trips:
        feed(ada)

    assert (trips.valkey, trips.statements) == (1, 0)


def test_a_process_reads_the_bodies_of_posts_once(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    made = [publish_post(grace) for _ in range(30)]
    feed(ada)
    fragments.forget_bodies()

    feed(ada)  # now Valkey has the script
    fragments.forget_bodies()

    with count_trips() as trips:
        assert feed_ids(ada) == made[:-21:-1]
    assert (trips.valkey, trips.statements) == (2, 0)
    with count_trips() as trips:
        assert feed_ids(ada) == made[:-21:-1]
    assert (trips.valkey, trips.statements) == (1, 0)


def test_a_session_and_a_timeline_that_valkey_has_lost_are_there_after_one_request(
    friends: tuple[Person, Person],
) -> None:
    ada, grace = friends
    made = [publish_post(grace) for _ in range(3)]
    feed(ada)
    forget_feed(ada)
    valkey().delete(f"session:{ada.session_id}")

    assert feed_ids(ada) == made[::-1]
    with count_trips() as trips:
        assert feed_ids(ada) == made[::-1]
    assert (trips.valkey, trips.statements) == (1, 0)


@pytest.mark.parametrize("limit", [5, 40])
def test_a_miss_is_at_most_three_statements_whatever_the_page(friends: tuple[Person, Person], limit: int) -> None:
    ada, grace = friends
    for _ in range(45):
        publish_post(grace)
    feed(grace), feed(ada)
    forget_feed(ada)

    with count_trips() as trips:
        feed(ada, limit=limit)

    assert trips.statements <= 3


def test_what_a_page_lacks_is_read_with_one_statement(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    made = [publish_post(grace) for _ in range(10)]
    feed(ada)
    valkey().delete(*(b"post:" + post_id.bytes for post_id in made[3:6]), b"liked:" + ada.id.bytes)

    with count_trips() as trips:
        assert feed_ids(ada) == made[::-1]

    assert trips.statements == 1
    with count_trips() as trips:
        feed(ada)
    assert trips.statements == 0


@pytest.mark.rule("R-I4")
def test_own_likes_show_in_the_next_answer(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    post_id = publish_post(grace)
    feed(ada), feed(grace)

    for handler, is_liked in ((like_post, True), (unlike_post, False), (like_post, True)):
        assert call(handler, session_id=ada.session_id, path={"post_id": post_id}).status == 200
        (mine,), (hers,) = feed(ada)["posts"], feed(grace)["posts"]
        assert (mine["isLiked"], mine["likeCount"]) == (is_liked, is_liked)
        assert (hers["isLiked"], hers["likeCount"]) == (False, is_liked)


@pytest.mark.rule("R-I5")
def test_follow_and_unfollow_show_in_the_next_answer(ada: Person, grace: Person) -> None:
    made = [publish_post(grace) for _ in range(3)]
    mine = publish_post(ada)
    assert feed_ids(ada) == [mine]

    for _ in range(2):
        call(follow_user, session_id=ada.session_id, path={"user": grace.id})
        assert feed_ids(ada) == [mine, *made[::-1]]
        call(unfollow_user, session_id=ada.session_id, path={"user": grace.id})
        assert feed_ids(ada) == [mine]


def test_pages_stay_full_after_an_unfollow(ada: Person, grace: Person, admin: Person) -> None:
    follow(ada, grace)
    follow(ada, admin)
    made = [(publish_post(grace), publish_post(admin))[1] for _ in range(6)]
    feed(ada)
    call(unfollow_user, session_id=ada.session_id, path={"user": grace.id})

    assert feed_ids(ada, limit=4) == made[:1:-1]


def test_a_deleted_post_is_absent_from_the_next_answer(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    kept, gone = publish_post(grace), publish_post(grace)
    feed(ada)
    with transaction() as db:
        posts.delete(db, post_id=gone, viewer=grace.viewer)
    fragments.mark_deleted(gone)

    assert feed_ids(ada) == [kept]
    valkey().delete(b"post:" + gone.bytes)
    assert feed_ids(ada) == [kept]


def test_pages_stay_full_after_a_post_vanished_from_the_rows_alone(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    made = [publish_post(grace) for _ in range(6)]
    feed(ada)
    with transaction() as db:
        db.execute("UPDATE posts SET status = 'deleted' WHERE id = ANY(%s)", [made[-2:]])
    valkey().delete(*(b"post:" + post_id.bytes for post_id in made))

    assert feed_ids(ada, limit=3) == made[3:0:-1]


def test_a_banned_authors_posts_are_absent_from_the_next_answer(friends: tuple[Person, Person]) -> None:
    ada, grace = friends
    post_id = publish_post(grace)
    assert feed_ids(ada) == [post_id]
    with transaction() as db:
        db.execute("UPDATE users SET banned_at = now() WHERE id = %s", [grace.id])
    timelines.set_banned(grace.id)

    assert feed_ids(ada) == []
    forget_feed(ada)
    assert feed_ids(ada) == []


@pytest.mark.rule("R-I5")
def test_own_new_posts_show_in_the_next_answer(ada: Person) -> None:
    feed(ada)
    first = publish_to(ada)
    assert feed_ids(ada) == [first]
    second = publish_to(ada)
    assert feed_ids(ada) == [second, first]


def test_stars_are_merged_at_read(friends: tuple[Person, Person], admin: Person) -> None:
    ada, star = friends
    follow(ada, admin)
    before = publish_post(star)
    feed(ada)
    made = []
    for _ in range(4):
        made.append(publish_post(star))
        deliver(made[-1], star.id, None)
        deliver(made[-1], star.id, None)
        made.append(publish_to(admin, ada))

    assert not {post_id.bytes for post_id in made[::2]} & set(valkey().lrange(b"timeline:" + ada.id.bytes, 0, -1))
    assert all_pages(ada, limit=3) == [*made[::-1], before]
    with transaction() as db:
        posts.delete(db, post_id=made[0], viewer=star.viewer)
    fragments.mark_deleted(made[0])
    assert feed_ids(ada) == [*made[:0:-1], before]
    call(unfollow_user, session_id=ada.session_id, path={"user": star.id})
    assert feed_ids(ada) == made[::-2]


@pytest.mark.rule("R-D1")
def test_without_valkey_the_feed_comes_from_the_rows_and_so_do_the_viewers_own_writes(
    friends: tuple[Person, Person], proxies: Proxies
) -> None:
    ada, grace = friends
    made = [publish_post(grace) for _ in range(5)]
    feed(ada)
    proxies.valkey.close()

    assert all_pages(ada, limit=2) == made[::-1]
    assert call(like_post, session_id=ada.session_id, path={"post_id": made[0]}).status == 200
    assert feed(ada)["posts"][-1]["isLiked"]
    assert call(unfollow_user, session_id=ada.session_id, path={"user": grace.id}).status == 200
    assert feed_ids(ada) == []

    proxies.valkey.open()
    until(stores_answer)
    assert feed_ids(ada) == []
    call(follow_user, session_id=ada.session_id, path={"user": grace.id})
    assert feed(ada)["posts"][-1]["isLiked"]
    assert feed(ada)["posts"][-1]["likeCount"] == 1


@pytest.mark.rule("R-D1")
def test_without_postgresql_a_cached_page_is_served_and_anything_else_is_an_empty_fallback(
    friends: tuple[Person, Person], proxies: Proxies
) -> None:
    ada, grace = friends
    made = [publish_post(grace) for _ in range(5)]
    feed(ada), feed(grace)
    forget_feed(grace)
    proxies.database.close()

    assert feed_ids(ada) == made[::-1]
    valkey().delete(b"liked:" + ada.id.bytes)
    assert feed_ids(ada) == made[::-1]
    for _ in range(5):
        assert feed(grace) == {"posts": [], "nextCursor": None, "fallback": True}

    proxies.database.open()
    until(lambda: "fallback" not in feed(grace), every=0.5)
    assert feed_ids(grace) == made[::-1]


def test_a_hanging_valkey_costs_less_than_two_seconds(friends: tuple[Person, Person], proxies: Proxies) -> None:
    ada, grace = friends
    post_id = publish_post(grace)
    feed(ada)
    proxies.valkey.hang()
    started = time.monotonic()

    assert feed_ids(ada) == [post_id]
    assert time.monotonic() - started < 2
