"""Requests with an Idempotency-Key (1.5): sent again they get the first answer, and nothing is created twice."""

import time
from collections.abc import Callable
from datetime import datetime
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from functions.comments import create_comment
from functions.images import resize_photo
from functions.posts import create_post, create_uploads, delete_post, get_post, sweep_posts
from functions.stories import create_story, list_own_stories
from layers.core import limits, story_files
from layers.core.settings import settings
from layers.media import connection, photos, story_media, uploads
from layers.media import connection as storage
from layers.postgres import posts
from layers.postgres.connection import transaction
from tests import pictures
from tests.support.calls import Form, Reply, Upload, call
from tests.support.deliveries import deliver
from tests.support.direct_uploads import create, put, send
from tests.support.people import Person, new_person
from tests.support.proxies import Proxies, Proxy, stores_answer
from tests.support.stories import rows_of
from tests.support.together import together
from tests.support.waiting import until

PHOTO = pictures.jpeg(64, 48)
OTHER = pictures.jpeg(64, 40)
KEY = "k-1"

type Send = Callable[..., Reply]


class Way(msgspec.Struct, frozen=True):
    """One of the requests that may carry a key."""

    send: Send
    """`(person, key, content)`: the same content is the same body, sent again."""
    rows: str
    status: int

    def count(self, person: Person) -> int:
        """What it has created."""
        with transaction() as db:
            row = db.execute(f"SELECT count(*) FROM {self.rows} WHERE user_id = %s", [person.id]).fetchone()  # noqa: S608
        assert row
        return int(row[0])


