"""How many bytes a page of the home feed has, and which answers the load balancer compresses."""

import gzip
import http.client
import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpx
import pytest

from layers.core.ids import new_id
from layers.postgres.connection import transaction
from tests.support.feed_posts import publish_post
from tests.support.http import Caller, nginx_origin
from tests.support.people import Person, follow, new_person

POSTS: Final = 20
PAGE: Final = "/api/v1/feed?limit=20"
CAPTIONS: Final = (
    "Golden hour over the old harbour #sunset",
    "First snow of the year ❄️",
    "Two walks, two mountains. #hiking #picos",
    "Sunday bread: 14 hours in the fridge, and patience",
    "Grandma turned 90 today. She still beats me at cards.",
    "coffee first",
    "Rain all week, so here is one from last summer #throwback",
)
GZIP: Final = {"accept-encoding": "gzip, deflate, br, zstd"}


@contextmanager
def _full_feed() -> Iterator[Person]:
    """An account that follows 20 others, each with a captioned post of one picture."""
    reader, authors = new_person("reader"), [new_person(f"author{number}") for number in range(POSTS)]
    chance = random.Random(20)
    with transaction() as db:
        for number, author in enumerate(authors):
            follow(reader, author)
            post_id = publish_post(author)
            caption = CAPTIONS[number % len(CAPTIONS)]
            tags = [word.removeprefix("#") for word in caption.split() if word.startswith("#")]
            db.execute(
                "UPDATE posts SET caption = %s, tags = %s, like_count = %s, comment_count = %s WHERE id = %s",
                [caption, tags, chance.randrange(400), chance.randrange(40), post_id],
            )
            db.execute(
                "UPDATE post_media SET id = %s, width = 4032, height = 3024 WHERE post_id = %s", [new_id(), post_id]
            )
    try:
        yield reader
    finally:
        with transaction() as db:
            db.execute("DELETE FROM users WHERE id = ANY(%s)", [[person.id for person in (reader, *authors)]])


@pytest.fixture(scope="module")
def reader() -> Iterator[Person]:
    """Who has a full feed."""
    with _full_feed() as reader:
        yield reader


def _get(path: str, person: Person | None, headers: Mapping[str, str] | None = None) -> tuple[httpx.Headers, bytes]:
    """The headers and the body of an answer as they were sent; only the given headers are sent."""
    link = http.client.HTTPConnection(httpx.URL(nginx_origin()).netloc.decode(), timeout=10)
    link.putrequest("GET", path, skip_accept_encoding=True)
    if person:
        link.putheader("cookie", f"session_id={person.session_id}")
    for name, value in (headers or {}).items():
        link.putheader(name, value)
    link.endheaders()
    reply = link.getresponse()
    body = reply.read()
    link.close()
    assert reply.status == 200, body
    return httpx.Headers(reply.getheaders()), body


def test_a_page_of_20_posts_has_at_most_20_kb_and_5_kb_with_gzip(reader: Person) -> None:
    plain_headers, plain = _get(PAGE, reader)
    headers, compressed = _get(PAGE, reader, GZIP)

    posts = json.loads(plain)["posts"]
    assert len({post["userId"] for post in posts}) == POSTS
    assert len(plain) <= 20_000
    assert len(compressed) <= 5_000
    assert gzip.decompress(compressed) == plain
    assert (headers["content-encoding"], headers["content-type"]) == ("gzip", plain_headers["content-type"])
    assert headers["vary"] == plain_headers["vary"] == "Accept-Encoding"


def test_with_a_profile_picture_on_each_post_a_page_has_at_most_23_kb_and_5_kb_with_gzip() -> None:
    with _full_feed() as reader:
        with transaction() as db:
            db.execute(
                """
                UPDATE users SET avatar_id = gen_random_uuid()
                 WHERE id IN (SELECT following_id FROM follows WHERE follower_id = %s)
                """,
                [reader.id],
            )
        _, plain = _get(PAGE, reader)
        _, compressed = _get(PAGE, reader, GZIP)

    assert len({post["profilePictureUrl"] for post in json.loads(plain)["posts"]} - {None}) == POSTS
    assert len(plain) <= 23_000
    assert len(compressed) <= 5_000


def test_a_client_that_does_not_ask_for_gzip_gets_the_answer_as_it_is(reader: Person) -> None:
    for asked in ({}, {"accept-encoding": "identity"}, {"accept-encoding": "br"}, {"accept-encoding": "gzip;q=0"}):
        headers, body = _get(PAGE, reader, asked)
        assert "content-encoding" not in headers
        assert int(headers["content-length"]) == len(body)
        assert len(json.loads(body)["posts"]) == POSTS
    headers, _ = _get(PAGE, reader)
    assert "x-padding" not in headers


def test_small_answers_are_not_compressed(reader: Person) -> None:
    for path in ("/api/health", f"/api/v1/users/{reader.username}"):
        headers, body = _get(path, reader, GZIP)
        assert len(body) < 1000
        assert not {"content-encoding", "vary"} & set(headers)
        json.loads(body)


def test_an_answer_keeps_its_other_headers_and_its_vary(reader: Person) -> None:
    origin = {"origin": "http://localhost:5173"}
    headers, _ = _get(PAGE, reader, {**GZIP, **origin, "x-trace-id": "mine-1"})
    assert headers["content-encoding"] == "gzip"
    assert {each.strip() for each in headers["vary"].split(",")} == {"Accept-Encoding", "Origin"}
    assert (headers["x-trace-id"], headers["cache-control"]) == ("mine-1", "no-store")
    assert "session_id" in headers["set-cookie"]
    assert "ratelimit-limit" in headers


def test_the_description_of_the_api_is_compressed() -> None:
    headers, compressed = _get("/api/v1/openapi.json", None, GZIP)
    _, plain = _get("/api/v1/openapi.json", None)
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(compressed) == plain


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_nothing_is_compressed_that_a_page_of_another_site_asks_for(reader: Person, site: str) -> None:
    headers, body = _get(PAGE, reader, {**GZIP, "sec-fetch-site": site})
    assert "content-encoding" not in headers
    assert len(json.loads(body)["posts"]) == POSTS
    for own in ("same-origin", "none"):
        assert _get(PAGE, reader, {**GZIP, "sec-fetch-site": own})[0]["content-encoding"] == "gzip"


def test_admin_lists_are_never_compressed() -> None:
    headers, body = _get("/api/v1/admin/users?limit=20", new_person("root", role="admin"), GZIP)
    assert len(body) > 1000
    assert "content-encoding" not in headers


def test_messages_and_live_events_are_never_compressed() -> None:
    ada, grace = Caller("ada"), Caller("grace")
    talk = ada.http.post("/messages/conversations", json={"recipientId": grace.id}).json()["conversationId"]
    last_id = grace.http.get("/live/events").json()["lastId"]
    for _ in range(8):
        assert ada.http.post(f"/messages/conversations/{talk}", json={"content": "long " * 100}).status_code == 201
    for path in (
        f"/messages/conversations/{talk}",
        f"/conversations/{talk}/messages",
        f"/%6dessages/conversations/{talk}",
        f"/live/events?after={last_id}",
    ):
        answer = grace.http.get(path, headers=GZIP)
        assert (answer.status_code, len(answer.content) > 4000) == (200, True)
        assert "content-encoding" not in answer.headers


def test_the_length_of_answers_to_clients_that_take_gzip_is_random(reader: Person) -> None:
    lengths = {
        len(headers.get("x-padding", "")) for headers, _ in (_get("/api/health", None, GZIP) for _ in range(100))
    }
    assert lengths <= set(range(33))
    assert len(lengths) > 10
