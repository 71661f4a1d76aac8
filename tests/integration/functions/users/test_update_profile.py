"""Changing one's own profile: as a form and as JSON."""

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from functions.auth import get_me
from functions.feed import get_feed
from functions.posts import sweep_posts
from functions.users import follow_user, get_profile, list_follow_requests, update_profile
from layers.core import limits
from layers.core.settings import settings
from layers.media import connection
from layers.postgres.connection import transaction
from layers.rabbitmq import connection as rabbitmq
from tests import pictures
from tests.support import abandoned
from tests.support.calls import Reply, Upload, call
from tests.support.feed_posts import publish_post
from tests.support.hosts import free_port
from tests.support.people import Person, new_person
from tests.support.proxies import Proxies, Proxy, storage_through_a_proxy
from tests.support.together import together
from tests.support.waiting import until


def _change(who: Person, **members: object) -> Reply:
    return call(update_profile, session_id=who.session_id, body=members)


def _picture(who: Person, data: bytes, **texts: str) -> Reply:
    form = ([Upload(data, field="profilePicture")], texts)
    return call(update_profile, session_id=who.session_id, form=form)


def _key(url: str) -> str:
    """The key of a profile picture in the store."""
    return f"avatars/{url.rpartition('/')[2]}"


def _sweep() -> None:
    assert isinstance(sweep_posts.handler({"id": "sweep"}, None)["abandoned"], int)


def _me(who: Person) -> dict[str, Any]:
    user: dict[str, Any] = call(get_me, session_id=who.session_id).json["user"]
    return user


def test_the_changed_account_is_in_the_answer_and_in_the_next_me(ada: Person) -> None:
    reply = _change(ada, displayName="  Ada <b>Lovelace</b> ", bio="Notes\r\non <i>engines</i>", isPrivate=True)

    assert reply.status == 200
    user = reply.json["user"]
    assert (user["displayName"], user["bio"], user["isPrivate"]) == ("Ada Lovelace", "Notes\non engines", True)
    assert user == _me(ada)


def test_a_form_changes_the_same_and_texts_stand_for_booleans(ada: Person) -> None:
    reply = call(update_profile, session_id=ada.session_id, form=([], {"bio": "Hello", "isPrivate": "true"}))

    assert (reply.status, reply.json["user"]["bio"], reply.json["user"]["isPrivate"]) == (200, "Hello", True)
    reply = call(update_profile, session_id=ada.session_id, form=([], {"isPrivate": "false"}))
    assert (reply.json["user"]["bio"], reply.json["user"]["isPrivate"]) == ("Hello", False)


def test_an_empty_name_is_the_username_and_an_empty_bio_clears_it(ada: Person) -> None:
    _change(ada, displayName="Ada", bio="Something")

    user = _change(ada, displayName=" ", bio="").json["user"]
    assert (user["displayName"], user["bio"]) == (ada.username, None)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"bio": None},
        {"bio": "x" * 151},
        {"displayName": "x" * 101},
        {"isPrivate": "perhaps"},
        {"bio": 7},
        {"role": "admin"},
        {"files": [{"field": "profilePicture", "name": "a.jpg", "data": "AAAA"}]},
    ],
)
def test_an_empty_change_and_an_invalid_value_are_400(ada: Person, members: dict[str, object]) -> None:
    before = _me(ada)

    assert _change(ada, **members).status == 400
    assert _me(ada) == before


@pytest.mark.rule("R-V2")
def test_lengths_count_characters_after_trimming(ada: Person) -> None:
    assert _change(ada, bio=f" {'ö' * 150} ", displayName=f" {'😀' * 100} ").status == 200


@pytest.mark.rule("R-M2", "R-M3")
def test_the_picture_is_upright_square_and_without_metadata(ada: Person) -> None:
    reply = _picture(ada, pictures.phone_photo(), bio="With a picture")

    assert reply.status == 200, reply.body
    user = reply.json["user"]
    assert user["bio"] == "With a picture"
    shown = httpx.get(user["profilePictureUrl"])
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(shown.content)) as picture:
        assert (picture.size, dict(picture.getexif())) == ((150, 150), {})
    assert call(get_profile, path={"user": ada.username}).json["user"]["profilePictureUrl"] == user["profilePictureUrl"]