def _headers(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": key}


def _files(person: Person, key: str | None = KEY, said: str = "a") -> Reply:
    form = ([Upload(PHOTO), Upload(OTHER)], {"caption": said})
    return call(create_post, session_id=person.session_id, form=form, headers=_headers(key))


_sent: dict[UUID, list[str]] = {}


def _json(person: Person, key: str | None = KEY, said: str = "a") -> Reply:
    if person.id not in _sent:
        _sent[person.id] = send(person, PHOTO, OTHER)
    return create(person, *_sent[person.id], caption=said, headers=_headers(key))


def _uploads(person: Person, key: str | None = KEY, said: str = "a") -> Reply:
    body = {"files": [{"size": ord(said), "type": "image/jpeg"}] * 2}
    return call(create_uploads, session_id=person.session_id, body=body, headers=_headers(key))


def _story(person: Person, key: str | None = KEY, said: str = "a") -> Reply:
    form = ([Upload(PHOTO)], {"filter": "moon" if said == "a" else "lark"})
    return call(create_story, session_id=person.session_id, form=form, headers=_headers(key))


WAYS = {
    "post of files": Way(_files, "posts", 202),
    "post of uploads": Way(_json, "posts", 202),
    "uploads": Way(_uploads, "uploads", 201),
    "story": Way(_story, "stories", 201),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def _replayed(reply: Reply) -> bool:
    return reply.headers.get("idempotent-replayed") == "true"


def _cut_off(person: Person, *, seconds_ago: float = 1) -> None:
    """As if the process of the person's request had ended before its answer was kept."""
    with transaction() as db:
        db.execute(
            "UPDATE idempotency_keys SET status = NULL, answer = NULL,"
            " busy_until = now() - %s * interval '1 s' WHERE user_id = %s",
            [seconds_ago, person.id],
        )


def _pass_time(person: Person, *, hours: float) -> None:
    with transaction() as db:
        db.execute(
            "UPDATE idempotency_keys SET created_at = created_at - %s * interval '1 h' WHERE user_id = %s",
            [hours, person.id],
        )


def _keys(person: Person) -> int:
    with transaction() as db:
        row = db.execute("SELECT count(*) FROM idempotency_keys WHERE user_id = %s", [person.id]).fetchone()
    assert row
    return int(row[0])


def _post_id(person: Person) -> UUID:
    with transaction() as db:
        [row] = db.execute("SELECT id FROM posts WHERE user_id = %s", [person.id]).fetchall()
    post_id: UUID = row[0]
    return post_id


def _originals(person: Person) -> list[str]:
    with transaction() as db:
        return posts.read_original_keys(db, post_id=_post_id(person))


@pytest.mark.rule("R-K1")
@each_way
def test_the_same_request_again_gets_the_first_answer_and_creates_nothing(way: Way, ada: Person) -> None:
    first = way.send(ada)
    created = way.count(ada)
    again = [way.send(ada) for _ in range(3)]

    assert (first.status, _replayed(first)) == (way.status, False)
    assert [(reply.status, reply.body, _replayed(reply)) for reply in again] == [(way.status, first.body, True)] * 3
    assert (created, way.count(ada)) == (created, created)
    assert {name: again[0].headers[name] for name in ("content-type", "cache-control")} == {
        name: first.headers[name] for name in ("content-type", "cache-control")
    }


@pytest.mark.parametrize("way", [way for way in WAYS.values() if way.send is not _json])
def test_without_a_key_each_request_creates(way: Way, ada: Person) -> None:
    way.send(ada, None)
    created = way.count(ada)
    reply = way.send(ada, None)

    assert (reply.status, _replayed(reply), way.count(ada)) == (way.status, False, 2 * created)
    assert _keys(ada) == 0


@pytest.mark.rule("R-K2")
@each_way
def test_the_same_key_with_another_body_is_422(way: Way, ada: Person) -> None:
    way.send(ada)
    created = way.count(ada)
    refused = way.send(ada, KEY, "b")

    assert (refused.status, way.count(ada)) == (422, created)
    assert "Idempotency-Key" in refused.json["error"]
    assert _replayed(way.send(ada))


def test_the_two_forms_of_a_post_are_different_bodies(ada: Person) -> None:
    _files(ada)

    assert _json(ada).status == 422


@pytest.mark.rule("R-K2")
@pytest.mark.parametrize(
    "form",
    [
        ([Upload(PHOTO), Upload(OTHER)], {"caption": "a", "location": ""}),
        ([Upload(OTHER), Upload(PHOTO)], {"caption": "a"}),
        ([Upload(PHOTO)], {"caption": "a"}),
        ([Upload(PHOTO), Upload(OTHER, field="image")], {"caption": "a"}),
        ([Upload(PHOTO), Upload(OTHER)], {}),
        ([Upload(PHOTO), Upload(OTHER)], {"location": "a"}),
    ],
)
def test_a_form_is_another_body_if_any_part_differs(ada: Person, form: tuple[list[Upload], dict[str, str]]) -> None:
    _files(ada)

    assert call(create_post, session_id=ada.session_id, form=form, headers=_headers(KEY)).status == 422


@pytest.mark.rule("R-K2")
@each_way
def test_a_request_that_is_still_in_work_is_409(way: Way, ada: Person) -> None:
    way.send(ada)
    created = way.count(ada)
    _cut_off(ada, seconds_ago=-20)
    reply = way.send(ada)

    assert (reply.status, way.count(ada)) == (409, created)


@pytest.mark.rule("R-K1")
@each_way
def test_of_several_at_once_one_creates(way: Way, ada: Person) -> None:
    if way.send is _json:
        _sent[ada.id] = send(ada, PHOTO, OTHER)
    replies = together(lambda _: way.send(ada), range(4))
    created = way.count(ada)
    done = [reply for reply in replies if reply.status == way.status]

    assert {reply.status for reply in replies} <= {way.status, 409}
    assert [_replayed(reply) for reply in done].count(False) == 1
    assert len({reply.body for reply in done}) == 1
    assert way.send(ada).body == done[0].body
    assert way.count(ada) == created == (2 if way.rows == "uploads" else 1)


@pytest.mark.rule("R-K3")
def test_a_key_belongs_to_its_caller_and_its_route(ada: Person, grace: Person) -> None:
    replies = [_uploads(ada), _uploads(grace), _story(ada), _files(ada)]

    assert [(reply.status, _replayed(reply)) for reply in replies] == [
        (201, False),
        (201, False),
        (201, False),
        (202, False),
    ]
    assert [WAYS["uploads"].count(each) for each in (ada, grace)] == [2, 2]


def test_a_key_gives_no_answer_to_an_ended_session(ada: Person) -> None:
    _files(ada)

    assert call(create_post, form=([Upload(PHOTO)], {}), headers=_headers(KEY)).status == 401


@pytest.mark.rule("R-K3")
@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 129, "ä", "a\tb", "\x7f", "a "])
def test_a_malformed_key_is_400_and_nothing_is_created(ada: Person, key: str) -> None:
    reply = _files(ada, key)

    assert (reply.status, reply.json["errors"][0]["field"]) == (400, "Idempotency-Key")
    assert (WAYS["post of files"].count(ada), _keys(ada)) == (0, 0)


