"""An existing client of the reference server, unchanged: what it sends, in the way it sends it, and what it reads.

It says that each body is JSON, also where there is none; it pastes cursors into addresses without escaping; it parses
every success as JSON; it runs on another origin and keeps the session in a cookie.
"""

import os
import re
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.pictures import phone_photo
from tests.support.waiting import until

ORIGIN = "http://localhost:5173"
PASSWORD = "correct horse battery"
_CURSOR = re.compile(r"[A-Za-z0-9._~:-]+")


class Client:
    """The reference client's way to call: its development proxy sends `/api` to the first API instance."""

    def __init__(self) -> None:
        first_api = int(os.environ["OWN_ORIGINS"].split(",")[0].rpartition(":")[2]) + 1
        self.http = httpx.Client(
            base_url=f"http://localhost:{first_api}/api/v1", headers={"origin": ORIGIN}, timeout=30
        )

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A call with what it calls JSON; the answer must be some."""
        answer = self.http.request(method, path, json=body, headers={"content-type": "application/json"})
        assert answer.is_success, answer.text
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-allow-credentials"] == "true"
        members: dict[str, Any] = answer.json()
        return members

    def send(self, method: str, path: str, files: list[tuple[str, Any]], texts: dict[str, str]) -> dict[str, Any]:
        """A form: files first, texts after."""
        answer = self.http.request(method, path, files=files, data=texts)
        assert answer.is_success, answer.text
        members: dict[str, Any] = answer.json()
        return members

    def all_of(self, path: str, name: str, limit: int) -> list[dict[str, Any]]:
        """All pages of a list, as it scrolls."""
        shown: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = self.ask("GET", f"{path}?limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
            shown += page[name]
            cursor = page["nextCursor"]
            if cursor is None:
                return shown
            assert _CURSOR.fullmatch(cursor)

    def register(self, name: str) -> dict[str, Any]:
        """A new account, signed in."""
        username = f"{name}_{secrets.token_hex(5)}"
        body = {"username": username, "email": f"{username}@example.org", "password": PASSWORD, "displayName": name}
        user: dict[str, Any] = self.ask("POST", "/auth/register", body)["user"]
        return user

    def share(self, caption: str) -> str:
        """A new post of two pictures with filters, once it is published."""
        files = [("media", (f"{number}.heic", phone_photo(400, 300), "")) for number in range(2)]
        texts = {"caption": caption, "location": "Ostend", "filters": '["moon","none"]'}
        post_id: str = self.send("POST", "/posts", files, texts)["post"]["id"]
        until(lambda: self.ask("GET", f"/posts/{post_id}")["post"]["status"] == "published", seconds=50, every=0.5)
        return post_id


def _has(shown: dict[str, Any], **kinds: type | tuple[type, ...]) -> None:
    for name, kind in kinds.items():
        assert isinstance(shown[name], kind), (name, shown[name])


_TEXT_OR_NULL = (str, type(None))


@pytest.fixture
def author() -> Iterator[Client]:
    """An account that creates posts."""
    client = Client()
    with client.http:
        yield client


@pytest.fixture
def reader() -> Iterator[Client]:
    """An account that reads."""
    client = Client()
    with client.http:
        yield client


def test_every_page_of_the_reference_client_gets_what_it_reads(author: Client, reader: Client) -> None:
    # Without a session 401 is the normal answer to the first page, with an error to show.
    refused = reader.http.get("/auth/me", headers={"content-type": "application/json"})
    assert (refused.status_code, bool(refused.json()["error"])) == (401, True)
    ada, grace = author.register("Ada"), reader.register("Grace")
    _has(ada, id=str, username=str, displayName=str, bio=_TEXT_OR_NULL, profilePictureUrl=_TEXT_OR_NULL, isPrivate=bool)

    # Settings: the form sends all fields back, line ends as browsers write them.
    changed = author.send(
        "PUT",
        "/users/me",
        [("profilePicture", ("me.jpg", phone_photo(300, 300), "image/jpeg"))],
        {"displayName": "Ada L.", "bio": "one\r\ntwo", "isPrivate": "false"},
    )["user"]
    assert (changed["displayName"], changed["bio"], changed["isPrivate"]) == ("Ada L.", "one\ntwo", False)
    assert httpx.get(changed["profilePictureUrl"]).status_code == 200

    # A profile, by its name in any case; following sends no body but says that it is JSON.
    profile = reader.ask("GET", f"/users/{ada['username'].upper()}")["user"]
    _has(profile, followerCount=int, followingCount=int, postCount=int, isFollowing=bool, displayName=str)
    assert reader.ask("POST", f"/users/{ada['id']}/follow")["followStatus"] == "following"

    # Sharing, and going home at once.
    posts = [author.share(f"Number {number} #sea") for number in range(2)]
    story = author.send("POST", "/stories", [("media", ("s.jpg", phone_photo(300, 500), ""))], {"filter": "lark"})[
        "story"
    ]
    shown = reader.all_of("/feed", "posts", limit=1)
    assert [post["id"] for post in shown] == posts[::-1]
    for post in shown:
        _has(post, username=str, caption=str, likeCount=int, commentCount=int, isLiked=bool, isSaved=bool, media=list)
        _has(post["media"][0], mediaType=str, mediaUrl=str, filterApplied=str)
        assert httpx.get(post["media"][1]["mediaUrl"]).headers["content-type"] == "image/jpeg"
    [ring] = reader.ask("GET", "/stories/tray")["users"]
    _has(ring, id=str, username=str, profilePictureUrl=_TEXT_OR_NULL, hasSeen=bool)

    # A story: it is viewed once, then the list is read again and must say so.
    [seen] = reader.ask("GET", f"/stories/user/{ring['id']}")["stories"]
    assert (seen["id"], seen["hasViewed"], seen["filterApplied"]) == (story["id"], False, "lark")
    reader.ask("POST", f"/stories/{seen['id']}/view")
    assert reader.ask("GET", f"/stories/user/{ring['id']}")["stories"][0]["hasViewed"] is True

    # Like, save, comment; everything shows at once.
    for action in ("like", "save"):
        assert reader.ask("POST", f"/posts/{posts[0]}/{action}")["idempotent"] is False
    comment = reader.ask("POST", f"/posts/{posts[0]}/comments", {"content": "Lovely"})["comment"]
    _has(comment, id=str, userId=str, username=str, profilePictureUrl=_TEXT_OR_NULL, content=str, createdAt=str)
    post = reader.ask("GET", f"/posts/{posts[0]}")["post"]
    assert (post["isLiked"], post["isSaved"], post["likeCount"], post["commentCount"]) == (True, True, 1, 1)
    assert [each["id"] for each in reader.all_of(f"/posts/{posts[0]}/comments", "comments", 20)] == [comment["id"]]
    assert [each["id"] for each in reader.all_of("/users/me/saved", "posts", 12)] == [posts[0]]
    reader.ask("DELETE", f"/comments/{comment['id']}")
    for action in ("like", "save"):
        assert reader.ask("DELETE", f"/posts/{posts[0]}/{action}")["idempotent"] is False

    # Grids and lists of people.
    for thumb in reader.all_of(f"/users/{ada['username']}/posts", "posts", limit=1):
        _has(thumb, id=str, thumbnail=str, likeCount=int, commentCount=int, mediaCount=int)
    assert isinstance(reader.ask("GET", "/feed/explore?limit=24")["posts"], list)
    found = reader.ask("GET", f"/users/search/users?q={ada['username'][:9]}")["users"]
    assert ada["id"] in [card["id"] for card in found]
    assert [card["id"] for card in reader.all_of(f"/users/{ada['username']}/followers", "followers", 20)] == [
        grace["id"]
    ]
    assert [card["id"] for card in reader.all_of(f"/users/{grace['username']}/following", "following", 20)] == [
        ada["id"]
    ]

    # And out.
    reader.ask("DELETE", f"/users/{ada['id']}/follow")
    reader.ask("POST", "/auth/logout")
    assert reader.http.get("/auth/me").status_code == 401
    credentials = {"username": grace["username"].upper(), "password": PASSWORD}
    assert reader.ask("POST", "/auth/login", credentials)["user"] == grace