def test_the_picture_before_a_new_one_is_removed_when_its_links_have_ended(ada: Person) -> None:
    first, second = (_picture(ada, pictures.jpeg(side, side)).json["user"]["profilePictureUrl"] for side in (200, 90))
    assert first != second
    abandoned.let_pass(60 * 60, [_key(first)])
    _sweep()
    assert httpx.get(first).status_code == 200
    abandoned.let_pass(7 * 60 * 60, [_key(first)])
    _sweep()

    assert (httpx.get(first).status_code, httpx.get(second).status_code) == (404, 200)


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The proxy through which this process reaches the object store."""
    with storage_through_a_proxy(monkeypatch) as proxy:
        yield proxy


def test_a_picture_whose_request_fails_after_it_was_stored_is_not_shown_and_is_removed(
    ada: Person, storage: Proxy
) -> None:
    kept = _picture(ada, pictures.jpeg(200, 200)).json["user"]["profilePictureUrl"]
    content = httpx.get(kept).content
    storage.lose_answers()
    assert _picture(ada, pictures.jpeg(90, 90), bio="changed too").status == 503

    assert (_me(ada)["bio"], _me(ada)["profilePictureUrl"]) == (None, kept)
    assert httpx.get(kept).content == content
    [stored, *_] = abandoned.list_abandoned("avatars/")
    storage.pass_on()
    until(lambda: connection.exists(stored))
    abandoned.let_pass(sweep_posts.STORED_SECONDS + 1, [stored])
    _sweep()
    assert not connection.exists(stored)
    assert httpx.get(kept).content == content


def test_while_the_object_store_hangs_others_can_change_the_account(ada: Person, grace: Person, storage: Proxy) -> None:
    storage.hang()
    before = abandoned.list_abandoned("avatars/")
    ended = []

    def act(who: Person) -> None:
        if who is ada:
            status = _picture(ada, pictures.jpeg(90, 90)).status
        else:
            until(lambda: abandoned.list_abandoned("avatars/") != before)
            status = call(follow_user, session_id=grace.session_id, path={"user": ada.id}).status
        ended.append(status)

    together(act, [ada, grace])
    assert ended == [200, 503]
    assert _me(ada)["followerCount"] == 1


@pytest.mark.rule("R-M1", "R-M8")
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"GIF89a" + b"\0" * 50, 415),
        (pictures.jpeg_header(20_000, 20_000), 422),
        (pictures.jpeg(40, 40)[:300], 422),
        (pictures.padded(pictures.jpeg(40, 40), limits.FILE_BYTES + 1), 413),
    ],
)
def test_a_file_that_cannot_be_a_picture_changes_nothing(ada: Person, data: bytes, status: int) -> None:
    assert _picture(ada, data, bio="changed too").status == status
    assert (_me(ada)["bio"], _me(ada)["profilePictureUrl"]) == (None, None)


def test_two_pictures_are_400(ada: Person) -> None:
    files = [Upload(pictures.jpeg(20, 20), field="profilePicture") for _ in range(2)]

    assert call(update_profile, session_id=ada.session_id, form=(files, {})).status == 400


def test_turning_public_accepts_all_requests_and_their_next_feed_has_the_posts(ada: Person) -> None:
    _change(ada, isPrivate=True)
    asking = [new_person("asking") for _ in range(3)]
    post = str(publish_post(ada))
    for each in asking:
        call(get_feed, session_id=each.session_id)
        assert call(follow_user, session_id=each.session_id, path={"user": ada.id}).json["followStatus"] == "requested"

    user = _change(ada, isPrivate=False).json["user"]

    assert user["followerCount"] == 3
    assert call(list_follow_requests, session_id=ada.session_id).json["requests"] == []
    for each in asking:
        assert _me(each)["followingCount"] == 1
        assert [shown["id"] for shown in call(get_feed, session_id=each.session_id).json["posts"]] == [post]


@pytest.mark.rule("R-I3")
def test_requests_while_an_account_turns_public_are_all_accepted(ada: Person) -> None:
    people = [new_person("asking") for _ in range(8)]
    _change(ada, isPrivate=True)

    def act(who: Person) -> int:
        if who is ada:
            return _change(ada, isPrivate=False).status
        return call(follow_user, session_id=who.session_id, path={"user": ada.id}).status

    assert together(act, [*people, ada]) == [200] * 9
    assert call(list_follow_requests, session_id=ada.session_id).json["requests"] == []
    assert _me(ada)["followerCount"] == 8


def test_a_change_publishes_an_event_and_with_the_broker_down_the_outbox_keeps_it(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without_broker:
        without_broker.setenv("RABBITMQ_URL", f"amqp://127.0.0.1:{free_port()}/")
        settings.cache_clear()
        rabbitmq.close()
        assert _change(ada, displayName="Countess").status == 200
    settings.cache_clear()

    with transaction() as db:
        reported = db.execute(
            "SELECT body->>'display_name' FROM outbox WHERE queue = 'profile-updated' AND body->>'user_id' = %s",
            [str(ada.id)],
        ).fetchall()
    assert reported == [("Countess",)]


def test_without_a_session_it_is_401_and_with_the_database_down_503(ada: Person, proxies: Proxies) -> None:
    assert call(update_profile, body={"bio": "Hello"}).status == 401
    proxies.database.close()

    reply = _change(ada, bio="Hello")
    assert (reply.status, "retry-after" in reply.headers) == (503, True)