@pytest.mark.rule("R-K3")
@pytest.mark.parametrize(
    "key", ["x", "x" * 128, "".join(map(chr, range(0x21, 0x7F))), "'; DROP TABLE users; --".replace(" ", "")]
)
def test_any_visible_ascii_is_a_key(ada: Person, key: str) -> None:
    first = _uploads(ada, key)

    assert first.status == 201
    assert _uploads(ada, key).body == first.body


@pytest.mark.rule("R-K3")
@each_way
def test_after_24_hours_a_key_is_new(way: Way, ada: Person) -> None:
    first = way.send(ada)
    _pass_time(ada, hours=23.9)
    assert _replayed(way.send(ada))
    _pass_time(ada, hours=0.2)
    _sent.pop(ada.id, None)
    again = way.send(ada)

    assert (again.status, _replayed(again)) == (way.status, False)
    assert again.body != first.body
    assert _replayed(way.send(ada))


@pytest.mark.rule("R-K3")
def test_after_24_hours_another_body_may_have_the_key(ada: Person) -> None:
    _uploads(ada)
    _pass_time(ada, hours=24.1)

    assert [_uploads(ada, KEY, "b").status, _uploads(ada).status] == [201, 422]


def test_keys_older_than_24_hours_are_cleared_by_the_sweeper(ada: Person, grace: Person) -> None:
    _uploads(ada)
    _uploads(grace)
    _pass_time(ada, hours=24.1)
    _pass_time(grace, hours=23.9)
    sweep_posts.handler({"id": "x"}, None)

    assert [_keys(each) for each in (ada, grace)] == [0, 1]


@pytest.mark.rule("R-K4")
@each_way
def test_one_cut_off_before_its_answer_was_kept_answers_for_what_is_there(way: Way, ada: Person) -> None:
    first = way.send(ada)
    created = way.count(ada)
    _cut_off(ada)
    again = way.send(ada)

    assert (again.status, _replayed(again), way.count(ada)) == (way.status, False, created)
    if way.rows == "uploads":
        assert [each["id"] for each in again.json["uploads"]] == [each["id"] for each in first.json["uploads"]]
    else:
        assert again.body == first.body
    assert _replayed(way.send(ada))


def test_one_cut_off_with_another_body_is_422_all_the_same(ada: Person) -> None:
    _files(ada)
    _cut_off(ada)

    assert _files(ada, KEY, "b").status == 422


@pytest.mark.rule("R-K4")
def test_a_post_cut_off_before_its_files_came_gets_them(ada: Person) -> None:
    first = _files(ada)
    keys = _originals(ada)
    connection.remove(keys)
    _cut_off(ada)
    again = _files(ada)

    assert (again.status, again.json) == (202, first.json)
    assert [photos.read_original(key) for key in keys] == [PHOTO, OTHER]


def test_a_post_cut_off_and_given_up_since_gets_another_chance(ada: Person) -> None:
    _files(ada)
    post_id, keys = _post_id(ada), _originals(ada)
    connection.remove(keys)
    with transaction() as db:
        posts.fail_picture(db, post_id=post_id, order_index=1, reason="The picture never arrived.")
    _cut_off(ada)
    again = _files(ada)

    assert (again.status, again.json["status"]) == (202, "processing")
    _finish(post_id)
    assert call(get_post, path={"post_id": post_id}).json["post"]["status"] == "published"


def test_a_post_cut_off_long_ago_is_not_given_up_while_its_files_come(ada: Person) -> None:
    _files(ada)
    post_id, keys = _post_id(ada), _originals(ada)
    connection.remove(keys)
    with transaction() as db:
        db.execute("UPDATE posts SET updated_at = updated_at - interval '1 h' WHERE id = %s", [post_id])
        posts.create(db, post_id=post_id, user_id=ada.id, caption="a", location=None, tags=[], pictures=[])
    sweep_posts.handler({"id": "x"}, None)

    with transaction() as db:
        assert posts.read_status(db, post_id=post_id) == "processing"


def test_a_post_of_uploads_cut_off_before_its_copies_gets_them(ada: Person) -> None:
    first = _json(ada)
    keys = _originals(ada)
    connection.remove(keys)
    for upload_id, data in zip(_sent[ada.id], (PHOTO, OTHER), strict=True):
        connection.put_all([connection.StoredFile(uploads.key(UUID(upload_id)), data, "image/jpeg")])
    _cut_off(ada)
    again = _json(ada)

    assert (again.status, again.json) == (202, first.json)
    assert [photos.read_original(key) for key in keys] == [PHOTO, OTHER]
    assert not any(connection.exists(uploads.key(UUID(upload_id))) for upload_id in _sent[ada.id])


def test_a_post_of_uploads_cut_off_after_its_publication_answers_hours_later(ada: Person) -> None:
    _json(ada)
    post_id = _post_id(ada)
    _finish(post_id)
    with transaction() as db:
        db.execute("DELETE FROM uploads WHERE user_id = %s", [ada.id])  # as the hourly cleanup does
    _cut_off(ada, seconds_ago=7200)
    again = _json(ada)

    assert (again.status, again.json["status"], again.json["post_id"]) == (202, "published", str(post_id))
    assert again.json["post"]["media"][0]["mediaUrl"].startswith("http")


def test_a_published_post_cut_off_keeps_its_files_though_the_store_is_down(ada: Person, store_proxy: Proxy) -> None:
    _files(ada)
    post_id, keys = _post_id(ada), _originals(ada)
    _finish(post_id)
    _cut_off(ada)
    store_proxy.close()
    again = _files(ada)
    store_proxy.open()

    assert (again.status, again.json["status"]) == (202, "published")
    assert all(connection.exists(key) for key in keys)


def test_an_interrupted_post_that_was_deleted_since_stays_deleted(ada: Person) -> None:
    _files(ada)
    post_id, keys = _post_id(ada), _originals(ada)
    assert call(delete_post, session_id=ada.session_id, path={"post_id": post_id}).status == 200
    _cut_off(ada)

    assert _files(ada).status == 404
    assert not any(connection.exists(key) for key in keys)


def test_an_interrupted_story_is_published_when_it_is_sent_again(ada: Person) -> None:
    _story(ada)
    [story_id] = rows_of(ada)
    story_media.remove([story_id])
    with transaction() as db:
        db.execute(
            "UPDATE stories SET created_at = now() - interval '50 min', expires_at = now() - interval '50 min'"
            " WHERE id = %s",
            [story_id],
        )
    _cut_off(ada)
    again = _story(ada)
    story = again.json["story"]

    assert (again.status, story["id"], rows_of(ada)) == (201, str(story_id), [story_id])
    assert all(storage.exists(key) for key in story_files.keys(story_id))
    made = datetime.fromisoformat(story["createdAt"])
    assert abs(made.timestamp() - time.time()) < 30
    assert (datetime.fromisoformat(story["expiresAt"]) - made).total_seconds() == limits.STORY_SECONDS


@pytest.mark.rule("R-K4")
@pytest.mark.parametrize(
    "way", [WAYS["post of files"], WAYS["post of uploads"], WAYS["story"]], ids=["files", "uploads", "story"]
)
def test_503_frees_the_key_and_the_request_sent_again_creates_one(way: Way, ada: Person, store_proxy: Proxy) -> None:
    _sent[ada.id] = send(ada, PHOTO, OTHER)
    store_proxy.close()
    refused = way.send(ada)
    store_proxy.open()
    again = way.send(ada)

    assert (refused.status, again.status, _replayed(again)) == (503, way.status, False)
    assert way.count(ada) == 1
    assert _replayed(way.send(ada))
    with transaction() as db:
        row = db.execute("SELECT new_id FROM idempotency_keys WHERE user_id = %s", [ada.id]).fetchone()
        assert row
        assert db.execute("SELECT FROM abandoned_files WHERE id = %s", [row[0]]).fetchone() is None
    created = again.json.get("post") or again.json["story"]
    assert created["id"] == str(row[0])


@each_way
def test_with_the_database_down_it_is_503_and_nothing_is_kept(way: Way, ada: Person, proxies: Proxies) -> None:
    _sent[ada.id] = send(ada, PHOTO, OTHER)
    assert call(list_own_stories, session_id=ada.session_id).status == 200
    proxies.database.close()
    assert way.send(ada).status == 503
    proxies.database.open()
    until(stores_answer)
    again = way.send(ada)

    assert (again.status, _replayed(again)) == (way.status, False)


@pytest.mark.rule("R-K4")
def test_400_frees_the_key_for_another_body(ada: Person) -> None:
    assert create(ada, uuid4(), headers=_headers(KEY)).status == 400
    assert _keys(ada) == 0
    assert create(ada, *send(ada, PHOTO), headers=_headers(KEY)).status == 202


@pytest.mark.rule("R-K4")
def test_404_frees_the_key(ada: Person) -> None:
    path = {"post_id": uuid4()}
    for content in ("a", "b"):
        reply = call(
            create_comment, session_id=ada.session_id, path=path, body={"content": content}, headers=_headers(KEY)
        )
        assert reply.status == 404
    assert _keys(ada) == 0


@pytest.mark.rule("R-K4")
@pytest.mark.parametrize(("data", "status"), [(b"GIF89a", 415), (pictures.png_header(9_000, 9_000), 422)])
def test_a_refused_picture_frees_the_key(ada: Person, data: bytes, status: int) -> None:
    form: Form = ([Upload(data)], {})

    assert call(create_story, session_id=ada.session_id, form=form, headers=_headers(KEY)).status == status
    assert _keys(ada) == 0
    assert _story(ada).status == 201


@pytest.mark.rule("R-L5")
def test_repeated_requests_count_for_the_limit_like_any(ada: Person) -> None:
    statuses = [_files(ada).status for _ in range(11)]

    assert statuses == [202] * 10 + [429]


@pytest.mark.rule("R-S1", "R-K1")
def test_a_story_replayed_hours_later_carries_fresh_links(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _story(ada).json["story"]
    with transaction() as db:
        row = db.execute("SELECT answer FROM idempotency_keys WHERE user_id = %s", [ada.id]).fetchone()
    assert row
    assert settings().media_base_url not in row[0]
    now = time.time()
    with monkeypatch.context() as later:
        later.setattr(time, "time", lambda: now + 8 * 3600)
        again = _story(ada).json["story"]

    expiries = [
        int(story["mediaUrl"].removeprefix(settings().media_base_url).split("/")[1]) for story in (first, again)
    ]
    assert expiries[0] < now + 8 * 3600 < expiries[1]
    assert expiries[1] <= datetime.fromisoformat(first["expiresAt"]).timestamp()
    assert {name: value for name, value in again.items() if not name.endswith("Url")} == {
        name: value for name, value in first.items() if not name.endswith("Url")
    }
    assert [httpx.get(story["mediaUrl"]).status_code for story in (first, again)] == [200, 200]


def test_an_answer_with_any_text_is_replayed_unchanged(ada: Person) -> None:
    said = 'Größe ☂ "quoted" \\u0000 \\ {} %s'
    first = _files(ada, KEY, said)

    assert first.json["post"]["caption"] == said
    assert _files(ada, KEY, said).body == first.body


def test_an_uploads_answer_replayed_takes_the_file(ada: Person) -> None:
    body = {"files": [{"size": len(PHOTO), "type": "image/jpeg"}]}
    replies = [call(create_uploads, session_id=ada.session_id, body=body, headers=_headers(KEY)) for _ in range(2)]
    [upload] = replies[1].json["uploads"]

    assert put(upload, PHOTO).status_code == 200
    assert create(ada, upload["id"]).status == 202


def test_a_key_ends_with_its_account() -> None:
    person = new_person()
    _uploads(person)
    with transaction() as db:
        db.execute("DELETE FROM users WHERE id = %s", [person.id])

    assert _keys(person) == 0


def _finish(post_id: UUID) -> None:
    """Render the post's pictures, as the queue's consumer would."""
    with transaction() as db:
        keys = posts.read_original_keys(db, post_id=post_id)
    deliver(
        resize_photo,
        *[{"Records": [{"s3": {"bucket": {"name": settings().s3_bucket}, "object": {"key": key}}}]} for key in keys],
    )
